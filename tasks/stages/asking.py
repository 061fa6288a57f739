"""What stages on Dask share whose shards ask engines: the driver sees their calls while they are made, and keeps them afterwards."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial

from infra.engines.session import EngineSession
from tasks.rollout import hand_over
from tasks.run_state import Job, Run, read_meter
from tasks.stages.fan_out import METER_TOPIC, map_on_dask

# How often a worker tells the driver of its calls while a shard is worked on.
METER_S = 0.5


def hand_over_shards(run: Run, stage: str, shards: int) -> None:
    """Give the calls of a stage's committed shards to the call store."""
    left = [shard for shard in range(shards) if run.folder.journal(stage, shard).exists()]
    for _ in map_on_dask(run, partial(_hand_over_shard, stage=stage), left):
        pass


def _hand_over_shard(job: Job, shard: int, *, stage: str) -> None:
    hand_over(job.folder, stage, shard)


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
