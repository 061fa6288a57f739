"""A Dask worker killed at its work: its shard is done again by another, and of what it had journalled nothing is asked again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.faults.case import Case, Site, finish, journalled, wait_for

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.faults]

STAGES: dict[str, Callable[[Path], bool]] = {
    "grades": lambda data: journalled(data, "score") > 500,
    "filters": lambda data: any(data.glob("runs/*/filter/part-*.parquet")),
    "finds copies": lambda data: any(data.glob("runs/*/dedup/work/*")),
    "validates": lambda data: any(data.glob("runs/*/pair/dropped/part-*.parquet")),
}


@pytest.mark.parametrize("stage", STAGES)
def test_dask_worker_killed_while_it(stage: str, case: Case, site: Site) -> None:
    case.factory = replace(case.factory, settings={"PREFECT_API_URL": site.prefect_url})
    process = case.start()
    wait_for(lambda: STAGES[stage](case.data), process)
    workers = [child for child in psutil.Process(process.pid).children(recursive=True) if "spawn_main" in " ".join(child.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    case.mark()
    case.prove(finish(process), most_repeated=16)
