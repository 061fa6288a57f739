"""Rows whole, by where they lie; one row group is read for all the rows wanted of it, and the last few are kept."""

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infra.storage import damaged
from tasks.browse.index import Place

Row = Mapping[str, Any]
_KEPT = 4
"""Row groups kept: some 20 MB each."""


class RowReader:
    """Reads rows, from any number of threads."""

    def __init__(self) -> None:
        self._groups: OrderedDict[tuple[Path, int], pa.Table] = OrderedDict()
        self._lock = threading.Lock()

    def rows(self, places: Sequence[Place]) -> list[Row]:
        """Read rows, in the order asked for. Raises StorageError."""
        return [self.row(place) for place in places]

    def row(self, place: Place) -> Row:
        """Read one row; a dropped one's `record` is decoded."""
        group, start = _group_of(place)
        row: dict[str, Any] = self._group(place.path, group).slice(place.row - start, 1).to_pylist()[0]
        if "record" in row:
            row["record"] = _decode(row["record"])
        return row

    def _group(self, path: Path, group: int) -> pa.Table:
        with self._lock:
            if (path, group) in self._groups:
                self._groups.move_to_end((path, group))
                return self._groups[path, group]
        table = _read_group(path, group)
        with self._lock:
            self._groups[path, group] = table
            while len(self._groups) > _KEPT:
                self._groups.popitem(last=False)
        return table


def _group_of(place: Place) -> tuple[int, int]:
    try:
        metadata = pq.read_metadata(place.path, memory_map=True)
    except (OSError, pa.ArrowException) as error:
        raise damaged(place.path, error) from error
    start = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if place.row < start + rows:
            return group, start
        start += rows
    raise IndexError(f"{place.path} has {start} rows, and row {place.row} was asked for")


def _read_group(path: Path, group: int) -> pa.Table:
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            return file.read_row_group(group)
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from error


def _decode(record: str) -> Any:
    try:
        return json.loads(record)
    except ValueError:
        return {"value": record}
