"""How alike two rows are, read from what `sketch` left on disk: by signatures, or by their true shingle sets."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tasks.dedup import graph
from tasks.dedup.arrays import Rows, load
from tasks.dedup.plan import Plan

CHUNK_PAIRS = 16_384
"""Pairs compared at once: two signatures each, some 15 MB at 112 permutations."""

Similarities = NDArray[np.float32]


def similarities(plan: Plan, left: Rows, right: Rows) -> Similarities:
    """Compare row left[i] with row right[i], which may lie anywhere in the corpus."""
    found = np.zeros(len(left), np.float32)
    compare = _true_jaccard if plan.near.verify else _agreement
    for part_left, part_right, chosen in _by_partitions(plan, left, right):
        for start in range(0, len(chosen), CHUNK_PAIRS):
            chunk = chosen[start : start + CHUNK_PAIRS]
            rows_left, rows_right = left[chunk] - plan.bounds[part_left], right[chunk] - plan.bounds[part_right]
            found[chunk] = compare(plan, (part_left, part_right), rows_left, rows_right)
    return found


def _by_partitions(plan: Plan, left: Rows, right: Rows) -> Iterator[tuple[int, int, Rows]]:
    """Group pairs by the two partitions that they lie in."""
    if not len(left):
        return
    parts = np.stack([plan.partitions_of(left), plan.partitions_of(right)], axis=1)
    order = np.lexsort((parts[:, 1], parts[:, 0]))
    cuts = np.flatnonzero(np.any(np.diff(parts[order], axis=0), axis=1)) + 1
    for chosen in np.split(order, cuts):
        part_left, part_right = parts[chosen[0]]
        yield int(part_left), int(part_right), chosen


def _agreement(plan: Plan, parts: tuple[int, int], left: Rows, right: Rows) -> Similarities:
    one, other = (load(plan.scratch_file("signatures", part)) for part in parts)
    shares: Similarities = np.mean(one[left] == other[right], axis=1, dtype=np.float32)
    return shares


def _true_jaccard(plan: Plan, parts: tuple[int, int], left: Rows, right: Rows) -> Similarities:
    (starts, values), (other_starts, other_values) = (
        (load(plan.scratch_file("set-starts", part)), load(plan.scratch_file("set-values", part))) for part in parts
    )
    found: Similarities = graph.jaccard(starts[left], starts[left + 1], values, other_starts[right], other_starts[right + 1], other_values)
    return found
