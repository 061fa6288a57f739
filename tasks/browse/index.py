"""What can be asked of a data set without its texts: a few short columns of every row, and where that row lies.

A million rows take some seconds to index and about 100 MB; their texts stay in Parquet and are read a row group at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from infra.storage import read_table
from schemas.contract import arrow_schema
from tasks.release.inputs import DATA_SETS

_COLUMNS = {
    "sft": {"technique": "technique", "category": "category", "response": "response", "score": "scores.reward"},
    "preferences": {"technique": "technique", "category": "category", "judge": "judge", "score": "margin"},
    "prompts": {"technique": "technique", "category": "category"},
    "dropped": {"stage": "stage", "reason": "reason", "kind": "kind", "record": "record_id"},
}
"""Data set to the columns that it is filtered by, and where each lies."""

FACETS = {name: tuple(one for one in columns if one not in ("score", "record")) for name, columns in _COLUMNS.items()}
"""Data set to what its rows are told apart by."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row lies."""

    path: Path
    row: int
    split: str


@dataclass(frozen=True, slots=True)
class Index:
    """One data set of a release."""

    data_set: str
    paths: tuple[Path, ...]
    frame: pl.DataFrame
    """A row each: `file` and `row`, `id`, `prompt` where it has one, `split`, the facets, `score` where there is one."""
    counts: Mapping[str, tuple[tuple[str, int], ...]]
    """What rows are told apart by, to its values with the rows that have each; the commonest first."""

    @property
    def has_scores(self) -> bool:
        """Say whether any row has a score."""
        return "score" in self.frame.columns and self.frame["score"].null_count() < len(self.frame)

    def place(self, number: int) -> Place:
        """Find the n-th row of the frame."""
        one = self.frame.row(number, named=True)
        return Place(self.paths[one["file"]], one["row"], one["split"])


def build_index(release: Path, data_set: str) -> Index:
    """Read the short columns of a data set. Raises StorageError for a damaged file."""
    paths = tuple(sorted((release / data_set).rglob("part-*.parquet")))
    frames = [_read(number, path, data_set) for number, path in enumerate(paths)]
    frame = pl.concat(frames).with_columns(pl.col(one).cast(pl.Categorical) for one in (*FACETS[data_set], "split")) if frames else _empty(data_set)
    facets = (*FACETS[data_set], *(("split",) if data_set != "dropped" else ()))
    return Index(data_set, paths, frame, {facet: count_values(frame.lazy(), facet) for facet in facets})


def count_values(rows: pl.LazyFrame, facet: str) -> tuple[tuple[str, int], ...]:
    """Count the rows of each value of a facet, the commonest first."""
    counted = rows.group_by(facet).len().with_columns(pl.col(facet).cast(pl.String)).sort("len", facet, descending=[True, False]).collect()
    return tuple((value, count) for value, count in counted.iter_rows())


def _read(number: int, path: Path, data_set: str) -> pl.DataFrame:
    wanted = _COLUMNS[data_set]
    identity = _identity(data_set)
    table = read_table(path, [*identity.values(), *wanted.values()])
    columns = {name: _leaf(table, source) for name, source in (identity | wanted).items()}
    split = path.parent.name if path.parent.name != data_set else ""
    rows = pl.DataFrame(pa.table(columns))
    return rows.with_row_index("row").with_columns(file=pl.lit(number, pl.UInt32), split=pl.lit(split))


def _identity(data_set: str) -> dict[str, str]:
    names = arrow_schema(DATA_SETS[data_set]).names
    return {"id": names[0]} | ({"prompt": "prompt_id"} if "prompt_id" in names[1:] else {})


def _leaf(table: pa.Table, source: str) -> pa.ChunkedArray:
    column, _, field = source.partition(".")
    return pc.struct_field(table[column], field) if field else table[column]


def _empty(data_set: str) -> pl.DataFrame:
    texts: Sequence[str] = (*_identity(data_set), *(one for one in _COLUMNS[data_set] if one != "score"), "split")
    numbers: dict[str, Any] = {"row": pl.UInt32, "file": pl.UInt32} | ({"score": pl.Float32} if "score" in _COLUMNS[data_set] else {})
    return pl.DataFrame(schema={**dict.fromkeys(texts, pl.String), **numbers})
