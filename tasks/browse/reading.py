"""Rows whole, by where they lie: files stay open and their footers parsed, and one row group is read for all the rows wanted of it."""

import bisect
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infra.storage import damaged
from tasks.browse.index import Place

Row = Mapping[str, Any]
_GROUPS = 4
"""Row groups kept: some 20 MB each."""
_FILES = 64
"""Files kept open. Of a million rows there are some 20; a footer takes up to 5 ms to parse."""


class RowReader:
    """Reads rows, from any number of threads."""

    def __init__(self) -> None:
        self._files: OrderedDict[Path, _OpenFile] = OrderedDict()
        self._groups: OrderedDict[tuple[Path, int], pa.Table] = OrderedDict()
        self._lock = threading.Lock()

    def rows(self, places: Sequence[Place]) -> list[Row]:
        """Read rows, in the order asked for, each row group once however they are strewn. Raises StorageError."""
        found: dict[int, Row] = {}
        for number in sorted(range(len(places)), key=lambda one: (places[one].path, places[one].row)):
            found[number] = self.row(places[number])
        return [found[number] for number in range(len(places))]

    def row(self, place: Place) -> Row:
        """Read one row; a dropped one's `record` is decoded."""
        group, start = self._file(place.path).group_of(place.row)
        row: dict[str, Any] = self._group(place.path, group).slice(place.row - start, 1).to_pylist()[0]
        if "record" in row:
            row["record"] = _decode(row["record"])
        return row

    def _file(self, path: Path) -> "_OpenFile":
        with self._lock:
            if path in self._files:
                self._files.move_to_end(path)
                return self._files[path]
            self._files[path] = opened = _OpenFile(path)
            while len(self._files) > _FILES:
                self._files.popitem(last=False)  # closed when the last thread that reads in it has done so
            return opened

    def _group(self, path: Path, group: int) -> pa.Table:
        with self._lock:
            if (path, group) in self._groups:
                self._groups.move_to_end((path, group))
                return self._groups[path, group]
        table = self._file(path).read(group)
        with self._lock:
            self._groups[path, group] = table
            while len(self._groups) > _GROUPS:
                self._groups.popitem(last=False)
        return table


class _OpenFile:
    """A Parquet file with its footer. A release never changes, so neither does what was read of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._told():
            self._file = pq.ParquetFile(path, memory_map=True)
            metadata = self._file.metadata
            self._ends = list(accumulate(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)))

    def group_of(self, row: int) -> tuple[int, int]:
        """Say in which row group a row is, and with which row that one begins."""
        group = bisect.bisect_right(self._ends, row)
        if group == len(self._ends):
            raise IndexError(f"{self._path} has {self._ends[-1] if self._ends else 0} rows, and row {row} was asked for")
        return group, self._ends[group - 1] if group else 0

    def read(self, group: int) -> pa.Table:
        """Read a row group."""
        # One reader serves one thread at a time.
        with self._lock, self._told():
            return self._file.read_row_group(group)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise damaged(self._path, error) from error


def _decode(record: str) -> Any:
    try:
        return json.loads(record)
    except ValueError:
        return {"value": record}
