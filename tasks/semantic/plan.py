"""The plan of one search: partitions of the vectors, the number of clusters, and where the passes leave what."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.recipe import SemanticOptions
from tasks.semantic.centroids import SAMPLED_PER_CLUSTER

CLUSTER_RECORDS = 2048
"""Records of one cluster, about, where the recipe does not say how many clusters: comparing within clusters then costs as much as finding them at some two
thousand clusters, four million records."""
SAMPLE_BYTES = 256 << 20
"""Most that the sample takes, which one process holds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One search, as each worker needs it. A point is a record with a vector; its number is its place in all files of vectors, read in order."""

    options: SemanticOptions
    scratch: Path
    files: tuple[Path, ...]
    """A shard's vectors each."""
    starts: tuple[int, ...]
    """Rows of all shards before each shard, whether they have a vector or not; and those of all."""
    groups: tuple[tuple[int, int], ...]
    """The first shard of each partition, and the one after its last."""
    bounds: tuple[int, ...]
    """Partition i holds the points from bounds[i] up to bounds[i + 1]."""
    width: int
    """Numbers of a vector."""

    @property
    def points(self) -> int:
        """How many points there are."""
        return self.bounds[-1]

    @property
    def clusters(self) -> int:
        """How many clusters are asked for; there are fewer where fewer vectors differ."""
        return min(self.options.clusters or -(-self.points // CLUSTER_RECORDS), max(1, self.points))

    @property
    def sample(self) -> int:
        """How many points the clusters are learnt from."""
        return min(self.points, self.clusters * SAMPLED_PER_CLUSTER, max(self.clusters, SAMPLE_BYTES // (2 * self.width)))

    def partitions_of(self, points: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which partition holds each point."""
        return np.searchsorted(self.bounds, points, side="right") - 1

    def scratch_file(self, name: str, number: int | None = None) -> Path:
        """Where a pass leaves its result."""
        return self.scratch / (f"{name}.npy" if number is None else f"{name}-{number:05}.npy")
