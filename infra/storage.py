"""Files that appear whole or not at all: deterministic Parquet, the run's folder, and the lock that says who works in it.

On a file system or an object store alike: no other module opens a data file for writing, and every path is made by `RunFolder`. A path of an object store
(infra/shared.py) is read like any other; `replacing` uploads to it, under the final name, as there is no rename and what is uploaded shows at its end alone.
Whole folders are the business of infra/trees.py.
"""

import errno
import hashlib
import itertools
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import pyarrow as pa
import pyarrow.parquet as pq

from infra import locks
from infra.disk import space_left
from infra.shared import SharedPath, local_root, put, temporary_for, tidy_copies
from schemas.contract import arrow_schema, from_table, to_table
from schemas.errors import ContractError, RunBusyError, StorageError

Record = TypeVar("Record")

ROW_GROUP = 8_192
"""Rows of one row group: some 20 MB of conversations, so that a reader of one group stays small."""

PUBLISHED: dict[str, Any] = {"compression": "zstd", "compression_level": 3}
"""Of files that are kept and travel: half the size of the working files, at twice the time to write and to read."""

_FORMAT: dict[str, Any] = {"compression": "lz4", "version": "2.6", "data_page_version": "1.0"}
"""Of a run's working files: each stage reads what the last one wrote, and LZ4 is read in half of Zstandard's time."""
_PROSE = frozenset({"content", "detail", "expected", "found", "ngram", "raw", "record", "text", "topics", "value"})
"""Fields without statistics: nobody looks a row up by the first and the last of many texts, and each row group's footer would hold both whole."""
_CURES = {
    errno.ENOSPC: "free some space, then run the same command again: it goes on where it stopped",
    errno.EDQUOT: "the disk quota is used up: free some space, then run the same command again: it goes on where it stopped",
    errno.EFBIG: "the limit on file sizes is reached: raise it (ulimit -f), then run the same command again",
    errno.EACCES: "give this user the right to it, or name another folder with GRISTMILL_DATA",
    errno.EPERM: "give this user the right to it, or name another folder with GRISTMILL_DATA",
    errno.EEXIST: "a file stands where a folder should be: move it away, or name another folder with GRISTMILL_DATA",
    errno.ENOTDIR: "a file stands where a folder should be: move it away, or name another folder with GRISTMILL_DATA",
    errno.EROFS: "the file system is read-only: name another folder with GRISTMILL_DATA",
}
_LOOKS, _LOOK_S = 5, 0.05
_serial = itertools.count()


def storage_error(path: Path, error: OSError, doing: str = "write") -> StorageError:
    """Say what a file system refused, how much space is left there, and what to do."""
    cure = _CURES.get(error.errno or 0, "check the disk and the path, then run the same command again")
    return StorageError(f"can't {doing} {path}: {error.strerror or error}{space_left(path)}; {cure}")


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """Offer a temporary file that takes the place of `path`, whole and durable, when the block ends well, and vanishes when it doesn't.

    What is not durable may be lost or cut short by a power loss, not by the death of a process: for files that a few seconds' work makes anew.
    """
    shared = isinstance(path, SharedPath)
    temporary = temporary_for(path) if shared else path.with_name(f".{path.name}.{os.getpid()}-{next(_serial)}.tmp")
    try:
        make_folder(temporary.parent)
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            if durable and not shared:
                os.fsync(file.fileno())
        _put_in_place(temporary, path, durable=durable)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _put_in_place(temporary: Path, path: Path, *, durable: bool) -> None:
    if isinstance(path, SharedPath):
        put(temporary, path)
        return
    os.replace(temporary, path)
    if durable:
        sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, so that they survive a power loss."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync_folder(made.parent)


def sync_folder(folder: Path) -> None:
    """Make new, renamed and removed names in a folder survive a power loss."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_table(path: Path, table: pa.Table, *, row_group: int = ROW_GROUP, **layout: Any) -> None:
    """Write Parquet: equal rows and schema give equal bytes, however the table is chunked and whatever metadata it carries.

    `layout` are further options of Arrow's Parquet writer.
    """
    plain = table.replace_schema_metadata(None)
    statistics = {"write_statistics": [column for field in plain.schema for column in _short_columns(field, field.name)]}
    with replacing(path) as file, pq.ParquetWriter(file, plain.schema, **(_FORMAT | statistics | layout)) as writer:
        for start in range(0, max(plain.num_rows, 1), row_group):
            writer.write_table(plain.slice(start, row_group).combine_chunks(), row_group_size=row_group)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read Parquet. Raises StorageError if the file is missing or damaged."""
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            return file.read(columns=columns)
    except OSError as error:
        if error.errno is not None:
            raise storage_error(path, error, "read") from error
        raise damaged(path, error) from error
    except pa.ArrowException as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> StorageError:
    """Say that a Parquet file can't be read, and what to do."""
    return StorageError(f"{path} is damaged ({str(error).splitlines()[0]:.200}); delete it and run the same command again: it is made anew")


def write_records(path: Path, records: Iterable[Any], record: type) -> None:
    """Write records as a file of exactly their contract's schema."""
    write_table(path, to_table(records, record))


def read_records(path: Path, record: type[Record]) -> list[Record]:
    """Read what `write_records` wrote. Raises ContractError if the file has another schema."""
    table, expected = read_table(path), arrow_schema(cast(type, record))
    if not table.schema.equals(expected):
        raise ContractError(f"{path} doesn't hold {record.__name__} rows: {_first_difference(expected, table.schema)}")
    return from_table(table, record)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file."""
    with replacing(path) as file:
        file.write(text.encode())


def sha256_file(path: Path) -> str:
    """Hash a file's bytes, as hex: those in the store, never those of a local copy."""
    try:
        with path.stream() if isinstance(path, SharedPath) else open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # fsspec's files have all that is asked of one
    except OSError as error:
        raise storage_error(path, error, "read") from error


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run keeps what."""

    data: Path
    run_id: str

    @property
    def root(self) -> Path:
        """The run's own folder."""
        return self.data / "runs" / self.run_id

    @property
    def local(self) -> Path:
        """The folder for what must be on this host's own disk: logs, the lock, sums that processes share."""
        return local_root(self.root)

    @property
    def lock(self) -> Path:
        """The file whose lock `hold_run` takes."""
        return self.local / "lock"

    @property
    def journals(self) -> Path:
        """The folder of the run's journals, on this host's own disk: they are appended to."""
        return local_root(self.data) / "journal" / self.run_id

    def part(self, stage: str, shard: int) -> Path:
        """Name the file of records that a shard kept."""
        return self.root / stage / f"part-{shard:05d}.parquet"

    def dropped(self, stage: str, shard: int) -> Path:
        """Name the file of `Drop` rows of a shard."""
        return self.root / stage / "dropped" / f"part-{shard:05d}.parquet"

    def parts(self, stage: str) -> list[Path]:
        """List a stage's files of kept records, by shard number."""
        return sorted((self.root / stage).glob("part-*.parquet"), key=_part_number)

    def dropped_parts(self, stage: str) -> list[Path]:
        """List a stage's files of dropped records, by shard number."""
        return sorted((self.root / stage / "dropped").glob("part-*.parquet"), key=_part_number)

    def journal(self, stage: str, shard: int) -> Path:
        """Name a shard's journal; all journals of a run lie in one folder, also those of a step (a stage name with slashes)."""
        return self.journals / f"{stage.replace('/', '.')}-{shard:05d}.journal"


@contextmanager
def hold_run(data: Path, run_id: str) -> Iterator[RunFolder]:
    """Be the only process that works on a run; the lock ends with the process, however it ends. Raises RunBusyError.

    What a dead process left half-written is removed.
    """
    folder = RunFolder(data, run_id)
    with _open_lock(folder) as file:
        if not _taken(file):
            raise RunBusyError(f"run {run_id} is being worked on by {_holder(file)}: wait for it, or stop it and run the same command again")
        try:
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
            file.flush()
            for litter in folder.local.rglob(".*.tmp"):
                litter.unlink(missing_ok=True)
            if folder.local != folder.root:
                tidy_copies()
            yield folder
        finally:
            locks.let_go(file.fileno())


def is_held(data: Path, run_id: str) -> bool | None:
    """Say whether a living process works on a run; None where this data folder has nothing of it."""
    lock = RunFolder(data, run_id).lock
    try:
        with open(lock, "rb") as file, locks.held(file.fileno(), shared=True):
            return False
    except BlockingIOError:
        return True
    except OSError:
        return None


def _taken(file: IO[bytes]) -> bool:
    """Take a run's lock; who only looks whether it is free (`is_held`) has it for microseconds, and is waited for."""
    for _ in range(_LOOKS):
        with suppress(BlockingIOError):
            locks.take(file.fileno())
            return True
        time.sleep(_LOOK_S)
    return False


def _open_lock(folder: RunFolder) -> IO[bytes]:
    try:
        folder.local.mkdir(parents=True, exist_ok=True)
        return open(folder.lock, "a+b")
    except OSError as error:
        raise storage_error(folder.lock, error) from error


def _holder(file: IO[bytes]) -> str:
    file.seek(0)
    try:
        told = json.loads(file.read())
        return f"process {told['pid']} on {told['host']}"
    except (ValueError, KeyError):
        return "another process"


def _short_columns(field: pa.Field, path: str) -> Iterator[str]:
    """List the leaf columns of a field, by Parquet's paths, that get statistics."""
    if field.name in _PROSE:
        return
    if pa.types.is_struct(field.type):
        for inner in field.type:
            yield from _short_columns(inner, f"{path}.{inner.name}")
    elif pa.types.is_list(field.type) or pa.types.is_large_list(field.type):
        yield from _short_columns(field.type.value_field, f"{path}.list.element")
    else:
        yield path


def _part_number(path: Path) -> int:
    return int(path.stem.removeprefix("part-"))


def _first_difference(expected: pa.Schema, found: pa.Schema) -> str:
    for field in expected:
        index = found.get_field_index(field.name)
        if index < 0:
            return f"the column {field.name} is missing"
        if not found.field(index).equals(field):
            return f"the column {field.name} is {found.field(index).type}, not {field.type}, or differs in what may be null"
    extra = [name for name in found.names if name not in expected.names]
    return f"unknown column {extra[0]}" if extra else "its columns stand in another order"
