"""The wall clock jumps under a run, forward and back: no wait, limit or deadline hangs on it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.case import Case, Site, finish, journalled, wait_for

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.faults]


@pytest.fixture
def faketime() -> str:
    """The library that tells a process, and those that it starts, another wall clock; the monotonic one stays true."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.skip("NO OTHER CLOCK: libfaketime is not installed (Debian: apt-get install libfaketime)")
    return str(found[0])


def test_wall_clock_jumps_a_day_ahead_and_two_days_back(case: Case, site: Site, faketime: str, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    pretending = {"LD_PRELOAD": faketime, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    # Dask's scheduler and workers are the run's own, so that the clock jumps for them as well.
    case.factory = replace(case.factory, settings={"PREFECT_API_URL": site.prefect_url, **pretending})
    process = case.start()
    wait_for(lambda: journalled(case.data, "responses") > 500, process)
    clock.write_text("+1d")
    wait_for(lambda: journalled(case.data, "score") > 500, process)
    clock.write_text("-1d")
    case.prove(finish(process), most_repeated=0)
