"""How a search goes: bands and rows from a threshold, the curve that they have, and the cut of the corpus into partitions.

Two texts of Jaccard similarity j share a band of r rows with probability j^r, and at least one of b bands with 1 - (1 - j^r)^b: an S
(Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, §3.4).
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from schemas.recipe import DedupOptions, NearOptions

Kind = Literal["prompt", "conversation"]

MISS_WEIGHT = 19.0
"""What a missed copy costs, in false candidates: each candidate is checked before it counts, a miss is never seen again.
At threshold 0.8 and 112 permutations this makes 14 bands of 8 rows."""


@dataclass(frozen=True, slots=True)
class Bands:
    """How a signature is cut up."""

    bands: int
    rows: int

    def chance(self, similarity: float) -> float:
        """The probability that two texts of this Jaccard similarity are compared at all."""
        return 1 - (1 - similarity**self.rows) ** self.bands


@cache
def plan_bands(threshold: float, permutations: int) -> Bands:
    """Choose bands and rows that weigh false candidates below the threshold against misses above it."""
    shapes = [(permutations // rows, rows) for rows in range(1, permutations + 1)]
    costs = [_cost(threshold, bands, rows) for bands, rows in shapes]
    return Bands(*shapes[int(np.argmin(costs))])


def bands_of(options: NearOptions) -> Bands:
    """The bands that a recipe gives, or that its threshold makes."""
    if options.bands is not None and options.rows is not None:
        return Bands(options.bands, options.rows)
    return plan_bands(options.threshold, options.permutations)


def s_curve(bands: int, rows: int, *, steps: int = 20) -> tuple[tuple[float, float], ...]:
    """The search's S-curve as (similarity, chance to be compared)."""
    shape = Bands(bands, rows)
    return tuple((step / steps, shape.chance(step / steps)) for step in range(steps + 1))


def least_agreement(threshold: float, permutations: int) -> float:
    """Signature agreement from which a candidate counts: two standard errors below the threshold, so that 98 in 100 at the threshold pass."""
    return threshold - 2 * math.sqrt(threshold * (1 - threshold) / permutations)


@dataclass(frozen=True, slots=True)
class Earlier:
    """One file of an earlier release's signature index."""

    release: str
    """name/version."""
    path: Path
    rows: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One search, as each worker needs it. A record's row number is its place in all the shards, read in order; earlier releases' rows follow."""

    kind: Kind
    options: DedupOptions
    scratch: Path
    """Where the passes leave what the next one reads: on a disk that all workers see."""
    shards: tuple[Path, ...]
    starts: tuple[int, ...]
    """Shard i holds the rows from starts[i] up to starts[i + 1]."""
    groups: tuple[tuple[int, int], ...]
    """The first shard of each partition, and the one after its last: shards that are read by one task."""
    earlier: tuple[Earlier, ...]
    """Each is a partition of its own, after those of the shards."""
    bounds: tuple[int, ...]
    """Partition i holds the rows from bounds[i] up to bounds[i + 1]."""
    buckets: int
    """Ranges of hash values that are joined by one task each."""

    @property
    def near(self) -> NearOptions:
        """How signatures are made; without near options, the default ones' shingles count tokens and nothing more."""
        return self.options.near or NearOptions()

    @property
    def signature(self) -> int:
        """Length of a signature; 0 where only exact copies are looked for."""
        return self.near.permutations if self.options.near else 0

    @property
    def partitions(self) -> int:
        """How many partitions there are."""
        return len(self.bounds) - 1

    @property
    def own_rows(self) -> int:
        """How many rows are of this run."""
        return self.starts[-1]

    def partitions_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which partition holds each row."""
        return np.searchsorted(self.bounds, rows, side="right") - 1

    def scratch_file(self, name: str, number: int | None = None) -> Path:
        """Where a pass leaves its result."""
        return self.scratch / (f"{name}.npy" if number is None else f"{name}-{number:05}.npy")


def _cost(threshold: float, bands: int, rows: int) -> float:
    similarity = np.linspace(0, 1, 1001)
    chance = 1 - (1 - similarity**rows) ** bands
    above = similarity >= threshold
    return float(np.sum(chance[~above]) + MISS_WEIGHT * np.sum(1 - chance[above]))
