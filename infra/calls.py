"""The call store: every engine call ever paid for in a data folder, by its content key, outliving the run that made it.

A committed shard's journal becomes one Parquet file, `<lo>-<hi>-<name>.parquet`, where lo and hi begin the smallest and the largest item id
in it; rows are sorted by item and key. A shard looks up the calls of all its records at once: files, then row groups, whose range of
item ids touches none of them are not read. Many small files are merged now and then. Every step may be cut short anywhere: at
worst a call is stored twice, which is harmless, as a key has one answer.
"""

import hashlib
import json
import os
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra import locks
from infra.journal import Entry, Journal
from infra.shared import local_root
from infra.storage import hold_run, storage_error, sync_folder, write_table
from schemas.engine import Answer, answer_from_json, answer_to_json
from schemas.errors import RunBusyError, StorageError
from schemas.identity import canonical_json

MERGE = 64
"""How many small files are merged into one: with 256 records a shard, a file of some 16,000 rows."""

_ID = pa.binary(16)
_SCHEMA = pa.schema([pa.field(name, kind, nullable=False) for name, kind in [("key", _ID), ("item", _ID), ("kind", pa.string()), ("answer", pa.string())]])
_ROW_GROUP = 1024
"""A lookup decodes whole row groups: 512 and 2,048 were slower at a million calls (benchmarks/calls.py)."""
# Statistics of other columns and dictionaries of answers would make the footer, which every lookup reads, ten times as long.
_LAYOUT: dict[str, Any] = {
    "row_group": _ROW_GROUP,
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["kind"],
    "write_statistics": ["item"],
}
_NAME = re.compile(r"(?P<lo>[0-9a-f]{8})-(?P<hi>[0-9a-f]{8})-(?P<name>[\w.-]+)\.parquet", re.ASCII)
_MERGED = "merged-"


class CallStore:
    """The calls of one data folder. Safe to use from several threads and processes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, entries: Iterable[Entry], name: str) -> Path | None:
        """Store finished calls as the file of this name, in place of one that has the name already; no file for no calls."""
        rows = [(bytes.fromhex(entry.item), bytes.fromhex(entry.key), answer_to_json(entry.answer)) for entry in entries]
        if not rows:
            return None
        rows.sort(key=lambda row: row[:2])
        kinds, answers = [row[2]["kind"] for row in rows], [canonical_json(row[2]).decode() for row in rows]
        table = pa.table([[row[1] for row in rows], [row[0] for row in rows], kinds, answers], schema=_SCHEMA)
        path = self._write(table, name)
        # A journal's calls that were handed over while it was written are in a file of nearly this name.
        for older in self.root.glob(f"{'[0-9a-f]' * 8}-{'[0-9a-f]' * 8}-{name}.*parquet"):
            if older != path:
                older.unlink(missing_ok=True)
        return path

    def absorb(self, journal: Path) -> int:
        """Take a journal's calls over and remove it; gives their number. Raises RunBusyError if it is open elsewhere."""
        with Journal.open(journal) as opened:
            self.add(opened.entries(), f"{journal.parent.name}-{journal.stem}")
            # Removed while still held: nobody can open it in between and write into a file without a name.
            _remove(journal)
        self.compact()
        return len(opened)

    def load(self, items: Iterable[str]) -> dict[str, Answer]:
        """Give the answers to all stored calls of these records, by key. Raises StorageError if a file is damaged."""
        wanted = sorted({bytes.fromhex(item) for item in items})
        for _ in range(MERGE):
            # A file merged away between listing and opening is no loss: the merged one is there by now.
            with suppress(FileNotFoundError):
                return self._load(wanted)
        raise StorageError(f"files of {self.root} vanish while they are read: does something else clean up there?")

    def sweep(self, journal_root: Path, live: Collection[str] = ()) -> int:
        """Take over the journals of runs that nobody works on, except those in `live`; gives the number of calls."""
        taken = 0
        for folder in sorted(journal_root.glob("*/")):
            if folder.name in live:
                continue
            try:
                with hold_run(journal_root.parent, folder.name):
                    taken += sum(self.absorb(journal) for journal in sorted(folder.glob("*.journal")))
                    with suppress(OSError):  # somebody keeps a file of their own there
                        folder.rmdir()
            except RunBusyError:
                continue
        return taken

    def compact(self) -> None:
        """Merge small files while there are enough of them, unless another process is at it."""
        with self._alone() as alone:
            while alone and len(small := [path for path in self._files() if not _name(path).startswith(_MERGED)]) >= MERGE:
                self._merge(small[:MERGE])

    def _merge(self, paths: list[Path]) -> None:
        digest = hashlib.sha256("\n".join(path.name for path in paths).encode()).hexdigest()
        table = pa.concat_tables([_read(path) for path in paths]).sort_by([("item", "ascending"), ("key", "ascending")])
        self._write(_without_repeats(table), _MERGED + digest[:16])
        for path in paths:
            path.unlink(missing_ok=True)

    def _write(self, table: pa.Table, name: str) -> Path:
        lo, hi = (table["item"][index].as_py()[:4].hex() for index in (0, -1))
        path = self.root / f"{lo}-{hi}-{name}.parquet"
        if not _NAME.fullmatch(path.name):
            raise ValueError(f"not a name for a file of calls: {name!r}")
        write_table(path, table, **_LAYOUT)
        return path

    def _load(self, wanted: list[bytes]) -> dict[str, Answer]:
        found: dict[str, Answer] = {}
        for path in self._files():
            match = _NAME.fullmatch(path.name)
            if match and _any_between(wanted, bytes.fromhex(match["lo"]), bytes.fromhex(match["hi"]) + b"\xff" * 12):
                for key, answer in _lookup(path, wanted):
                    found.setdefault(key.hex(), answer)
        return found

    def _files(self) -> list[Path]:
        return sorted(path for path in self.root.glob("*.parquet") if _NAME.fullmatch(path.name))

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        # Of hosts that share a store each may merge: the same files make the same merged one.
        here = local_root(self.root)
        here.mkdir(parents=True, exist_ok=True)
        with open(here / "lock", "ab") as file:
            try:
                locks.take(file.fileno())
            except BlockingIOError:
                yield False
                return
            try:
                yield True
            finally:
                locks.let_go(file.fileno())


def _lookup(path: Path, wanted: list[bytes]) -> Iterator[tuple[bytes, Answer]]:
    values = pa.array(wanted, _ID)
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            bounds = file.metadata.row_group(group).column(_SCHEMA.get_field_index("item")).statistics
            if not _any_between(wanted, bounds.min, bounds.max):
                continue
            hits = pc.is_in(file.read_row_group(group, columns=["item"])["item"], value_set=values)
            if pc.any(hits).as_py():
                rows = file.read_row_group(group, columns=["key", "answer"]).filter(hits)
                yield from ((row["key"], answer_from_json(json.loads(row["answer"]))) for row in rows.to_pylist())


def _remove(path: Path) -> None:
    try:
        path.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error, "remove") from error


def _read(path: Path) -> pa.Table:
    with _opened(path) as file:
        return file.read()


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pa.memory_map(os.fspath(path)) as source, pq.ParquetFile(source, pre_buffer=False) as file:
            if not file.schema_arrow.equals(_SCHEMA):
                raise pa.ArrowInvalid("other columns than a call store's")
            yield file
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        cause = str(error).splitlines()[0]
        raise StorageError(f"{path}, a file of finished calls, is damaged ({cause:.200}): delete it; its calls are asked again when they are needed") from error


def _any_between(wanted: list[bytes], lo: bytes, hi: bytes) -> bool:
    at = bisect_left(wanted, lo)
    return at < len(wanted) and wanted[at] <= hi


def _without_repeats(table: pa.Table) -> pa.Table:
    names = list(zip(table["item"].to_pylist(), table["key"].to_pylist(), strict=True))
    return table.filter(pa.array([at == 0 or name != names[at - 1] for at, name in enumerate(names)], pa.bool_()))


def _name(path: Path) -> str:
    match = _NAME.fullmatch(path.name)
    return match["name"] if match else ""
