"""Two ways to spread a stage's shards: Prefect tasks in this process for generation, each a batch of them; Dask workers for curation.

Both keep a bounded window of shards under way, skip what an earlier process committed, and commit each shard once, on this side.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from functools import partial, wraps
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from infra.traces import Span, joined, span
from schemas.errors import EngineError, StoppedError
from schemas.run import ShardReport
from tasks.progress import HUB, Calls
from tasks.requeue.inherit import goes_back_to, restore_inputs, with_carried
from tasks.rollout import hand_over
from tasks.run_state import Job, Run
from tasks.stages.stopping import stop_calls
from tasks.stages.window import LOOK_S, Batch, ShardQueue, Window

if TYPE_CHECKING:
    from prefect import Task

Given = ParamSpec("Given")
Result = TypeVar("Result")

METER_TOPIC = "gristmill-calls"
MOST_TASKS = 200
"""Prefect tasks a stage. Each costs 5 to 11 ms and a dozen rows of Prefect's database, and a list of thousands is no use to who looks at it."""


def stage_task(work: Callable[Concatenate[Run, Given], Result]) -> Callable[Concatenate[Run, Given], Result]:
    """Show a stage whose shards run on Dask as one task in Prefect's UI, named after its module; and in traces, as any stage."""

    @wraps(work)
    def call(run: Run, /, *arguments: Given.args, **more: Given.kwargs) -> Result:
        from prefect import Task
        from prefect.cache_policies import NO_CACHE
        from prefect.utilities.annotations import quote

        name = work.__module__.rpartition(".")[2]
        task: Task[..., Result] = Task(traced(work), name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False)
        return task(quote(run), *arguments, **more)

    return call


def traced(work: Callable[Given, Result]) -> Callable[Given, Result]:
    """Have a stage be a span of the run's trace, named after its module."""

    @wraps(work)
    def call(*arguments: Given.args, **more: Given.kwargs) -> Result:
        with span("stage", gristmill__stage=_stage_of(work)):
            return work(*arguments, **more)

    return call


def _stage_of(work: Callable[..., Any]) -> str:
    return work.__module__.rpartition(".")[2]


def shard_task(work: Callable[..., ShardReport]) -> "Task[..., None]":
    """Make a function of one shard a Prefect task over a batch of them, retried where its engines were away for a while.

    Nothing of it is cached or stored by Prefect: what is done is in the ledger, the journal and the run folder.
    """
    from prefect import Task
    from prefect.cache_policies import NO_CACHE

    def work_through(batch: Batch, **arguments: Any) -> None:
        stage = arguments.get("stage", _stage_of(work))
        for shard in batch.shards():
            with span("shard", gristmill__stage=stage, gristmill__shard=shard) as one:
                tell_report(one, work(shard=shard, **arguments))

    return Task(
        work_through,
        name=work.__name__,
        description=work.__doc__,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=2,
        retry_delay_seconds=[2, 20],
        retry_jitter_factor=0.5,
        retry_condition_fn=may_pass,
    )


def tell_report(one: Span, report: object) -> None:
    """Tell a shard's span what became of the shard."""
    if isinstance(report, ShardReport):
        rows = {"gristmill__rows_in": report.rows_in, "gristmill__rows_out": report.rows_out, "gristmill__rows_dropped": sum(report.dropped.values())}
        one.tell(**rows, gristmill__calls=report.calls, gristmill__calls_reused=report.reused)


def may_pass(task: Any, task_run: Any, state: Any) -> bool:
    """Say whether a failed task's cause may pass: engines that were away. All else fails at once."""
    error = getattr(state, "data", None)
    error = getattr(error, "result", error)
    return isinstance(error, EngineError) and error.fault.passing


def on_prefect(run: Run, task: "Task[..., None]", name: str, shards: int, *, upto: int | None = None, **arguments: Any) -> None:
    """Run a stage's shards in Prefect tasks, `settings.shards_in_flight` at once and more while engines have room; each shard is committed by its task.

    The task is called with the run, each shard's number and `arguments`. The first failure, after the task's own retries, stops the stage
    and is raised; where the run stops itself, the shards under way are waited for: their calls at work are paid for.
    """
    from prefect.utilities.annotations import quote

    from tasks.prefect_control import obey

    committed = run.ledger.committed(run.run_id, name)
    for done in committed:
        hand_over(run.folder, name, done)  # where the process before died between commit and hand-over
    queue = ShardQueue([shard for shard in range(shards if upto is None else upto) if shard not in committed])
    window = Window(run.settings.shards_in_flight, run.session.meter.read)
    waiting = iter(queue.batches(MOST_TASKS))
    under_way: dict[Future[Any], Any] = {}
    stops: list[StoppedError] = []
    try:
        while True:
            while not stops and len(under_way) < window.size and (batch := next(waiting, None)) is not None:
                named = task.with_options(task_run_name=f"{name} {batch.name}")
                # Unquoted, Prefect would walk through the whole run looking for futures.
                future = named.submit(batch=quote(batch), run=quote(run), **{key: quote(value) for key, value in arguments.items()})
                under_way[future.wrapped_future] = future  # type: ignore[attr-defined]  # the thread pool's futures have it
            if not under_way:
                break
            ended, _ = wait(under_way, LOOK_S, return_when=FIRST_COMPLETED)
            for finished in ended:
                try:
                    under_way.pop(finished).result()
                except StoppedError as stop:
                    stops.append(stop)
            window.look()
            obey()
            run.view.tell_progress()
    except BaseException as stop:
        if not isinstance(stop, Exception):
            # Ctrl-C, or Prefect's signals: someone waits. What else is closed on the way out, Dask's workers above all, takes seconds.
            stop_calls(run.run_id)
        raise
    finally:
        queue.close()
    if stops:
        raise stops[0]


def on_dask(run: Run, stage: str, work: Callable[[Job, int], ShardReport | StoppedError], shards: Sequence[int], *, of: int | None = None) -> None:
    """Run `work(job, shard)` for each shard on the Dask cluster and commit it; `of` is how many the stage has where these are not all.

    `work` is a module-level function or a partial of one: it travels by name. A worker that dies costs its shards a retry. Work that gives
    StoppedError ends the stage with it, once the shards under way have ended.
    """
    committed = run.committed(stage, of or len(shards))
    HUB.stage_begins(stage, shards=of or len(shards), committed=committed)
    left = [shard for shard in shards if shard not in committed]
    if goes_back_to(run, stage):
        work = partial(with_carried, work=work, stage=stage)
    stops: list[StoppedError] = []
    for shard, report in map_on_dask(run, work, takewhile(lambda _: not stops, left), stage=stage) if left else ():
        if isinstance(report, StoppedError):
            stops.append(report)
            continue
        run.commit(stage, shard, report)
        HUB.shard_done(stage, report)
        run.view.tell_progress()
    if stops:
        raise stops[0]
    restore_inputs(run, stage)


def map_on_dask(run: Run, work: Callable[[Job, int], Result], shards: Iterable[int], *, stage: str = "") -> Iterator[tuple[int, Result]]:
    """Yield (shard, result) as Dask workers finish, a bounded number of shards under way."""
    from infra.cluster import count_workers, map_tasks
    from tasks.prefect_control import obey

    run.client.subscribe_topic(METER_TOPIC, _count_worker)
    job = run.job(stage, count_workers(run.client))
    try:
        yield from map_tasks(run.client, partial(_on_worker, work, stage, job), shards, meanwhile=obey)
    except BaseException:
        _stop_workers(run)
        raise


def _on_worker(work: Callable[[Job, int], Result], stage: str, job: Job, shard: int) -> Result:
    with joined(job.trace, job.settings.trace_calls), span("shard", gristmill__stage=stage, gristmill__shard=shard) as one:
        result = work(job, shard)
        tell_report(one, result)
        return result


def _stop_workers(run: Run) -> None:
    """Tell the workers to end their calls for this run, without waiting for them to have done so."""
    with suppress(Exception):
        run.client.run(stop_calls, run.run_id, wait=False, on_error="ignore")


def _count_worker(event: tuple[float, dict[str, Any]]) -> None:
    _, message = event
    calls = Calls(**{name: value for name, value in message.items() if name != "worker"})
    HUB.watch(message["worker"], lambda: calls)
