"""How alike two rows are, read from what `sketch` left on disk: by signatures, or by their true shingle sets."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.dedup import graph
from tasks.dedup.arrays import Rows, load
from tasks.dedup.plan import Plan

Similarities = NDArray[np.float32]


class _Files:
    """The files of one comparison, each mapped once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._open: dict[tuple[str, int], Any] = {}

    def __call__(self, name: str, part: int) -> Any:
        if (name, part) not in self._open:
            self._open[name, part] = load(self._plan.scratch_file(name, part))
        return self._open[name, part]


def similarities(plan: Plan, left: Rows, right: Rows) -> Similarities:
    """Compare row left[i] with row right[i], which may lie anywhere; with a row of an earlier release by signatures only, for want of its text."""
    found, files = np.zeros(len(left), np.float32), _Files(plan)
    for part_left, part_right, chosen in _by_partitions(plan, left, right):
        rows_left, rows_right = left[chosen] - plan.bounds[part_left], right[chosen] - plan.bounds[part_right]
        if plan.near.verify and max(part_left, part_right) < len(plan.groups):
            found[chosen] = _true_jaccard(files, (part_left, part_right), rows_left, rows_right)
        else:
            found[chosen] = graph.agreement(files("signatures", part_left), files("signatures", part_right), rows_left, rows_right)
    return found


def _by_partitions(plan: Plan, left: Rows, right: Rows) -> Iterator[tuple[int, int, Rows]]:
    """Group pairs by the two partitions that they lie in."""
    if not len(left):
        return
    together = plan.partitions_of(left) * plan.partitions + plan.partitions_of(right)
    order = np.argsort(together, kind="stable")
    cuts = np.flatnonzero(np.diff(together[order])) + 1
    for chosen in np.split(order, cuts):
        part_left, part_right = divmod(int(together[chosen[0]]), plan.partitions)
        yield part_left, part_right, chosen


def _true_jaccard(files: _Files, parts: tuple[int, int], left: Rows, right: Rows) -> Similarities:
    (starts, values), (other_starts, other_values) = ((files("set-starts", part), files("set-values", part)) for part in parts)
    found: Similarities = graph.jaccard(starts[left], starts[left + 1], values, other_starts[right], other_starts[right + 1], other_values)
    return found
