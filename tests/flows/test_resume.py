"""A run killed anywhere goes on, loses nothing, asks for nothing twice, and publishes the same bytes."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from infra.journal import Journal
from infra.triton.server import ServedTriton
from tests.harness import SMALL, Factory, calls_served, data_files, engines_of

pytestmark = [pytest.mark.triton, pytest.mark.slow]

MOMENTS: dict[str, Callable[[Path], bool]] = {
    "first topics asked for": lambda data: any(data.glob("journal/*/prompts.*")),
    "prompts under way": lambda data: any(data.glob("runs/*/prompts/*/1-*/part-*.parquet")),
    "first answers journalled": lambda data: _journalled(data, "responses") > 2_000,
    "half of the answers in": lambda data: len(list(data.glob("runs/*/responses/part-*.parquet"))) >= 2,
    "grades journalled": lambda data: _journalled(data, "score") > 500,
    "filtering": lambda data: any(data.glob("runs/*/filter/part-*.parquet")),
    "pairs written": lambda data: any(data.glob("runs/*/pair/sft/part-*.parquet")),
    "release half built": lambda data: any(data.glob("releases/*/.*.partial-*")),
}


def _journalled(data: Path, stage: str) -> int:
    return sum(path.stat().st_size for path in data.glob(f"journal/*/{stage}-*"))


def kept_calls(data: Path) -> set[bytes]:
    """Gather the keys of all calls that a dead run has left: in its journals and in the call store."""
    keys = {key for path in data.glob("calls/*.parquet") for key in pq.read_table(path, columns=["key"])["key"].to_pylist()}
    for path in data.glob("journal/*/*.journal"):
        with Journal.open(path) as journal:
            keys |= {bytes.fromhex(entry.key) for entry in journal.entries()}
    return keys


def kill_when(process: "subprocess.Popen[str]", moment: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not moment() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    assert process.poll() is None, process.communicate()[1]
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, triton: ServedTriton) -> tuple[dict[str, str], int]:
    """Run the recipe once without a fault: its data files and the number of its calls."""
    folder = tmp_path_factory.mktemp("undisturbed")
    recipe = folder / "small.yaml"
    recipe.write_text(SMALL, encoding="utf-8")
    before = calls_served(triton)
    done = Factory(folder / "data", engines_of(triton)).call("run", str(recipe), "--json")
    assert done.code == 0, done.err
    return dict(data_files(Path(done.json["path"]))), calls_served(triton) - before


@pytest.mark.parametrize("moment", MOMENTS, ids=[name.replace(" ", "-") for name in MOMENTS])
def test_a_killed_run_goes_on_as_if_nothing_had_been(
    moment: str, factory: Factory, small_recipe: Path, triton: ServedTriton, undisturbed: tuple[dict[str, str], int]
) -> None:
    files, calls = undisturbed
    kill_when(factory.start("run", str(small_recipe), "--json"), lambda: MOMENTS[moment](factory.data))
    time.sleep(0.5)  # calls still at the server end, so that the count below is of the second process alone
    kept, served = len(kept_calls(factory.data)), calls_served(triton)
    assert not list(factory.data.glob("releases/*/v*"))
    done = factory.call("run", str(small_recipe), "--json")
    assert done.code == 0, done.err
    assert dict(data_files(Path(done.json["path"]))) == files
    assert calls_served(triton) - served == calls - kept
    assert not list(factory.data.glob("journal/*/*.journal"))


def test_ctrl_c_stops_cleanly_and_says_how_to_resume(factory: Factory, small_recipe: Path) -> None:
    process = factory.start("run", str(small_recipe))
    until = time.monotonic() + 120
    while not any(factory.data.glob("journal/*/responses-*")) and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"gristmill run {small_recipe}" in err
    assert "Traceback" not in err
    assert factory.call("runs", "list", "--json").out.count('"interrupted"') == 1
    assert factory.call("run", str(small_recipe), "--json").code == 0
