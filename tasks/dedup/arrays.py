"""Arrays on disk between the passes: NumPy files that appear whole, and are read by ranges or gathered from row by row."""

import ast
import bisect
import mmap
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.storage import replacing, storage_error
from tasks.dedup.plan import Plan

ROW = np.dtype(
    [
        ("id_high", "u8"),
        ("id_low", "u8"),
        ("owner", "u8"),  # the prompt, whose samples may be alike; a prompt is its own
        ("digest_high", "u8"),
        ("digest_low", "u8"),
        ("score", "f4"),  # -inf where there is none
        ("gated", "?"),
        ("released", "?"),  # of an earlier release: never a copy, always the keeper
    ]
)
KEY = np.dtype([("key", "u8"), ("row", "i8")])
"""A hash that rows are joined by: a band's, or a digest's upper half. Files are sorted by it."""
PAIR = np.dtype([("first", "i8"), ("second", "i8")])
"""Two rows, first < second; or a copy and its keeper."""

_PREAMBLE = 10
"""Bytes of a NumPy file, version 1.0, before its header: magic, version and, in two, the header's length."""

Rows = NDArray[np.int64]
Records = NDArray[np.void]


def save(path: Path, array: NDArray[np.generic]) -> None:
    """Write an array; the file appears whole or not at all. It is not made durable: `search.json` says of which boot of the machine it is."""
    with replacing(path, durable=False) as file:
        np.save(file, array, allow_pickle=False)


def load(path: Path) -> Any:
    """Map an array into memory: pages that aren't touched aren't read. Raises StorageError.

    Some 20 µs; NumPy's own memmap takes ten times that, and a search maps each partition's files for each range of keys.
    """
    try:
        with open(path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise storage_error(path, error, "read") from error
    start = _PREAMBLE + int.from_bytes(mapped[_PREAMBLE - 2 : _PREAMBLE], "little")
    described, _, shape = mapped[_PREAMBLE:start].decode("latin-1").partition("'shape': (")
    lengths = [int(length) for length in shape.partition(")")[0].split(",") if length.strip()]
    return np.ndarray(lengths, _dtype_of(described), mapped, start)


@cache
def _dtype_of(described: str) -> np.dtype[Any]:
    """Read the part of a NumPy file's header that comes before the shape."""
    return np.lib.format.descr_to_dtype(ast.literal_eval(described + "}")["descr"])


def read_range(path: Path, field: str, low: int, high: int) -> Records:
    """Read those records of a sorted file whose field lies in [low, high)."""
    records = load(path)
    start = bisect.bisect_left(records, low, key=lambda record: int(record[field]))
    stop = bisect.bisect_left(records, high, lo=start, key=lambda record: int(record[field]))
    return np.array(records[start:stop])


def gather_rows(plan: Plan, rows: Rows) -> Records:
    """Read the facts of rows anywhere in the corpus, a partition's file at a time."""
    facts = np.empty(len(rows), ROW)
    parts = plan.partitions_of(rows)
    for part in np.unique(parts):
        here = np.flatnonzero(parts == part)
        facts[here] = load(plan.scratch_file("rows", int(part)))[rows[here] - plan.bounds[part]]
    return facts


def join_fields(kind: np.dtype[np.void], **fields: NDArray[np.generic]) -> Records:
    """Make records of columns."""
    records = np.empty(len(next(iter(fields.values()))), kind)
    for name, values in fields.items():
        records[name] = values
    return records
