"""Rows of a release picked at random by a seed, and put into words for a terminal."""

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from infra.storage import read_table
from schemas.contract import arrow_schema
from schemas.identity import derive_seed
from tasks.release.inputs import DATA_SETS
from tasks.report.text import show


@dataclass(frozen=True, slots=True)
class SampledTurn:
    """One turn, fit to be shown."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class SampledRow:
    """One row, fit to be shown."""

    title: str
    turns: tuple[SampledTurn, ...]
    facts: str
    """Scores, verdict and who made it, in one line."""
    values: Mapping[str, Any]
    """The row as it is."""


def sample_rows(release: Path, data_set: str, *, count: int, seed: int = 0, where: Mapping[str, str | None] | None = None) -> list[SampledRow]:
    """Pick rows; the same seed gives the same rows, however the release is cut into files."""
    wanted = {name: value for name, value in (where or {}).items() if value is not None}
    id_column = arrow_schema(DATA_SETS[data_set]).names[0]
    picked = heapq.nsmallest(count, _candidates(release / data_set, id_column, seed, wanted))
    return [describe_row(read_table(path).slice(row, 1).to_pylist()[0], data_set) for _, path, row in picked]


def describe_row(values: Mapping[str, Any], data_set: str) -> SampledRow:
    """Put a row into words."""
    row = dict(values)
    inner = json.loads(row["record"]) if data_set == "dropped" else row
    turns = tuple(SampledTurn(role, show(text)) for role, text in _turns(inner))
    head = [show(row.get("technique") or inner.get("technique") or "", 60), show(row.get("category") or inner.get("category") or "", 60)]
    title = f"{next(iter(row.values()))[:12]}  " + "  ".join(part for part in dict.fromkeys(head) if part)
    if data_set == "dropped":
        title += f"  dropped at {row['stage']}: {show(row['reason'], 80)}"
    return SampledRow(title, turns, show("  ".join(_facts(row, inner))), row)


def _candidates(folder: Path, id_column: str, seed: int, wanted: Mapping[str, str]) -> Iterator[tuple[int, Path, int]]:
    for path in sorted(folder.rglob("part-*.parquet")):
        table = read_table(path, columns=[id_column, *wanted])
        for row, values in enumerate(_rows(table)):
            if all(values.get(name) == value for name, value in wanted.items()):
                yield derive_seed("sample", seed, values[id_column]), path, row


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches():
        yield from batch.to_pylist()


def _turns(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("messages", "prompt"):
        for turn in record.get(name) or ():
            yield turn["role"], turn["content"]
    for side in ("chosen", "rejected"):
        for turn in record.get(side) or ():
            yield side, turn["content"]
    if "value" in record:
        yield "item", str(record["value"])


def _facts(row: Mapping[str, Any], record: Mapping[str, Any]) -> Iterator[str]:
    for name in ("scores", "chosen_scores", "rejected_scores"):
        if scores := record.get(name):
            given = {key: value for key, value in scores.items() if isinstance(value, float)}
            yield name.replace("_", " ") + " " + " ".join(f"{key} {value:.2f}" for key, value in given.items())
    if record.get("margin") is not None:
        yield f"margin {record['margin']:.2f}"
    if verdict := record.get("verdict"):
        yield f"{verdict['verifier']} {'passed' if verdict['passed'] else 'failed'}"
    if row.get("detail"):
        yield str(row["detail"])
    uses = (record.get("provenance") or {}).get("models") or ()
    yield "by " + ", ".join(dict.fromkeys(f"{use['model']} ({use['role']})" for use in uses))
