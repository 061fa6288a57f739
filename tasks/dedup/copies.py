"""The search for copies as a whole, pass by pass on Dask.

Which copy is kept depends on nothing but the records: not on their order, nor on shards, partitions, workers or retries.
Near-likeness between two conversations on the same prompt does not count (its samples are meant to resemble each other, and
preference pairs are made of right and wrong twins); the same normalised text twice does, on whatever prompt.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.cluster import count_workers, run_tasks
from infra.trees import remove_tree
from schemas.recipe import DedupOptions
from tasks.dedup.found import note_found, part_file, stamps, take_up
from tasks.dedup.plan import Earlier, Kind, Plan, bands_of

if TYPE_CHECKING:
    from distributed import Client

LAYOUT = 2
"""Of what the passes leave behind: a resumed search takes only files of its own layout."""

_PARTITION_BYTES = 32 << 20
_PARTITION_ROWS = 100_000
"""A partition's hashes take some 500 bytes a row at 112 permutations."""
_PARTITIONS_PER_WORKER = 4
_BUCKET_BYTES = 32 << 20
_KEY_BYTES = 16


def find_copies(client: "Client", inputs: Sequence[Path], work: Path, options: DedupOptions, *, kind: Kind, earlier: Sequence[Earlier] = ()) -> None:
    """Find the copies among all records of Parquet shards, and in them of earlier releases' records; `read_copies` then reads from `work`.

    What an unfinished search of the same shards left there is taken up. Raises StorageError; GristmillError if workers keep dying.
    """
    plan = make_plan(inputs, work.absolute() / "scratch", options, kind=kind, workers=count_workers(client), earlier=earlier)
    if not take_up(work.absolute(), *_description(plan)):
        _search(client, plan)
        note_found(work.absolute(), plan.starts, plan.groups, [one.release for one in plan.earlier])
        remove_tree(plan.scratch)


def make_plan(inputs: Sequence[Path], scratch: Path, options: DedupOptions, *, kind: Kind, workers: int, earlier: Sequence[Earlier] = ()) -> Plan:
    """Cut shards into partitions of about equal cost, bounded in size, and hash values into ranges."""
    from tasks.dedup.shards import count_rows

    rows = [count_rows(shard) for shard in inputs]
    costs = [max(shard.stat().st_size / _PARTITION_BYTES, count / _PARTITION_ROWS) for shard, count in zip(inputs, rows, strict=True)]
    groups = tuple(_group(costs, min(1.0, sum(costs) / (workers * _PARTITIONS_PER_WORKER))))
    starts = tuple(accumulate(rows, initial=0))
    bounds = tuple(accumulate((one.rows for one in earlier), initial=starts[-1]))
    keys = bounds[-1] * _KEY_BYTES * (bands_of(options.near).bands if options.near else 1)
    return Plan(
        kind,
        options,
        scratch,
        shards=tuple(shard.absolute() for shard in inputs),
        starts=starts,
        groups=groups,
        earlier=tuple(earlier),
        bounds=(*(starts[first] for first, _ in groups), *bounds),
        buckets=max(workers, -(-keys // _BUCKET_BYTES)) if inputs else 0,
    )


def _group(costs: Sequence[float], most: float) -> list[tuple[int, int]]:
    """Group neighbours: about equal in cost and, but for one that is larger by itself, at most one and a half times `most`."""
    groups: list[tuple[int, int]] = []
    filled = 0.0
    for number, cost in enumerate(costs):
        if not groups or filled + cost / 2 > most:
            groups.append((number, number))
            filled = 0.0
        groups[-1] = (groups[-1][0], number + 1)
        filled += cost
    return groups


def _description(plan: Plan) -> tuple[Any, ...]:
    """Tell a search from any other: by its layout, options, partitions, shards and earlier releases."""
    earlier = [(one.release, one.path.name, one.rows) for one in plan.earlier]
    return LAYOUT, plan.kind, plan.options.model_dump(mode="json"), plan.buckets, plan.groups, stamps(plan.shards), earlier


def _search(client: "Client", plan: Plan) -> None:
    from tasks.dedup import steps

    run_tasks(client, partial(steps.sketch_partition, plan), range(plan.partitions))
    run_tasks(client, partial(steps.join_range, plan), range(plan.buckets))
    run_tasks(client, partial(steps.cluster, plan), [0])
    run_some(client, partial(steps.describe_partition, plan), [part for part in range(len(plan.groups)) if not part_file(plan.scratch.parent, part).exists()])


def run_some(client: "Client", work: Callable[[int], None], numbers: Sequence[int]) -> None:
    """Run small pieces of work as a few tasks a worker: a task costs some 3 ms, whatever is in it."""
    size = max(1, -(-len(numbers) // (2 * count_workers(client))))
    run_tasks(client, partial(_one_by_one, work), [numbers[start : start + size] for start in range(0, len(numbers), size)])


def _one_by_one(work: Callable[[int], None], numbers: Sequence[int]) -> None:
    for number in numbers:
        work(number)
