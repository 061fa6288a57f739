"""Pages as HTML. Everything that a model or a seed wrote is escaped by Jinja, and characters that can't be seen are spelt out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tasks.browse.asking import Found, Question
from tasks.browse.differences import mark_differences
from tasks.browse.library import Library, Listed, Shown
from tasks.report.text import show

FOLDER = Path(__file__).parent / "static"
SHORT = 260
"""Characters of a text in a list."""
WHOLE = 100_000
"""Characters of a text on its own page."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation."""

    role: str
    text: str


def list_page(library: Library, question: Question, found: Found, rows: Sequence[Listed]) -> str:
    """Write a page of rows with its filters."""
    index = library.index(question.data_set)
    return _environment().get_template("list.html.j2").render(library=library, question=question, found=found, rows=rows, scored=index.has_scores)


def row_page(library: Library, shown: Shown) -> str:
    """Write a row's own page."""
    return _environment().get_template("row.html.j2").render(library=library, shown=shown, row=shown.row)


def fault_page(library: Library, message: str) -> str:
    """Say what is wrong with what was asked for."""
    return _environment().get_template("fault.html.j2").render(library=library, message=message)


@cache
def _environment() -> Environment:
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"whole": _whole, "short": _short, "thousands": "{:,}".format, "score": _score}
    environment.globals |= {
        "turns_of": turns_of,
        "sides_of": _sides_of,
        "line_of": _line_of,
        "facts_of": _facts_of,
        "scores_of": _scores_of,
        "uses_of": _uses_of,
    }
    return environment


def _whole(text: object) -> str:
    return show(text, WHOLE)


def _short(text: object, limit: int = SHORT) -> str:
    return show(" ".join(str(text).split()), limit)


def _score(number: float | None) -> str:
    return "" if number is None else f"{number:.2f}"


def turns_of(record: Any) -> list[Turn]:
    """List the turns of any record, as they came; of a pair, those of its prompt alone."""
    if not isinstance(record, Mapping):
        return [Turn("record", str(record))]
    turns = [Turn(str(turn["role"]), str(turn["content"])) for name in ("messages", "prompt") for turn in record.get(name) or ()]
    if "value" in record:
        turns.append(Turn("item", str(record["value"])))
    return turns


def _line_of(data_set: str, row: Mapping[str, Any]) -> str:
    """Choose what tells a row apart from its neighbours in a list: what was asked."""
    turns = turns_of(row["record"] if data_set == "dropped" else row)
    asked = [turn.text for turn in turns if turn.role == "user"] or [turn.text for turn in turns]
    return asked[-1] if asked else ""


def _sides_of(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    chosen, rejected = ("\n\n".join(turn["content"] for turn in row[side]) for side in ("chosen", "rejected"))
    sides = mark_differences(chosen, rejected)
    return [("chosen", sides.first), ("rejected", sides.second)]


_FACTS = ("technique", "category", "split", "response", "judge", "margin", "stage", "reason", "detail", "attempts", "similarity", "finish_reason", "gate")


def _facts_of(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name a row's short facts: its own columns and verdicts."""
    facts = [(name.replace("_", " "), _fact(row[name])) for name in _FACTS if row.get(name) not in (None, "")]
    for name, title in (("verdict", "verdict"), ("chosen_verdict", "chosen verdict"), ("rejected_verdict", "rejected verdict")):
        if row.get(name):
            one = row[name]
            facts.append((title, f"{one['verifier']}: {'passed' if one['passed'] else 'failed'}, expected {one['expected']}, found {one['found']}"))
    return facts


def _scores_of(row: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """List what was graded, with its grades."""
    graded = (("answer", "scores"), ("chosen", "chosen_scores"), ("rejected", "rejected_scores"))
    return [(title, row[name]) for title, name in graded if row.get(name)]


def _fact(value: object) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _uses_of(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    record = row["record"] if isinstance(row.get("record"), Mapping) else row
    return list((record.get("provenance") or {}).get("models") or ())
