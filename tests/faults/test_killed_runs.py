"""A run killed anywhere goes on, loses nothing, asks for nothing twice, and publishes the same bytes."""

import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.faults.case import Case, Site, finish, journalled, kill, wait_for

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.faults]

STATIONS: dict[str, Callable[[Path], bool]] = {
    "first answers journalled": lambda data: journalled(data, "responses") > 2_000,
    "grades journalled": lambda data: journalled(data, "score") > 500,
    "pairs written": lambda data: any(data.glob("runs/*/pair/sft/part-*.parquet")),
    "release half built": lambda data: any(data.glob("releases/*/.*.partial-*")),
}
KILLS = 20
LONGEST = 450_000
"""Most bytes that a process may write (files, sockets, pipes) from its first sign of life before it is killed: a measure of progress that no load changes.
A whole run is some 1,300,000, so several kills hit one run, and they fall into all of its stages."""


@pytest.fixture
def killable(case: Case, site: Site) -> Case:
    """A case whose Dask workers are the run's own: they must go with their owner."""
    case.factory = replace(case.factory, settings={"PREFECT_API_URL": site.prefect_url})
    return case


@pytest.mark.timeout(600)
def test_run_killed_at_four_stations(killable: Case) -> None:
    for reached in STATIONS.values():
        process = killable.start()
        wait_for(partial(reached, killable.data), process)
        kill(process, killable.data)
        assert killable.mark()
        assert '"interrupted"' in killable.factory.call("runs", "list", "--json").out
        assert not list(killable.data.glob("releases/*/v*"))
    killable.prove(killable.run())


@pytest.mark.timeout(900)
def test_run_killed_at_20_random_moments(killable: Case) -> None:
    draw = random.Random(20)
    for moment in [draw.randrange(LONGEST) for _ in range(KILLS)]:
        while not killed_after(killable, moment):
            killable.prove(killable.run())
            killable.begin_anew()
        killable.mark()
    killable.prove(killable.run())


def killed_after(case: Case, moment: int) -> bool:
    """Start the run and kill it once it has written so much; False if it has ended before."""
    process = case.start()
    first = None
    while process.poll() is None:
        told = written(process.pid)
        first = told if first is None and any(case.data.glob("runs/*/recipe.yaml")) else first
        if first is not None and told - first > moment:
            kill(process, case.data)
            return True
        time.sleep(0.001)
    done = finish(process)
    assert done.code == 0, done.err
    return False


def written(pid: int) -> int:
    """Read how many bytes a process has written; 0 once it has ended."""
    with suppress(OSError):
        told = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
        return int(told["wchar"])
    return 0


def test_ctrl_c_stops_cleanly_and_says_how_to_resume(case: Case) -> None:
    case.factory = replace(case.factory, settings={})  # Prefect and Dask of its own, as a user has it
    process = case.start()
    wait_for(lambda: journalled(case.data, "responses") > 0, process)
    process.send_signal(signal.SIGINT)
    stopped = finish(process)
    assert stopped.code == 130
    assert f"gristmill run {case.recipe}" in stopped.err
    assert "Traceback" not in stopped.err
    assert case.factory.call("runs", "list", "--json").out.count('"interrupted"') == 1
    case.mark()
    case.prove(case.run())
