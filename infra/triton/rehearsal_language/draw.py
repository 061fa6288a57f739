"""Seeded choice: everything that the rehearsal model varies is drawn from the hash of what it was asked."""

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Draw:
    """A stream of choices that is the same for the same parts, in every process."""

    def __init__(self, *parts: str | int | float) -> None:
        self._random = random.Random(hash_parts(*parts))

    def chance(self, share: float) -> bool:
        """Say yes with this probability."""
        return self._random.random() < share

    def pick(self, items: Sequence[Item]) -> Item:
        """Choose one."""
        return items[self._random.randrange(len(items))]

    def several(self, items: Sequence[Item], count: int) -> list[Item]:
        """Choose `count` different ones, or all in random order where there are fewer."""
        return self._random.sample(items, min(count, len(items)))

    def number(self, low: int, high: int) -> int:
        """Choose a whole number between two, both included."""
        return self._random.randint(low, high)

    def noise(self) -> float:
        """Draw from the standard normal distribution."""
        return self._random.gauss(0.0, 1.0)


def hash_parts(*parts: str | int | float) -> int:
    """Map parts to a 64-bit number."""
    joined = "\x1f".join(str(part) for part in parts).encode()
    return int.from_bytes(hashlib.blake2b(joined, digest_size=8).digest(), "big")
