"""The clusters' middles: spherical k-means (Dhillon and Modha 2001), the same for the same records in whatever order and cut.

It begins at the records with the least ids, which are hashes of their content; it learns from a sample chosen likewise. All sums are of whole numbers, so
exact; the first of equally near middles is taken.
"""

import numpy as np
from numpy.typing import NDArray

from tasks.semantic.vectors import Vectors, Whole, quantise

ROUNDS = 10
SAMPLED_PER_CLUSTER = 64
"""Vectors to learn a middle from: more than 39 change little (the rule of thumb of FAISS)."""
_BLOCK_BYTES = 64 << 20

Labels = NDArray[np.int64]


def train(sample: Vectors, clusters: int) -> Vectors:
    """Find middles of a sample that is in the order of ids; as many as asked for, or as there are different vectors."""
    seeds = _first_different(sample, clusters)
    middles = sample[seeds]
    for _ in range(ROUNDS if len(middles) > 1 else 0):
        labels = nearest(sample, middles, 1)[:, 0]
        moved = _means(sample, labels, middles)
        if np.array_equal(moved, middles):
            break
        middles = moved
    return middles


def nearest(vectors: Vectors, middles: Vectors, count: int) -> Labels:
    """Give each vector's nearest middles, nearest first; at most as many as there are."""
    count = min(count, len(middles))
    found = np.empty((len(vectors), count), np.int64)
    columns = middles.astype(np.float32).T
    block = max(1, _BLOCK_BYTES // (4 * (vectors.shape[1] + len(middles))))
    for start in range(0, len(vectors), block):
        products: Whole = vectors[start : start + block].astype(np.float32) @ columns
        rows = np.arange(len(products))
        for place in range(count):
            best = np.argmax(products, axis=1)
            found[start : start + block, place] = best
            products[rows, best] = -np.inf
    return found


def _first_different(sample: Vectors, count: int) -> NDArray[np.int64]:
    """Choose the first vectors of which no two are the same."""
    head = sample[: 8 * count]
    _, first = np.unique(head, axis=0, return_index=True)
    return np.sort(first)[:count]


def _means(sample: Vectors, labels: Labels, middles: Vectors) -> Vectors:
    order = np.argsort(labels, kind="stable")
    found, starts = np.unique(labels[order], return_index=True)
    moved = middles.copy()  # one that nothing is nearest to stays where it is
    for label, start, stop in zip(found, starts, [*starts[1:], len(order)], strict=True):
        total: NDArray[np.int64] = np.sum(sample[order[start:stop]], axis=0, dtype=np.int64)
        if np.any(total):
            moved[label] = quantise(total[None, :].astype(np.float64))[0]
    return moved
