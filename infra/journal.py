"""The crash-safe store of finished engine calls inside a shard.

An append-only file of frames: payload length and CRC-32 (4 bytes each, little-endian; the CRC covers the length too), then canonical JSON of
key, item and answer. When `put` returns, the kernel has the frame: it survives `kill -9`. One thread in the process syncs all
open journals every `WINDOW_S`: a power loss costs at most the calls of the last window and of the sync then under way.
Only an index of keys to offsets is in memory; answers are read back from the file.
"""

import json
import logging
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infra import locks
from infra.storage import make_folder, storage_error, sync_folder
from schemas.engine import Answer, answer_from_json, answer_to_json
from schemas.errors import RunBusyError, StorageError
from schemas.identity import canonical_json

WINDOW_S = 0.05
"""Longest time between a `put` and the start of the sync that makes it durable."""

_HEAD = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished call: its content key, the record it was made for, and the answer."""

    key: str
    item: str
    answer: Answer
    engine_s: float = 0.0
    """What the call took of its engine; not handed on to the call store."""


@dataclass(frozen=True, slots=True)
class _Frame:
    offset: int
    """Of the payload."""
    length: int


class Journal:
    """The finished calls of one shard. Safe to use from several threads.

    with Journal.open(folder.journal("responses", 7)) as journal:
        answer = journal.get(request.key) or journal.put(request.key, prompt_id, await engine.call(request, deadlines))
    """

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle
        self._index: dict[str, _Frame] = {}
        self._end = 0
        self._synced = 0
        self._fault: OSError | None = None
        self._open = True
        self._writing = threading.Lock()
        self._syncing = threading.Lock()
        """Held during a sync, so that `close` can't take the file from under it, without holding up `put`."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create a journal; whatever is torn or corrupt at its end is cut off."""
        try:
            make_folder(path.parent)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            sync_folder(path.parent)
        except OSError as error:
            raise storage_error(path, error) from error
        journal = cls(path, handle)
        try:
            journal._take()
            journal._recover()
        except OSError as error:
            journal._let_go()
            raise storage_error(path, error) from error
        except RunBusyError:
            os.close(handle)
            raise
        return journal

    def get(self, key: str) -> Answer | None:
        """Give the answer to a call that is finished."""
        entry = self.entry(key)
        return None if entry is None else entry.answer

    def entry(self, key: str) -> Entry | None:
        """Give a finished call with what it took."""
        frame = self._index.get(key)
        return None if frame is None else self._read(frame)

    def put(self, key: str, item: str, answer: Answer, *, engine_s: float = 0.0, durable: bool = False) -> Answer:
        """Keep a finished call and return the answer that holds: the first one put under this key.

        On return it survives the death of the process; with `durable`, it waits until it survives a power loss as well.
        """
        payload = _encode(key, item, answer, engine_s)
        with self._writing:
            self._refuse_if_broken()
            held = self._index.get(key)
            if held is None:
                self._append(key, payload)
        if held is not None:
            return self._read(held).answer
        if durable:
            self.sync()
        else:
            _syncer.mark(self)
        return answer

    def entries(self) -> Iterator[Entry]:
        """Go through all finished calls in the order in which they were put."""
        for frame in list(self._index.values()):
            yield self._read(frame)

    def __len__(self) -> int:
        """Count the finished calls."""
        return len(self._index)

    @property
    def closed(self) -> bool:
        """Whether the file has been let go."""
        return not self._open

    def sync(self) -> None:
        """Make everything put so far survive a power loss. Raises StorageError."""
        with self._syncing:
            end = self._end
            if self._open and end != self._synced:
                try:
                    os.fdatasync(self._handle)
                except OSError as error:
                    # The kernel may have thrown the pages away: a later sync that succeeds would prove nothing.
                    self._fault = error
                else:
                    self._synced = end
        self._refuse_if_broken()

    def close(self) -> None:
        """Sync and let the file go. Closing twice is harmless. Raises StorageError if something put could not be made durable."""
        if not self._open:
            return
        try:
            self.sync()
        finally:
            with self._writing, self._syncing:
                if self._open:
                    self._open = False
                    self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self) -> None:
        try:
            locks.take(self._handle)
        except BlockingIOError as error:
            raise RunBusyError(f"the journal {self.path} is open elsewhere: another process works on this run, or this one opened it twice") from error

    def _let_go(self) -> None:
        locks.let_go(self._handle)
        os.close(self._handle)

    def _recover(self) -> None:
        size = os.fstat(self._handle).st_size
        with open(self._handle, "rb", closefd=False) as file:
            while head := file.read(_HEAD.size):
                payload = _payload(head, file.read(_claimed(head, size - self._end)))
                if payload is None:
                    break
                key = json.loads(payload)["key"]
                self._index.setdefault(key, _Frame(self._end + _HEAD.size, len(payload)))
                self._end += _HEAD.size + len(payload)
        self._synced = self._end
        if self._end < size:
            _log.warning("%s: the last %d bytes were torn by a crash and are cut off; %d calls are intact", self.path, size - self._end, len(self))
            os.ftruncate(self._handle, self._end)

    def _append(self, key: str, payload: bytes) -> None:
        data = _HEAD.pack(len(payload), _crc(payload)) + payload
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._handle, data[written:], self._end + written)
        except OSError as error:
            # If this too is refused, the next put writes over the torn frame, or the next open cuts it off.
            with suppress(OSError):
                os.ftruncate(self._handle, self._end)
            raise storage_error(self.path, error) from error
        self._index[key] = _Frame(self._end + _HEAD.size, len(payload))
        self._end += len(data)

    def _read(self, frame: _Frame) -> Entry:
        try:
            payload = os.pread(self._handle, frame.length, frame.offset)
        except OSError as error:
            raise storage_error(self.path, error, "read") from error
        value = json.loads(payload)
        return Entry(value["key"], value["item"], answer_from_json(value["answer"]), value.get("engine_s", 0.0))

    def _refuse_if_broken(self) -> None:
        if self._fault is not None:
            raise storage_error(self.path, self._fault, "sync") from self._fault
        if not self._open:
            raise StorageError(f"the journal {self.path} is closed")


class _Syncer:
    """The one thread of this process that syncs journals: whatever was marked in a window is synced at its end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._marked: set[Journal] = set()
        self._thread: threading.Thread | None = None

    def mark(self, journal: Journal) -> None:
        with self._changed:
            if journal in self._marked:
                return
            self._marked.add(journal)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._marked)
            time.sleep(WINDOW_S)
            with self._changed:
                taken, self._marked = self._marked, set()
            for journal in taken:
                # The fault is kept in the journal and raised to the next who puts or closes.
                with suppress(StorageError):
                    journal.sync()


_syncer = _Syncer()


def _start_anew() -> None:
    """Forget the parent's thread, which a fork doesn't take along."""
    global _syncer
    _syncer = _Syncer()


os.register_at_fork(after_in_child=_start_anew)


def _encode(key: str, item: str, answer: Answer, engine_s: float) -> bytes:
    took = {"engine_s": round(engine_s, 6)} if engine_s else {}
    return canonical_json({"key": key, "item": item, "answer": answer_to_json(answer)} | took)


def _crc(payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_LENGTH.pack(len(payload))))


def _claimed(head: bytes, left: int) -> int:
    """Read how long a frame says it is; 0 if that is more than the file holds."""
    if len(head) < _HEAD.size:
        return 0
    length: int = _HEAD.unpack(head)[0]
    return length if length <= left - _HEAD.size else 0


def _payload(head: bytes, payload: bytes) -> bytes | None:
    """Give the payload if the frame is whole."""
    if not payload or _HEAD.unpack(head) != (len(payload), _crc(payload)):
        return None
    return payload
