"""The search as a whole, pass by pass on Dask.

Which record is kept depends on nothing but the records and their vectors: not on their order, nor on shards, partitions, workers or retries. All sums are exact
(vectors.py), seeds and sample are chosen by id (centroids.py), equals are told apart by id. A copy across a border may name a keeper that is itself a copy of
a third record; follow `points_to` to the end, and the record there is kept.
"""

from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from infra.cluster import count_workers, run_tasks
from infra.trees import remove_tree
from schemas.errors import EngineError, EngineFault
from schemas.recipe import SemanticOptions
from tasks.dedup.copies import run_some
from tasks.dedup.found import note_found, stamps, take_up
from tasks.dedup.shards import count_rows
from tasks.semantic.plan import Plan
from tasks.semantic.vectors import shape_of

if TYPE_CHECKING:
    from distributed import Client

LAYOUT = 1
PARTITION_BYTES = 32 << 20


def find_alike(client: "Client", shards: Sequence[Path], files: Sequence[Path], work: Path, options: SemanticOptions) -> None:
    """Find records alike in meaning among all shards, by their files of vectors; `read_copies` then reads from `work`.

    What an unfinished search of the same files left there is taken up. Raises StorageError; GristmillError if workers keep dying.
    """
    plan = make_plan(shards, files, work.absolute() / "scratch", options)
    if take_up(work.absolute(), LAYOUT, plan.options.model_dump(mode="json"), plan.groups, plan.starts, stamps(plan.files)):
        return
    if plan.points:
        _search(client, plan)
    note_found(work.absolute(), plan.starts, plan.groups if plan.points else [])
    remove_tree(plan.scratch)


def make_plan(shards: Sequence[Path], files: Sequence[Path], scratch: Path, options: SemanticOptions) -> Plan:
    """Cut the files of vectors into partitions. Raises EngineError where they hold vectors of several lengths."""
    shapes = [shape_of(file) for file in files]
    widths = sorted({width for count, width in shapes if count})
    if len(widths) > 1:
        raise EngineError(f"there are vectors of {widths[0]} and of {widths[-1]} numbers: is one model served at all its addresses?", fault=EngineFault.GARBLED)
    groups = _group([count * width * 2 for count, width in shapes])
    points = [sum(count for count, _ in shapes[first:last]) for first, last in groups]
    return Plan(
        options,
        scratch,
        files=tuple(file.absolute() for file in files),
        starts=tuple(accumulate((count_rows(shard) for shard in shards), initial=0)),
        groups=groups,
        bounds=tuple(accumulate(points, initial=0)),
        width=widths[0] if widths else 0,
    )


def _group(sizes: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Group neighbours up to a partition's size; the cut has no bearing on what is found."""
    groups, filled = list[tuple[int, int]](), 0
    for number, size in enumerate(sizes):
        if not groups or filled + size > PARTITION_BYTES:
            groups.append((number, number))
            filled = 0
        groups[-1] = (groups[-1][0], number + 1)
        filled += size
    return tuple(groups)


def _search(client: "Client", plan: Plan) -> None:
    from tasks.semantic import steps

    run_tasks(client, partial(steps.gather_partition, plan), range(len(plan.groups)))
    run_tasks(client, partial(steps.train_middles, plan), [0])
    clusters = range(steps.count_clusters(plan))
    run_tasks(client, partial(steps.assign_partition, plan), range(len(plan.groups)))
    _run_many(client, partial(steps.compare_within, plan), clusters)
    run_tasks(client, partial(steps.fold_copies, plan), [0])
    _run_many(client, partial(steps.compare_across, plan), clusters)
    run_tasks(client, partial(steps.settle_pairs, plan), [0])
    run_some(client, partial(steps.describe_partition, plan), range(len(plan.groups)))


def _run_many(client: "Client", work: "partial[None]", clusters: Sequence[int]) -> None:
    """Run clusters as a few tasks a worker, dealt round so that neighbours in size are parted."""
    hands = min(len(clusters), 8 * count_workers(client))
    run_tasks(client, partial(_in_turn, work), [clusters[hand::hands] for hand in range(hands)])


def _in_turn(work: "partial[None]", clusters: Sequence[int]) -> None:
    for cluster in clusters:
        work(cluster)
