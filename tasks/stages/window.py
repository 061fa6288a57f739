"""Which shards are worked on at once: batches that take the next shard of a common queue, and a window that widens while engines have room. Pure."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from infra.engines.meter import Reading

LOOK_S = 0.25
"""How often the window is looked at."""
MOST_TIMES = 8
"""How many times as wide as asked the window may get: it bounds the memory that shards take."""
_LOW, _HIGH = 0.25, 2.0
"""Calls that wait, as shares of the limit, below which one batch more begins, and above which one less does."""


class ShardQueue:
    """Shards that wait for a batch, whichever comes first: so batches end together, and the last shards are not one batch's alone."""

    def __init__(self, shards: Sequence[int]) -> None:
        self._left = iter(shards)
        self._count = len(shards)
        self._lock = threading.Lock()
        self._closed = False

    def batches(self, most: int) -> list["Batch"]:
        """Make batches of equal size, `most` at most, for all shards."""
        size = -(-self._count // most) or 1
        parts = -(-self._count // size)
        return [Batch(self, size, f"{part} of {parts}" + (f", {size} shards each" if size > 1 else "")) for part in range(1, parts + 1)]

    def take(self) -> int | None:
        """Take the next shard; None if there is none, or no more is to be begun."""
        with self._lock:
            return None if self._closed else next(self._left, None)

    def close(self) -> None:
        """Let no further shard begin."""
        with self._lock:
            self._closed = True


@dataclass
class Batch:
    """A number of shards, one after the other. Gone through again after a failure, it goes on with the shard that failed."""

    queue: ShardQueue
    size: int
    name: str
    taken: int = 0
    under_way: int | None = None

    def shards(self) -> Iterator[int]:
        """Give shard after shard; asking for the next says that the one before is done."""
        while self.under_way is not None or self.taken < self.size:
            if self.under_way is None:
                self.under_way = self.queue.take()
                self.taken += 1
            if self.under_way is None:
                return
            yield self.under_way
            self.under_way = None


class Window:
    """How many batches may be under way: as many as asked for; one more at each look that finds few calls waiting for a slot.

    A shard's last calls fill few slots. While all shards under way come to their ends, only a further one fills the rest.
    """

    def __init__(self, least: int, read: Callable[[], Reading]) -> None:
        self.size = least
        self._least = least
        self._read = read

    def look(self) -> None:
        """Widen or narrow by one."""
        now = self._read()
        if now.in_flight > 0 and now.waiting < _LOW * now.limit:
            self.size = min(MOST_TIMES * self._least, self.size + 1)
        elif now.waiting > _HIGH * now.limit:
            self.size = max(self._least, self.size - 1)
