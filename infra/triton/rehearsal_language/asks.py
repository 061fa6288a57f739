"""Recognise what is asked, by the phrases that prompts contain."""

import re
from dataclasses import dataclass

from infra.triton.rehearsal_language.chat import Turn

_QUOTED = r'["“](?P<about>.+?)["”]'
_FENCED = re.compile(r"<<<\s*(.*?)\s*>>>", re.DOTALL)
_CUES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE | re.DOTALL))
    for kind, pattern in (
        # First, as the answers to be judged may quote any of the others.
        ("compare", r"\A.{0,60}say which of the two answers below"),
        ("rate", r"\A.{0,60}rate each of the (?P<count>\d+) answers below"),
        ("topics", r"name (?P<count>\d+) broad topics"),
        ("subtopics", rf"name (?P<count>\d+) subtopics of {_QUOTED}"),
        ("questions", rf"write (?P<count>\d+) questions about {_QUOTED}"),
        ("math_topics", r"name (?P<count>\d+) topics in mathematics"),
        ("math_problems", rf"write (?P<count>\d+) math problems about {_QUOTED}"),
        ("writing_tasks", rf"write (?P<count>\d+) writing tasks about {_QUOTED}"),
        ("programming_keywords", r"name (?P<count>\d+) programming keywords"),
        ("programming_problems", rf"write (?P<count>\d+) programming problems about {_QUOTED}"),
        ("document_instructions", r"write (?P<count>\d+) instructions about the document"),
        ("persona_requests", r"write (?P<count>\d+) requests that this person would make"),
        ("is_notion", rf"is {_QUOTED} a notion of (?P<subject>\w+)"),
        ("similar_problem", r"write a math problem like this one"),
        ("harder_problem", r"write a math problem that goes further than this one"),
        ("crossover", r"write one new problem of the same kind"),
        ("mutation", r"make this programming problem harder"),
        ("solution", r"solve this programming problem"),
        ("fitness", r"judge whether this programming problem and its solution"),
        ("diverse_qa", r"write up to eight questions that the text between the marks answers"),
        ("distil", r"write a shorter text that keeps every fact"),
        ("extract_knowledge", r"take out of the text between the marks what is worth knowing"),
        ("knowledge_list", r"list the facts that the text between the marks tells"),
        ("encyclopaedic", r"put the text between the marks into other words"),
        ("evolve", r"make this instruction (?:deeper|broader)"),
        ("rewrite", r"rewrite this (?:question|writing task)"),
        ("next_message", r"write the user's next message"),
    )
)
LISTS = frozenset(
    {"topics", "subtopics", "questions", "math_topics", "math_problems"}
    | {"writing_tasks", "programming_keywords", "programming_problems", "document_instructions", "persona_requests"}
)
REWRITES = frozenset({"diverse_qa", "distil", "extract_knowledge", "knowledge_list", "encyclopaedic"})
JUDGED = frozenset({"compare", "rate"})
_ABOUT_QUOTED = frozenset({"document_instructions", "persona_requests"})
"""Lists about a text between marks; the first such text, as a top-up quotes the items that there are after it."""
_MOST_ITEMS = 500
_SERIES = re.compile(r"^(?P<label>[A-Z][a-z]+) (?P<number>\d+):[ \t]*\Z", re.MULTILINE)
RAW = frozenset({"user_turn", "continuation"})
"""What is asked without a conversation: there is nobody to decline anything to."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a prompt asks for."""

    kind: str
    """A cue's name; `user_turn` for the opening of an empty user turn; `continuation` for a numbered series that breaks off; `answer` for anything else."""
    about: str
    """The topic, the quoted text, the series' label, or the whole question."""
    count: int = 0
    quoted: tuple[str, ...] = ()
    """Of a case to be judged: what was asked, then the answers."""


def recognise(turns: tuple[Turn, ...]) -> Wanted:
    """Say what the last turn of a conversation asks for; a request to give a list again means the list asked for before."""
    if turns[-1].role == "user" and not turns[-1].text:
        return Wanted("user_turn", turns[0].text)
    series = _SERIES.search(turns[-1].text) if turns[-1].role == "" else None
    if series and turns[-1].text.count(f"{series['label']} ") > 1:
        return Wanted("continuation", series["label"], int(series["number"]))
    said = [turn.text for turn in turns if turn.role in ("user", "") and turn.text] or [""]
    wanted = _by_cue(said[-1])
    if "give the list again" in said[-1].lower() and wanted.kind not in LISTS:
        earlier = [one for one in map(_by_cue, reversed(said[:-1])) if one.kind in LISTS]
        return earlier[0] if earlier else wanted
    return wanted


def _by_cue(text: str) -> Wanted:
    for kind, pattern in _CUES:
        found = pattern.search(text)
        if found:
            return _wanted(kind, text, found)
    return Wanted("answer", text)


def _wanted(kind: str, text: str, found: re.Match[str]) -> Wanted:
    groups = found.groupdict()
    fenced = _FENCED.findall(text)
    if kind in JUDGED:
        return Wanted(kind, "", len(fenced) - 1, tuple(fenced))
    if "subject" in groups:
        return Wanted(kind, f"{groups['about']}\n{groups['subject']}")
    if "count" in groups:
        about = fenced[0] if kind in _ABOUT_QUOTED and fenced else groups.get("about") or ""
        return Wanted(kind, about.strip(), min(int(groups["count"]), _MOST_ITEMS))
    return Wanted(kind, fenced[-1] if fenced else text[found.end() :].strip(" :\n"))
