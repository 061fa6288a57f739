"""Known pairs from any JSON lines, Parquet or CSV file: which columns hold what is found out from their names, or told.

Two layouts: `chosen` and `rejected`, or `first`, `second` and `label` (1 or 2 is the better one). With a `prompt` the answers are texts; without one each
side is a whole dialogue: a list of turns, or a transcript in which `Human:` and `Assistant:` speak.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import RecipeError
from schemas.identity import content_id
from schemas.records import Message, Messages
from tasks.craft.seedfiles import Row, find_seed_file, read_rows

PARTS = ("prompt", "chosen", "rejected", "first", "second", "label", "category")
_USUAL = {
    "prompt": ("prompt", "input", "instruction", "question"),
    "chosen": ("chosen", "chosen_response"),
    "rejected": ("rejected", "rejected_response"),
    "first": ("output_1", "response_1", "response1", "response_a"),
    "second": ("output_2", "response_2", "response2", "response_b"),
    "label": ("label", "winner", "preference"),
    "category": ("subset", "category"),
}
_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


@dataclass(frozen=True, slots=True)
class KnownPair:
    """Two conversations that differ in the last turn, the better one known; or why a row is none."""

    row: int
    category: str
    chosen: Messages = ()
    rejected: Messages = ()
    fault: str = ""

    @property
    def pair_id(self) -> str:
        """Name it by its content: grades are kept under it."""
        sides = [[[turn.role, turn.content] for turn in side] for side in (self.chosen, self.rejected)]
        return content_id("pair", sides)


def find_columns(names: Sequence[str], told: Mapping[str, str]) -> dict[str, str]:
    """Say which column holds which part. Raises RecipeError where that can't be told from the names."""
    wrong = [part for part in told if part not in PARTS] + [column for column in told.values() if column not in names]
    if wrong:
        raise RecipeError(f"--column {wrong[0]!r}: parts are {', '.join(PARTS)}, and the file's columns {', '.join(names)}")
    usual = {part: next((name for name in known if name in names), None) for part, known in _USUAL.items()}
    found = {part: column for part, column in (usual | dict(told)).items() if column}
    if not ({"chosen", "rejected"} <= found.keys() or {"first", "second", "label"} <= found.keys()):
        raise RecipeError(
            f"no pairs in the columns {', '.join(names)}: name those of chosen and rejected, or of first, second and label, "
            "for example --column chosen=good --column rejected=bad --column prompt=question"
        )
    return found


def read_pairs(path: Path, told: Mapping[str, str]) -> Iterator[KnownPair]:
    """Read a file's pairs in order; a row that is none is given with its fault. Raises RecipeError where the file can't be read."""
    columns: dict[str, str] = {}
    for row in read_rows(find_seed_file(path.parent, path.name)):
        columns = columns or find_columns(tuple(row.values), told)
        yield _read_pair(row, columns)


def _read_pair(row: Row, columns: Mapping[str, str]) -> KnownPair:
    values = {part: row.values.get(column) for part, column in columns.items()}
    category = str(values.get("category") or "all")
    better, worse = _sides(values)
    if better is None or worse is None:
        return KnownPair(row.number, category, fault="no_preference")
    chosen, rejected = _conversation(values.get("prompt"), better), _conversation(values.get("prompt"), worse)
    if not chosen or not rejected:
        return KnownPair(row.number, category, fault="malformed_pair")
    if chosen == rejected:
        return KnownPair(row.number, category, fault="equal_answers")
    return KnownPair(row.number, category, chosen, rejected)


def _sides(values: Mapping[str, Any]) -> tuple[Any, Any]:
    if "chosen" in values and "rejected" in values:
        return values["chosen"], values["rejected"]
    sides = (values["first"], values["second"])
    label = str(values["label"]).strip().lower()
    if label in ("1", "1.0", "a", "first"):
        return sides
    return (sides[1], sides[0]) if label in ("2", "2.0", "b", "second") else (None, None)


def _conversation(prompt: Any, side: Any) -> Messages:
    """Put a prompt and an answer, or a whole dialogue, into turns; empty where that makes no conversation that ends with the assistant."""
    before, said = _turns(prompt), _turns(side)
    if prompt is not None and isinstance(side, str):
        said = (Message("assistant", side),) if side.strip() else ()
        before = (Message("user", prompt),) if isinstance(prompt, str) and prompt.strip() else before
    turns = said if said and said[: len(before)] == before and before else (*before, *said)
    whole = bool(said) and len(turns) > 1 and turns[-1].role == "assistant" and all(turn.content.strip() for turn in turns)
    return turns if whole else ()


def _turns(value: Any) -> Messages:
    if isinstance(value, list):
        found = [one for one in value if isinstance(one, dict) and isinstance(one.get("content"), str)]
        return tuple(Message(str(one.get("role")), one["content"]) for one in found) if len(found) == len(value) else ()
    if not isinstance(value, str):
        return ()
    opening, *pieces = _TURN.split(value if value.startswith("\n\n") else f"\n\n{value}")
    if opening.strip() or not pieces:
        return ()
    return tuple(Message(_ROLES[speaker], said.strip()) for speaker, said in zip(pieces[::2], pieces[1::2], strict=True))
