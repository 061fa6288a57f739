"""Two ways to spread a stage's shards: Prefect tasks in this process for generation, Dask workers for curation.

Both keep a bounded window of shards under way, skip what an earlier process committed, and commit each shard once, on this side.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from schemas.run import ShardReport
from tasks.progress import HUB, Calls
from tasks.run_state import Job, Run

if TYPE_CHECKING:
    from prefect import Task

# Shards queued at the scheduler beyond those being worked on: hides its latency and bounds its memory.
QUEUED_PER_WORKER = 3

METER_TOPIC = "gristmill-calls"


def on_prefect(run: Run, task: "Task[..., ShardReport]", stage: str, shards: int, arguments: Callable[[int], dict[str, Any]]) -> None:
    """Run one Prefect task a shard, `settings.shards_in_flight` at once; the task commits its shard itself.

    `arguments(shard)` are the task's keyword arguments. The first failure (after the task's own retries) stops the stage and is raised.
    """
    from concurrent.futures import FIRST_COMPLETED, wait

    committed = run.ledger.committed(run.run_id, stage)
    waiting = iter([shard for shard in range(shards) if shard not in committed])
    under_way: dict[Any, Any] = {}
    while True:
        while len(under_way) < run.settings.shards_in_flight and (shard := next(waiting, None)) is not None:
            future = task.with_options(task_run_name=f"{stage} {shard + 1} of {shards}").submit(**arguments(shard))
            under_way[future.wrapped_future] = future
        if not under_way:
            return
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for finished in done:
            under_way.pop(finished).result()


def on_dask(run: Run, stage: str, work: Callable[[Job, int], ShardReport], shards: Sequence[int]) -> None:
    """Run `work(job, shard)` for each shard on the Dask cluster and commit it.

    `work` is a module-level function or a partial of one: it travels by name. A worker that dies costs its shards a retry.
    """
    committed = run.committed(stage, len(shards))
    HUB.stage_begins(stage, shards=len(shards), committed=committed)
    left = [shard for shard in shards if shard not in committed]
    if not left:
        return
    for shard, report in map_on_dask(run, work, left):
        run.commit(stage, shard, report)
        HUB.shard_done(stage, report)


def map_on_dask(run: Run, work: Callable[[Job, int], Any], shards: Iterable[int]) -> Iterable[tuple[int, Any]]:
    """Yield (shard, result) as Dask workers finish, a bounded number of shards under way."""
    from distributed import as_completed

    client = run.client
    client.subscribe_topic(METER_TOPIC, _count_worker)
    window = QUEUED_PER_WORKER * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
    waiting = iter(shards)
    numbers: dict[str, int] = {}

    def submit_next() -> Any:
        shard = next(waiting, None)
        if shard is None:
            return None
        future = client.submit(work, run.job, shard, pure=False, retries=2)
        numbers[future.key] = shard
        return future

    first = [future for _ in range(window) if (future := submit_next()) is not None]
    finished = as_completed(first)
    for future in finished:
        yield numbers.pop(future.key), future.result()
        if (more := submit_next()) is not None:
            finished.add(more)


def _count_worker(event: tuple[float, dict[str, Any]]) -> None:
    _, message = event
    calls = Calls(**{name: value for name, value in message.items() if name != "worker"})
    HUB.watch(message["worker"], lambda: calls)
