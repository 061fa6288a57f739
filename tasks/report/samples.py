"""Rows shown in the report, the same ones every time: those of the lowest ids, and of drops one for each of the commonest reasons."""

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from infra.storage import read_table

Row = Mapping[str, Any]

EACH = 3
REASONS = 8
"""Drop reasons of which one row is shown."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows as plain values, of the record classes' fields."""

    sft: tuple[Row, ...]
    preferences: tuple[Row, ...]
    drops: tuple[Row, ...]
    """`record` decoded."""


def gather_samples(parts: Mapping[str, Sequence[Path]], *, each: int = EACH) -> Samples:
    """Pick rows to show."""
    sft = _lowest(parts.get("sft", ()), "conversation_id", each)
    preferences = _lowest(parts.get("preferences", ()), "preference_id", each)
    return Samples(sft, preferences, _drops(parts.get("dropped", ())))


def _lowest(paths: Sequence[Path], id_column: str, count: int) -> tuple[Row, ...]:
    found: list[tuple[str, int, int]] = []
    for place, path in enumerate(paths):
        ids = read_table(path, columns=[id_column]).column(0).to_pylist()
        found = heapq.nsmallest(count, [*found, *((one, place, row) for row, one in enumerate(ids))])
    return tuple(_row(paths[place], row) for _, place, row in found)


def _drops(paths: Sequence[Path]) -> tuple[Row, ...]:
    first: dict[tuple[str, str], tuple[str, int, int]] = {}
    rows: dict[tuple[str, str], int] = {}
    for place, path in enumerate(paths):
        table = read_table(path, columns=["drop_id", "stage", "reason", "rows"])
        for key, row in _first_of_each(table).items():
            first[key] = min(first.get(key, ("g", 0, 0)), (table.column("drop_id")[row].as_py(), place, row))
        for one in table.group_by(["stage", "reason"]).aggregate([("rows", "sum")]).to_pylist():
            key = (one["stage"], one["reason"])
            rows[key] = rows.get(key, 0) + one["rows_sum"]
    commonest = sorted(first, key=lambda key: (-rows[key], key))[:REASONS]
    return tuple(_decoded(_row(paths[first[key][1]], first[key][2]), rows[key]) for key in commonest)


def _first_of_each(table: pa.Table) -> dict[tuple[str, str], int]:
    """Find the row of the lowest id for each stage and reason."""
    lowest = table.group_by(["stage", "reason"]).aggregate([("drop_id", "min")])
    places = pc.index_in(lowest.column("drop_id_min"), value_set=table.column("drop_id").combine_chunks()).to_pylist()
    return dict(zip(zip(lowest.column("stage").to_pylist(), lowest.column("reason").to_pylist(), strict=True), places, strict=True))


def _decoded(row: Row, of: int) -> Row:
    try:
        record = json.loads(row["record"])
    except ValueError:
        record = {"value": row["record"]}
    return {**row, "record": record, "of": of}


def _row(path: Path, row: int) -> Row:
    found: Row = read_table(path).slice(row, 1).to_pylist()[0]
    return found
