"""Paths of an object store (`s3://bucket/prefix`, through fsspec) that are read like any other path, and the local folder beside them.

An object is written whole, under its final name: there is no rename, and none is needed, as nothing of an upload shows before its end. Whoever reads one gets a
local copy of it as it stands at that moment (`__fspath__`): so memory maps, Parquet readers and NumPy work on it as on a file. Copies are kept by ETag under
GRISTMILL_SCRATCH, for as long as they are of use. What can't be on an object store (journals that are appended to, locks, a SQLite ledger, logs)
stands under the same names in the scratch folder: `local_root`. Endpoint and credentials are those that every AWS tool reads (AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID …); none of them is ever written anywhere.
"""

import errno
import hashlib
import itertools
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path, PosixPath
from typing import IO, Any

from schemas.errors import SettingsError, StorageError

UNUSED_S = 86_400.0
"""How long a local copy is kept without being read."""
STALE_S = 86_400.0
"""Age from which an unfinished upload in parts belongs to nobody any more: no file of ours takes a day."""

_URL = re.compile(r"(?P<scheme>s3):/+(?P<key>[^/].*)")
_CONNECTION: dict[str, Any] = {
    # The server's listing is asked each time: other hosts write there, too.
    "use_listings_cache": False,
    "skip_instance_cache": True,
    "config_kwargs": {"retries": {"max_attempts": 8, "mode": "standard"}, "connect_timeout": 10, "read_timeout": 60, "max_pool_connections": 32},
}
_serial = itertools.count()


class SharedPath(PosixPath):
    """A name in an object store. To write there, use infra/storage.py, as for any data file."""

    def __str__(self) -> str:
        scheme, *rest = self.parts
        return f"{scheme}//{'/'.join(rest)}"

    def __fspath__(self) -> str:
        return str(_local_copy(self))

    @property
    def key(self) -> str:
        """Bucket and name, as fsspec has them."""
        return "/".join(self.parts[1:])

    def is_absolute(self) -> bool:
        """An address is one from anywhere."""
        return True

    def absolute(self) -> "SharedPath":
        """Give the same address."""
        return self

    def relative_to(self, *other: Any, **more: Any) -> Path:  # type: ignore[override]
        """Give the rest of the name below another, which is no address any more."""
        return Path(*super().relative_to(*other, **more).parts)

    def resolve(self, strict: bool = False) -> "SharedPath":
        """Give the same address: there are no links."""
        return self

    def exists(self, **_: Any) -> bool:
        """Say whether there is an object of this name, or any below it."""
        return _look(self) is not None

    def is_file(self, **_: Any) -> bool:
        """Say whether there is an object of this name."""
        found = _look(self)
        return found is not None and found["type"] == "file"

    def is_dir(self, **_: Any) -> bool:
        """Say whether there are objects below this name."""
        found = _look(self)
        return found is not None and found["type"] == "directory"

    def is_symlink(self) -> bool:
        """There are none."""
        return False

    def stat(self, **_: Any) -> os.stat_result:
        """Give size and time. Raises FileNotFoundError."""
        found = _look(self)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such object", str(self))
        when = found["LastModified"].timestamp() if "LastModified" in found else 0.0
        mode = stat.S_IFREG if found["type"] == "file" else stat.S_IFDIR
        return os.stat_result((mode | 0o444, 0, 0, 1, 0, 0, found["size"], int(when), int(when), int(when)), {"st_mtime_ns": int(when * 1e9)})

    def open(self, mode: str = "r", *arguments: Any, **more: Any) -> IO[Any]:  # type: ignore[override]
        """Open a local copy for reading."""
        if set(mode) - set("rbt"):
            raise StorageError(f"{self} can't be opened for writing: objects are written whole")
        return open(self.__fspath__(), mode, *arguments, **more)

    def stream(self) -> IO[bytes]:
        """Read the object itself, not a copy that may be of an earlier moment."""
        with talking(self, "read"):
            found: IO[bytes] = store().open(self.key, "rb", block_size=8 << 20, cache_type="readahead")
            return found

    def iterdir(self) -> Generator["SharedPath", None, None]:
        """List the names right below."""
        yield from self._listed(lambda: store().ls(self.key, detail=False))

    def glob(self, pattern: str) -> Generator["SharedPath", None, None]:
        """List the names below that match."""
        yield from self._listed(lambda: store().glob(f"{self.key}/{pattern}"))

    def rglob(self, pattern: str) -> Generator["SharedPath", None, None]:
        """List the objects at any depth whose last part matches."""
        yield from (one for one in self._listed(lambda: store().find(self.key)) if one.match(pattern))

    def _listed(self, ask: Callable[[], list[str]]) -> Iterator["SharedPath"]:
        with talking(self, "list"):
            try:
                found = ask()
            except FileNotFoundError:
                found = []
        yield from (place_of(self, key) for key in sorted(found) if key != self.key)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object; one that isn't there is none to complain of."""
        with talking(self, "remove"), suppress(FileNotFoundError):
            store().rm_file(self.key)

    def mkdir(self, *_: Any, **__: Any) -> None:
        """Do nothing: there are no folders."""


def place(text: str | os.PathLike[str]) -> Path:
    """Read a path as users write it: of the file system, `file://…`, or of an object store, `s3://bucket/prefix`. Raises SettingsError."""
    if isinstance(text, Path) and (isinstance(text, SharedPath) or not str(text).startswith("s3:")):
        return text
    written = str(text)
    found = _URL.fullmatch(written)
    if found:
        return SharedPath(f"{found['scheme']}:", *found["key"].strip("/").split("/"))
    if written.startswith("file:"):
        return Path(re.sub(r"^file:(//)?(?=/)", "", written))
    if re.match(r"[a-z][a-z0-9+]*://", written):
        raise SettingsError(f"{written.partition('?')[0]!r} is no place for data: give a folder, file:///folder, or s3://bucket/prefix")
    return Path(written)


def place_of(root: SharedPath, key: str) -> SharedPath:
    """Make a path of a key in the same store."""
    return SharedPath(root.parts[0], *key.split("/"))


def scratch() -> Path:
    """Give this host's folder for what can't be on an object store."""
    return Path(os.environ.get("GRISTMILL_SCRATCH") or "data").absolute()


def local_root(path: Path) -> Path:
    """Give the folder of this host that stands beside a path: the path itself, where that is of a file system."""
    if isinstance(path, SharedPath):
        return scratch().joinpath(*(part.rstrip(":") for part in path.parts))
    return path


def store() -> Any:
    """Give this process's connection to the object store."""
    return _connect(os.getpid(), os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))


@lru_cache(maxsize=4)
def _connect(_process: int, endpoint: str | None) -> Any:
    # Keyed by process as well: the library's event loop does not survive a fork.
    from s3fs import S3FileSystem

    return S3FileSystem(endpoint_url=endpoint, **_CONNECTION)


@contextmanager
def talking(path: Path, doing: str) -> Iterator[None]:
    """Say what the store refused, and what to do; that something isn't there stays FileNotFoundError, but where it is written to."""
    try:
        yield
    except (StorageError, SettingsError):
        raise
    except FileNotFoundError as error:
        if doing != "write":
            raise
        raise StorageError(f"can't write {path}: {error}: is there a bucket of this name? GRISTMILL_DATA names it") from error
    except Exception as error:
        raise StorageError(
            f"can't {doing} {path}: {str(error) or type(error).__name__}; see AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what "
            "this key may do, then run the same command again: it goes on where it stopped"
        ) from error


def put(source: Path, target: SharedPath) -> None:
    """Upload a file: the object appears whole, at the end. The file becomes the local copy."""
    with talking(target, "write"):
        store().put_file(str(source), target.key)
        held = _held(target, store().info(target.key))
    held.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, held)


def copy(source: SharedPath, target: SharedPath) -> None:
    """Copy an object within the store."""
    with talking(target, "write"):
        store().cp_file(source.key, target.key)


def remove_below(folder: SharedPath) -> None:
    """Remove all objects below a name, and what was begun to be uploaded there in parts."""
    with talking(folder, "remove"):
        found = store().find(folder.key)
        if found:
            store().rm(found)
    sweep_uploads(folder, older_s=0.0)


def sweep_uploads(folder: SharedPath, *, older_s: float = STALE_S) -> int:
    """Let go of uploads in parts that nobody will finish, as after a killed process: they show nowhere, but are paid for. Gives their number."""
    bucket, _, prefix = folder.key.partition("/")
    now = datetime.now(UTC)
    swept = 0
    with talking(folder, "list"):
        for one in store().list_multipart_uploads(bucket):
            if one["Key"].startswith(f"{prefix}/" if prefix else "") and (now - one["Initiated"]).total_seconds() >= older_s:
                with suppress(FileNotFoundError):
                    store().abort_mpu(bucket, one["Key"], one["UploadId"])
                swept += 1
    return swept


def temporary_for(path: Path) -> Path:
    """Name a file of this host's in which an object is made before it is uploaded."""
    folder = scratch() / "cache" / "made"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f".{path.name}.{os.getpid()}-{next(_serial)}.tmp"


def tidy_copies() -> None:
    """Remove local copies that nobody has read for a day, and what dead processes left half-made."""
    limit = time.time() - UNUSED_S
    for file in (scratch() / "cache").glob("*/**/*"):
        with suppress(OSError):
            if file.is_file() and file.stat().st_mtime < limit:
                file.unlink()
                file.parent.rmdir()


def _look(path: SharedPath) -> dict[str, Any] | None:
    try:
        with talking(path, "read"):
            found: dict[str, Any] = store().info(path.key)
            return found
    except FileNotFoundError:
        return None


def _local_copy(path: SharedPath) -> Path:
    found = _look(path)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "no such object", str(path))
    if found["type"] != "file":
        raise IsADirectoryError(errno.EISDIR, "a folder, not an object", str(path))
    held = _held(path, found)
    try:
        os.utime(held)
    except FileNotFoundError:
        _fetch(path, held)
    return held


def _fetch(path: SharedPath, held: Path) -> None:
    temporary = temporary_for(path)
    try:
        with talking(path, "read"):
            store().get_file(path.key, str(temporary))
        held.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(temporary, held)
    finally:
        temporary.unlink(missing_ok=True)


def _held(path: SharedPath, found: dict[str, Any]) -> Path:
    """Name the local copy of an object as it stands: by address, ETag and size."""
    digest = hashlib.sha256(f"{path}\0{found.get('ETag')}\0{found['size']}".encode()).hexdigest()[:32]
    return scratch() / "cache" / digest[:2] / digest / path.name
