"""Every text of a table's records: turns, thoughts, references and verdicts; of drops, the record that they keep."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from schemas.contract import arrow_schema
from schemas.records import Drop, PersonalKind, record_json
from tasks.redaction.texts import redact_texts

_TEXTS = frozenset({"content", "reasoning", "chosen_reasoning", "rejected_reasoning", "value", "expected", "found", "detail", "raw", "ngram", "topics"})
"""Fields, at whatever depth, that hold what somebody said or wrote."""


@dataclass(frozen=True, slots=True)
class _Spot:
    """A text's place in a row."""

    row: int
    where: str
    holder: Any
    key: Any


def redact_table(table: pa.Table, record: type, kinds: Sequence[PersonalKind]) -> pa.Table:
    """Redact a table of prompts or conversations, and put on each row what was taken out of which part of it."""
    rows = table.to_pylist()
    spots = [spot for number, row in enumerate(rows) for spot in _spots(number, row)]
    tallies = _redact(spots, kinds)
    if not tallies:
        return table
    for number, tally in tallies.items():
        rows[number]["redacted"] = [{"kind": kind, "where": where, "count": count} for (where, kind), count in sorted(tally.items())]
    return pa.Table.from_pylist(rows, schema=arrow_schema(record))


def redact_drops(table: pa.Table, kinds: Sequence[PersonalKind]) -> pa.Table:
    """Redact drops and the records that they keep."""
    rows = table.to_pylist()
    records = [json.loads(row["record"]) for row in rows]
    spots = [spot for number, row in enumerate(rows) for spot in (*_walk(number, row, ""), *_walk(number, records[number], ""))]
    tallies = _redact(spots, kinds)
    for number in tallies:
        rows[number]["record"] = record_json(records[number])
    return pa.Table.from_pylist(rows, schema=arrow_schema(Drop)) if tallies else table


def _redact(spots: Sequence[_Spot], kinds: Sequence[PersonalKind]) -> dict[int, Counter[tuple[str, str]]]:
    """Redact texts where they stand, and count by row what was taken out: how often of which part and kind."""
    tallies: dict[int, Counter[tuple[str, str]]] = {}
    for spot, redacted in zip(spots, redact_texts([one.holder[one.key] for one in spots], kinds), strict=True):
        if redacted.counts:
            spot.holder[spot.key] = redacted.text
            tallies.setdefault(spot.row, Counter()).update({(spot.where, kind): count for kind, count in redacted.counts.items()})
    return tallies


def _spots(number: int, row: dict[str, Any]) -> Iterator[_Spot]:
    """Find a prompt's or a conversation's texts: the last turn of a conversation is its answer, as are the thoughts before it."""
    answered = "conversation_id" in row
    turns = row["messages"]
    for place, turn in enumerate(turns):
        yield _Spot(number, "answer" if answered and place == len(turns) - 1 else "prompt", turn, "content")
    for name in row:
        if name not in ("messages", "redacted"):
            yield from _walk(number, row, _WHERE.get(name, "prompt"), only=name)


_WHERE = {"reasoning": "answer", "verdict": "reference", "reference": "reference"}


def _walk(number: int, value: Any, where: str, *, only: str | None = None) -> Iterator[_Spot]:
    for name, inner in value.items() if isinstance(value, dict) else ():
        if only is not None and name != only:
            continue
        if isinstance(inner, str) and name in _TEXTS:
            yield _Spot(number, where, value, name)
        elif isinstance(inner, dict):
            yield from _walk(number, inner, where)
        elif isinstance(inner, list):
            yield from _walk_list(number, inner, where, texts=name in _TEXTS)


def _walk_list(number: int, items: list[Any], where: str, *, texts: bool) -> Iterator[_Spot]:
    for place, one in enumerate(items):
        if isinstance(one, str) and texts:
            yield _Spot(number, where, items, place)
        else:
            yield from _walk(number, one, where)
