"""What stages on Dask share whose shards ask engines: the driver sees their calls while they are made, and keeps them afterwards."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict

from infra.engines.session import EngineSession
from infra.storage import RunFolder
from schemas.errors import RunBusyError
from tasks.rollout import hand_over
from tasks.run_engines import read_meter
from tasks.run_state import Run
from tasks.stages.fan_out import METER_TOPIC

# How often a worker tells the driver of its calls while a shard is worked on.
METER_S = 0.5


def hand_over_shards(run: Run, stage: str, shards: int) -> None:
    """Give the calls of a stage's committed shards to the call store. Each worker looks on its own host's disk, where journals are."""
    run.client.run(_hand_over_here, run.folder, stage, shards, on_error="ignore")


def _hand_over_here(folder: RunFolder, stage: str, shards: int) -> None:
    for shard in range(shards):
        # Of a host's workers each takes what no other is at.
        with suppress(RunBusyError):
            hand_over(folder, stage, shard)


def make_room() -> None:
    """Let the worker begin its next shard while this one waits for answers, so that one's tail is filled by another's head; see QUEUED_PER_WORKER."""
    from distributed import secede

    secede()


@contextmanager
def metered(session: EngineSession) -> Iterator[None]:
    """Tell the driver of this worker's calls twice a second, and once more at the end."""
    from distributed import get_worker

    worker = get_worker()
    stop = threading.Event()

    def tell() -> None:
        while not stop.wait(METER_S):
            worker.log_event(METER_TOPIC, {"worker": worker.address, **asdict(read_meter(session))})

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        stop.set()
        teller.join()
        worker.log_event(METER_TOPIC, {"worker": worker.address, **asdict(read_meter(session))})
