"""How a stage on Dask that asks engines is stopped in mid-shard, on workers that outlive the run."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable
from typing import Any, TypeVar

Result = TypeVar("Result")

_AT_WORK: defaultdict[str, set[tuple[asyncio.AbstractEventLoop, "asyncio.Task[Any]"]]] = defaultdict(set)
"""Run to what this process asks engines for it."""


async def stoppable(run_id: str, work: Awaitable[Result]) -> Result:
    """Do a run's work on an engine session's loop so that `stop_calls` can end it."""
    task = asyncio.current_task()
    assert task is not None
    here = (asyncio.get_running_loop(), task)
    _AT_WORK[run_id].add(here)
    try:
        return await work
    finally:
        _AT_WORK[run_id].discard(here)


def stop_calls(run_id: str) -> None:
    """End what this process asks engines for a run; from any thread, for example a worker's own.

    A worker of somebody else's cluster outlives the run, and Dask lets a task that has begun go on, whatever becomes of who wanted it.
    """
    for loop, task in tuple(_AT_WORK[run_id]):
        loop.call_soon_threadsafe(task.cancel)
