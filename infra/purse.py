"""What a run has spent, in one small file that all its processes share: counted before a call begins, so that a cap is never passed by a call too many.

A change is one locked read and write of 40 bytes, some 5 µs. What is written survives the death of any process; it is not synced, as after a power
loss the run begins again from what its ledger knows.
"""

import os
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from infra import locks
from infra.storage import make_folder, storage_error

_FORMAT = struct.Struct("<qqqdd")


@dataclass(frozen=True, slots=True)
class Sums:
    """What was spent."""

    calls: int = 0
    """Made or being made."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0
    seconds: float = 0.0
    """Of the run, over all its resumes."""

    @property
    def tokens(self) -> int:
        """Read and written."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Caps:
    """What may be spent; None is no cap."""

    calls: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    money: float | None = None

    def reached(self, sums: Sums, more: int = 1) -> str | None:
        """Name the cap that leaves no room for so many more calls."""
        begun = replace(sums, calls=sums.calls + more - 1)
        names = ("calls", "tokens", "seconds", "money")
        return next((name for name in names if (cap := getattr(self, name)) is not None and getattr(begun, name) >= cap), None)


NO_CAPS = Caps()


class Purse:
    """One run's sums; any number of processes and threads may share it."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or begin a run's purse."""
        try:
            make_folder(path.parent)
            return cls(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
        except OSError as error:
            raise storage_error(path, error) from error

    def read(self) -> Sums:
        """Read the sums."""
        return self._change(lambda sums: sums)

    def admit(self, caps: Caps, calls: int = 1) -> str | None:
        """Count calls in that are made as one, unless a cap is reached: then name it."""
        reached: list[str] = []

        def change(sums: Sums) -> Sums:
            name = caps.reached(sums, calls)
            if name is not None:
                reached.append(name)
                return sums
            return replace(sums, calls=sums.calls + calls)

        self._change(change)
        return reached[0] if reached else None

    def give_back(self, calls: int = 1) -> None:
        """Count calls out that came to nothing."""
        self._change(lambda sums: replace(sums, calls=max(0, sums.calls - calls)))

    def add(self, *, prompt_tokens: int = 0, completion_tokens: int = 0, money: float = 0.0, seconds: float = 0.0) -> None:
        """Add what a call, or a while, has cost."""
        self._change(
            lambda sums: replace(
                sums,
                prompt_tokens=sums.prompt_tokens + prompt_tokens,
                completion_tokens=sums.completion_tokens + completion_tokens,
                money=sums.money + money,
                seconds=sums.seconds + seconds,
            )
        )

    def at_least(self, known: Sums) -> None:
        """Take over what the ledger knows, where it is more."""
        names = ("calls", "prompt_tokens", "completion_tokens", "money", "seconds")
        self._change(lambda sums: Sums(*(max(getattr(sums, name), getattr(known, name)) for name in names)))

    def close(self) -> None:
        """Let the file go."""
        os.close(self._handle)

    def _change(self, change: Callable[[Sums], Sums]) -> Sums:
        try:
            with self._lock, locks.held(self._handle, wait=True):
                held = os.pread(self._handle, _FORMAT.size, 0)
                before = Sums(*_FORMAT.unpack(held)) if len(held) == _FORMAT.size else Sums()
                after = change(before)
                if after is not before:
                    os.pwrite(self._handle, _FORMAT.pack(after.calls, after.prompt_tokens, after.completion_tokens, after.money, after.seconds), 0)
                return after
        except OSError as error:
            raise storage_error(self.path, error) from error
