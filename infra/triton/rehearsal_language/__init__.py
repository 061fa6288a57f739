"""What the rehearsal models say and how they grade: pure Python, no Triton, no numpy; also importable where no server runs.

What is asked is recognised by phrases (asks.py), whatever surrounds them: `Name {n} broad topics`, `Name {n} subtopics of "{topic}"`,
`Write {n} questions about "{topic}"`, `Name {n} topics in mathematics`, `Write {n} math problems about "{topic}"`,
`Write {n} writing tasks about "{topic}"`, `Name {n} programming keywords`, `Write {n} programming problems about "{topic}"`. With the text
they speak of between <<< and >>>: `Write {n} instructions about the document`, `Write {n} requests that this person would make`,
`Rewrite this question`, `Rewrite this writing task`, `Make this instruction deeper` (or `broader`), `Write the user's next message`.
`Give the list again` asks for the last list once more. Anything else is a question to answer.
"""
