"""Arrays on disk between the passes: NumPy files that appear whole, and are read by ranges or gathered from row by row."""

import bisect
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

Rows = NDArray[np.int64]
Records = NDArray[np.void]


def save(path: Path, array: NDArray[np.generic]) -> None:
    """Write an array; the file appears whole or not at all. It is not made durable: `search.json` says of which boot of the machine it is."""
    with replacing(path, durable=False) as file:
        np.save(file, array, allow_pickle=False)


def load(path: Path) -> Any:
    """Map an array into memory: pages that aren't touched aren't read. Raises StorageError."""
    try:
        # A view without NumPy's memmap class, whose every slice costs microseconds.
        return np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except OSError as error:
        raise storage_error(path, error, "read") from error


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
