"""How many different record ids stand in many Parquet files, counted in bounded memory.

Ids are hashes, so their last two hex digits part them evenly: one group of ids is held at a time.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.storage import read_table

AT_ONCE = 4_000_000
"""Ids in memory at once: some 150 MB."""

IdColumn = tuple[Path, str]
"""A file and the name of an id column in it."""


def count_distinct_ids(columns: Sequence[IdColumn], *, at_once: int = AT_ONCE) -> int:
    """Count the different ids in all the columns together."""
    return sum(pc.count_distinct(ids).as_py() for ids in _groups(columns, at_once))


def _groups(columns: Sequence[IdColumn], at_once: int) -> Iterator[pa.ChunkedArray]:
    rows = sum(pq.read_metadata(path).num_rows for path, _ in columns)
    groups = min(256, max(1, math.ceil(rows / at_once)))
    for group in range(groups):
        yield pa.chunked_array([_ids_of_group(path, column, group, groups) for path, column in columns], pa.string())


def _ids_of_group(path: Path, column: str, group: int, groups: int) -> pa.Array:
    ids = read_table(path, columns=[column]).column(0).combine_chunks()
    if groups == 1:
        return ids
    wanted = pa.array([f"{number:02x}" for number in range(256) if number % groups == group])
    return ids.filter(pc.is_in(pc.utf8_slice_codeunits(ids, start=30, stop=32), value_set=wanted))
