"""Writes a release as a trainer's own files: streamed, sharded, the same bytes every time, and all of it or nothing.

An export mirrors its release: OUT/<data set>/<split>/part-00000.jsonl. Beside the data stand `left_out.jsonl`, which names every record that is
not in it and why, `NOTICE`, and `export.json`, the manifest, which is written last. All is built in a hidden folder beside OUT and renamed.
"""

import errno
import importlib
import os
import pkgutil
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from infra import locks
from infra.storage import damaged, make_folder, replacing, sha256_file, storage_error, sync_folder, write_text
from schemas.contract import from_row
from schemas.errors import AccountingError, ContractError, NotFoundError, RunBusyError, StorageError
from tasks.discovery import suggest
from tasks.release.card import pretty_json
from tasks.release.export_card import write_export_card
from tasks.release.export_manifest import EXPORT_MANIFEST, Touched, export_notice, json_line, manifest_json
from tasks.release.export_rows import LeftOut, Published, Rows, check_record, record_id
from tasks.release.inputs import DATA_SETS
from tasks.release.manifest import MANIFEST, read_manifest

LEFT_OUT = "left_out.jsonl"
ROWS_PER_FILE = 100_000
BATCH = 512
"""Rows in memory at once: some 3 MB of conversations as Python objects."""

_READS = {"sft": "from_sft", "preferences": "from_preferences", "prompts": "from_prompts"}


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A format as a user sees it."""

    name: str
    purpose: str
    reads: Mapping[str, Callable[[Any], Rows | LeftOut]]
    """Data set of a release to the function that writes its rows."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Which rows may go, and how files are cut."""

    without_llama: bool = False
    max_tokens: int | None = None
    rows_per_file: int = ROWS_PER_FILE


@dataclass(slots=True)
class SplitCount:
    """What became of one split's records."""

    records: int = 0
    exported: int = 0
    rows: int = 0
    """Rows written; some formats make two of a pair."""
    left_out: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        """Write for the manifest."""
        return {"records": self.records, "exported": self.exported, "rows": self.rows, "left_out": dict(sorted(self.left_out.items()))}


def format_names() -> tuple[str, ...]:
    """List the formats there are."""
    package = importlib.import_module("tasks.exports")
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(package.__path__)))


def find_format(name: str) -> ExportFormat:
    """Find a format by name. Raises NotFoundError with the names there are."""
    if name not in format_names():
        raise NotFoundError(f"unknown format {name!r}: {suggest(name, format_names())}")
    module: ModuleType = importlib.import_module(f"tasks.exports.{name.replace('-', '_')}")
    reads = {data_set: getattr(module, function) for data_set, function in _READS.items() if hasattr(module, function)}
    return ExportFormat(name, (module.__doc__ or "").partition("\n")[0], reads)


def export_release(release: Path, to: ExportFormat, out: Path, options: ExportOptions | None = None) -> dict[str, Any]:
    """Write a release in a format into a folder that is new or empty, and give the export's manifest.

    Raises NotFoundError where the release has no rows of the kind, or where none of them is left; ContractError where its files are damaged.
    """
    manifest = read_manifest(release)
    sets = [data_set for data_set in to.reads if any(rows for name, rows in manifest["rows"].items() if name.startswith(f"{data_set}/"))]
    if not sets:
        there = ", ".join(f"{rows:,} in {name}" for name, rows in manifest["rows"].items() if rows) or "none"
        raise NotFoundError(f"{to.name} is made of {' and '.join(to.reads)}, of which {release} has no rows (it has {there})")
    out = Path(os.path.abspath(out))
    _refuse_occupied(out, release)
    with _partial_of(out) as partial:
        made = _Export(release, to, partial, options or ExportOptions()).write(manifest, sets)
        _reveal(partial, out)
    return made


class _Export:
    """One export under way."""

    def __init__(self, release: Path, to: ExportFormat, folder: Path, options: ExportOptions) -> None:
        self._release = release
        self._to = to
        self._folder = folder
        self._options = options
        self._touched = Touched()
        self._counts: dict[str, SplitCount] = {}

    def write(self, manifest: Mapping[str, Any], sets: list[str]) -> dict[str, Any]:
        """Write all files and, last, the manifest."""
        with replacing(self._folder / LEFT_OUT) as left_out:
            for data_set in sets:
                for split in ("train", "validation"):
                    self._write_split(manifest, data_set, split, left_out)
        if not any(count.exported for count in self._counts.values()):
            raise NotFoundError(f"nothing of {self._release} is left for {self._to.name}: {self._losses()}")
        write_text(self._folder / "NOTICE", export_notice(manifest, self._touched))
        rows = {name: count.rows for name, count in self._counts.items() if count.rows}
        rehearsal = bool(manifest["rehearsal"] or self._touched.rehearsals)
        to = {"name": self._to.name, "purpose": self._to.purpose}
        write_text(self._folder / "README.md", write_export_card(manifest, to, rows, self._touched.obligations(), rehearsal=rehearsal))
        counts = {name: count.to_json() for name, count in self._counts.items()}
        made = manifest_json(self._about(manifest), counts=counts, touched=self._touched, folder=self._folder)
        write_text(self._folder / EXPORT_MANIFEST, pretty_json(made))
        return made

    def _write_split(self, manifest: Mapping[str, Any], data_set: str, split: str, left_out: IO[bytes]) -> None:
        name = f"{data_set}/{split}"
        count = self._counts[name] = SplitCount()
        with _Shards(self._folder / name, self._options.rows_per_file) as shards:
            for record in _records(self._release, manifest, name):
                made = self._rows_of(record, data_set)
                count.records += 1
                if isinstance(made, LeftOut):
                    count.left_out[made.reason] += 1
                    left_out.write(json_line({"data_set": data_set, "split": split, "id": record_id(record), **asdict(made)}))
                    continue
                count.exported += 1
                count.rows += len(made)
                self._touched.add(record)
                for row in made:
                    shards.write(json_line(row))
        _refuse_lost_rows(name, count, manifest["rows"].get(name, 0))

    def _rows_of(self, record: Published, data_set: str) -> Rows | LeftOut:
        fault = check_record(record, without_llama=self._options.without_llama, max_tokens=self._options.max_tokens)
        return fault or self._to.reads[data_set](record)

    def _about(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        source = {name: manifest[name] for name in ("name", "version", "run_id", "fingerprint", "rehearsal")}
        source["manifest_sha256"] = sha256_file(self._release / MANIFEST)
        return {"to": {"name": self._to.name, "purpose": self._to.purpose}, "release": source, "options": asdict(self._options)}

    def _losses(self) -> str:
        lost = sum((count.left_out for count in self._counts.values()), Counter[str]())
        return ", ".join(f"{reason} {rows:,}" for reason, rows in sorted(lost.items()))


class _Shards:
    """Cuts a stream of lines into files of `rows` lines; a split without rows gets no file, as `datasets` refuses an empty one."""

    def __init__(self, folder: Path, rows: int) -> None:
        self._folder = folder
        self._rows = rows
        self._written = 0
        self._open = ExitStack()
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "_Shards":
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._open.__exit__(*error)

    def write(self, line: bytes) -> None:
        """Append a line, to a new file where the last one is full."""
        if self._file is None or self._written % self._rows == 0:
            self._open.close()
            self._file = self._open.enter_context(replacing(self._folder / f"part-{self._written // self._rows:05d}.jsonl"))
        self._file.write(line)
        self._written += 1


def _records(release: Path, manifest: Mapping[str, Any], name: str) -> Iterator[Published]:
    """Read a split's records in order, a batch at a time, from files whose checksums are as the release's manifest says."""
    record = DATA_SETS[name.partition("/")[0]]
    for listed in manifest["files"]:
        if listed["path"].rpartition("/")[0] != name:
            continue
        path = release / listed["path"]
        if sha256_file(path) != listed["sha256"]:
            raise ContractError(f"{path} is not as its release's manifest says: see gristmill releases verify {release}")
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=BATCH):
                    yield from (from_row(record, row) for row in batch.to_pylist())
        except (pa.ArrowException, OSError) as error:
            raise damaged(path, error) from error


def _refuse_lost_rows(name: str, count: SplitCount, promised: int) -> None:
    if not count.records == promised == count.exported + sum(count.left_out.values()):
        raise AccountingError(f"{name}: the release has {promised} rows, {count.records} were read, {count.exported} exported, {dict(count.left_out)} left out")


def _refuse_occupied(out: Path, release: Path) -> None:
    if out.resolve().is_relative_to(release.resolve()):
        raise StorageError(f"{out} is inside the release {release}, which never changes: name a folder elsewhere with --out")
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise StorageError(f"{out} is there already and not empty: name another folder with --out, or move it away")
    except OSError as error:
        raise storage_error(out, error, "read") from error


@contextmanager
def _partial_of(out: Path) -> Iterator[Path]:
    """Offer an empty hidden folder beside `out`, for this process alone; what a dead one left there is cleared, and so is a failure's."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        make_folder(partial)
        handle = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise storage_error(partial, error) from error
    try:
        _take_alone(handle, out)
        try:
            _clear(partial)
            yield partial
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    finally:
        locks.let_go(handle)
        os.close(handle)


def _take_alone(handle: int, out: Path) -> None:
    try:
        locks.take(handle)
    except BlockingIOError as error:
        raise RunBusyError(f"another process exports to {out}: wait for it, or name another folder with --out") from error


def _clear(folder: Path) -> None:
    for one in folder.iterdir():
        shutil.rmtree(one) if one.is_dir() else one.unlink()


def _reveal(partial: Path, out: Path) -> None:
    """Make every name durable, then give the folder its own."""
    try:
        for folder, _, _ in os.walk(partial, topdown=False):
            sync_folder(Path(folder))
        os.rename(partial, out)
        sync_folder(out.parent)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise StorageError(f"{out} was made by another process meanwhile: name another folder with --out") from error
        raise storage_error(out, error) from error
