"""The Dask cluster that curation runs on: a local one of worker processes, or any scheduler by address.

A local cluster belongs to this process: bound to loopback, without a dashboard, one thread a worker (compiled kernels let the GIL go, and
several workers' pools of threads would fight over the cores), gone when the block ends or this process is killed.
"""

import itertools
import logging
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from infra.settings import Settings
from infra.traces import flush, is_on
from schemas.errors import GristmillError, SettingsError

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

Given = TypeVar("Given")
Result = TypeVar("Result")

CONNECT_S = 10
"""Longest wait for a scheduler given by address, and for its first worker."""
QUEUED_PER_WORKER = 3
"""Tasks handed to the scheduler beyond those being worked on: hides its latency, and bounds its memory at any number of shards."""
LONELY_S = 60
"""How long a cluster may be without any worker: a nanny takes some seconds to replace one."""
_LOOK_S = 0.5
_LOOKS = 10
"""Looks at the queue for each at the workers, which takes a question to the scheduler."""
RETRIES = 3
"""Of a task that failed for itself; a task whose worker died is run again without being counted here."""

_SINGLE_THREADED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")
_MALLOC = {"MALLOC_TRIM_THRESHOLD_": str(16 << 20), "MALLOC_MMAP_THRESHOLD_": str(8 << 20)}
"""What a worker holds on to when arrays are freed: at most 16 MiB. Dask's own 64 KiB gives each batch's pages back, and takes them anew for the next."""
_log = logging.getLogger("gristmill")
_LOGGERS = ("distributed", "tornado", "asyncio")


@contextmanager
def open_cluster(settings: Settings) -> "Iterator[Client]":
    """Connect to the settings' scheduler, or start workers of our own. Raises SettingsError where that can't be done."""
    with _quiet():
        if settings.dask_scheduler:
            with _connect(settings.dask_scheduler) as client:
                yield client
        else:
            with _start(settings) as client:
                yield client


def preload(client: "Client", modules: Sequence[str]) -> None:
    """Have each worker import modules in the background, so that the first task that needs them doesn't wait as long."""
    client.run(import_in_background, tuple(modules))


def import_in_background(modules: Sequence[str]) -> None:
    """Import modules in a thread of their own; what can't be imported is met by the task that needs it."""
    import threading

    threading.Thread(target=_import_all, args=(modules,), name="preload", daemon=True).start()


def flush_traces(client: "Client") -> None:
    """Have each worker send what it has traced."""
    if not is_on():
        return
    try:
        client.run(flush)
    except Exception as error:  # a run that made its release does not fail for its traces
        _log.warning("Dask workers could not send the last of their traces: %s", error)


def count_workers(client: "Client") -> int:
    """Count the workers at hand."""
    return max(1, len(client.scheduler_info(n_workers=-1)["workers"]))


def _nothing() -> None:
    """Do nothing while waiting."""


def run_tasks(client: "Client", work: Callable[[Given], Result], items: Iterable[Given]) -> list[Result]:
    """Run `work` on each item and return the results in order; see `map_tasks`."""
    found = {number: result for (number, _), result in map_tasks(client, partial(_without_number, work), enumerate(items))}
    return [found[number] for number in sorted(found)]


def _without_number(work: Callable[[Given], Result], numbered: tuple[int, Given]) -> Result:
    return work(numbered[1])


def map_tasks(
    client: "Client", work: Callable[[Given], Result], items: Iterable[Given], *, meanwhile: Callable[[], None] = _nothing
) -> Iterator[tuple[Given, Result]]:
    """Run `work` on each item and yield (item, result) as they end, a bounded number under way; keep results small, they come to this process.

    The work must bear being done twice: a dead worker's tasks are run again. `meanwhile` is called twice a second, and may raise. Raises what the
    work raised; GristmillError if workers keep dying on it, if none is left, or if the scheduler is lost.
    """
    window = QUEUED_PER_WORKER * count_workers(client)
    waiting, under_way = iter(items), dict[Any, tuple[Any, Given]]()
    ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
    try:
        with _told_plainly(client):
            while True:
                for item in itertools.islice(waiting, window - len(under_way)):
                    future = client.submit(work, item, pure=False, retries=RETRIES)
                    under_way[future.key] = (future, item)
                    future.add_done_callback(ended.put)
                if not under_way:
                    return
                future = _next_ended(client, ended, meanwhile)
                yield under_way.pop(future.key)[1], future.result()
    finally:
        with suppress(Exception):
            client.cancel([future for future, _ in under_way.values()])


def _next_ended(client: "Client", ended: "queue.SimpleQueue[Any]", meanwhile: Callable[[], None]) -> Any:
    """Wait for a task to end; give up once there has been no worker for a while: Dask itself would wait for one for ever."""
    alone_since: float | None = None
    looks = 0
    while True:
        meanwhile()
        with suppress(queue.Empty):
            return ended.get(timeout=_LOOK_S)
        looks += 1
        if looks % _LOOKS:
            continue
        if client.scheduler_info(n_workers=-1)["workers"]:
            alone_since = None
            continue
        alone_since = alone_since or time.monotonic()
        if time.monotonic() - alone_since > LONELY_S:
            raise GristmillError(
                f"all Dask workers have been gone for {LONELY_S} s: see that they run, and run this version of Gristmill; then run the same command again"
            )


@contextmanager
def _told_plainly(client: "Client") -> Iterator[None]:
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError

    try:
        yield
    except KilledWorker as error:
        raise GristmillError(
            f"a Dask worker died {error.allowed_failures + 1} times on the same task ({error.task}): give workers more memory"
            " (GRISTMILL_DASK_MEMORY), then run the same command again: it goes on where it stopped"
        ) from error
    except (FutureCancelledError, CommClosedError, TimeoutError, RuntimeError) as error:
        # A client that lost its scheduler while a result was fetched says so by a RuntimeError of its pool; any other is the work's own.
        if isinstance(error, RuntimeError) and client.status == "running":
            raise
        raise GristmillError(f"lost the Dask scheduler ({error}): run the same command again, it goes on where it stopped") from error


@contextmanager
def _connect(address: str) -> "Iterator[Client]":
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SettingsError(f"GRISTMILL_DASK_SCHEDULER: no Dask scheduler answers at {address}: {error}") from error
    try:
        client.wait_for_workers(1, timeout=CONNECT_S)
        yield client
    except TimeoutError as error:
        raise SettingsError(f"GRISTMILL_DASK_SCHEDULER: the scheduler at {address} has no worker: start `dask worker {address}`") from error
    finally:
        with suppress(Exception):
            client.close()


@contextmanager
def _start(settings: Settings) -> "Iterator[Client]":
    import dask
    from distributed import Client

    with dask.config.set(_config()), _main_left_alone():
        cluster = _local_cluster(settings)
        try:
            with Client(cluster, set_as_default=False) as client:
                yield client
        finally:
            cluster.close()


def _local_cluster(settings: Settings) -> "LocalCluster":
    from distributed import LocalCluster

    try:
        return LocalCluster(
            n_workers=settings.dask_workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=settings.dask_memory,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
            local_directory=str(settings.local / "dask"),
        )
    except (ValueError, OSError, RuntimeError) as error:
        raise SettingsError(f"can't start {settings.dask_workers} Dask workers with {settings.dask_memory} of memory each: {error}") from error


def _config() -> dict[str, Any]:
    # The scheduler and each worker open an HTTP port whatever they are told; without routes there is nothing to be had at it.
    return {
        "distributed.nanny.pre-spawn-environ": _MALLOC | dict.fromkeys(_SINGLE_THREADED, "1"),
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        "distributed.diagnostics.nvml": False,
        # It stops the worker's thread a hundred times a second, for a dashboard that isn't there: 4 % of dedup's time.
        "distributed.worker.profile.enabled": False,
        # A pause waits for results to be fetched away. Ours are files, so a paused worker would wait for ever; one over its limit is better ended and said so.
        "distributed.worker.memory.pause": False,
    }


@contextmanager
def _main_left_alone() -> Iterator[None]:
    """Keep workers from running this program's main module again.

    multiprocessing's spawn does so in every child, for functions that were defined there. Workers are handed none, so a script needs no
    main guard, a program from standard input works too, and no worker imports all of Prefect because its owner is `prefect worker`.
    """
    from multiprocessing import spawn

    prepare = spawn.get_preparation_data

    def prepare_without_main(name: str) -> dict[str, Any]:
        data = prepare(name)
        if name.startswith("Dask Worker process"):
            data = {key: value for key, value in data.items() if not key.startswith("init_main")}
        return data

    spawn.get_preparation_data = prepare_without_main
    try:
        yield
    finally:
        spawn.get_preparation_data = prepare


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own logs from the user's terminal: what matters reaches him as an error."""
    before = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _import_all(modules: Sequence[str]) -> None:
    import gc
    import importlib

    for module in modules:
        with suppress(Exception):
            importlib.import_module(module)
    # Modules stay: without this, whoever makes many small objects has the collector walk all of theirs again and again (a third of parting's time).
    gc.freeze()
