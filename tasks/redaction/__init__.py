"""What may lead to a person, or let somebody in, is put out of sight: typed placeholders in its place, and on the row what they stand for.

kinds.py   what each kind looks like, and how a real one is told from what looks like it (the filters of tasks/filters/privacy.py ask the same)
texts.py   a column of texts to texts without it, with counts
rows.py    a table of records: every text on them

Done to what stage `filter` keeps, after all paid calls but the judges': a recipe that redacts more, or no more, uses every answer and grade again.
"""

from tasks.redaction.rows import redact_drops, redact_table

__all__ = ["redact_drops", "redact_table"]
