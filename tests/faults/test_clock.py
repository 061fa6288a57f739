"""The wall clock jumps under a run, forward and back: no wait, limit or deadline hangs on it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.case import Case, Site, finish, journalled, wait_for

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.faults]

OTHER_CLOCK = """
import pathlib, sys, time
true = time.time
told = pathlib.Path({path!r})
def wall():
    asking = sys._getframe(1).f_globals.get("__name__", "")
    return true() if asking.startswith("grpc") else true() + float(told.read_text() or 0)
time.time = wall
"""
"""Loaded by every Python that starts with it: ours, Prefect's client, Dask's scheduler and workers.

gRPC alone is told the true time: it hands deadlines to its C core, which turns them into times of the monotonic clock at once, by a wall clock that this does
not reach. (libfaketime, which does, breaks our start.)
"""


def test_wall_clock_jumps_a_day_ahead_and_two_days_back(case: Case, site: Site, tmp_path: Path) -> None:
    clock, startup = tmp_path / "clock", tmp_path / "startup"
    clock.write_text("0")
    startup.mkdir()
    (startup / "sitecustomize.py").write_text(OTHER_CLOCK.format(path=str(clock)))
    # Dask's scheduler and workers are the run's own, so that the clock jumps for them as well.
    case.factory = replace(case.factory, settings={"PREFECT_API_URL": site.prefect_url, "PYTHONPATH": str(startup)})
    process = case.start()
    wait_for(lambda: journalled(case.data, "responses") > 500, process)
    clock.write_text("86400")
    wait_for(lambda: journalled(case.data, "score") > 500, process)
    clock.write_text("-86400")
    case.prove(finish(process), most_repeated=0)
