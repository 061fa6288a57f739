"""A run killed anywhere goes on, loses nothing, asks for nothing twice, and publishes the same bytes."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from infra.journal import Journal
from infra.triton.server import ServedTriton
from tests.harness import SMALL, Factory, data_files, engines_of, served_keys

pytestmark = [pytest.mark.triton, pytest.mark.slow]

MOMENTS: dict[str, Callable[[Path], bool]] = {
    "first topics asked for": lambda data: _journalled(data, "prompts.") > 100 or any(data.glob("calls/*.parquet")),
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


def kept_calls(data: Path) -> set[str]:
    """Gather the keys of all calls that a dead run has left: in its journals and in the call store."""
    keys = {key.hex() for path in data.glob("calls/*.parquet") for key in pq.read_table(path, columns=["key"])["key"].to_pylist()}
    for path in data.glob("journal/*/*.journal"):
        with Journal.open(path) as journal:
            keys |= {entry.key for entry in journal.entries()}
    return keys


def kill_when(process: "subprocess.Popen[str]", moment: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not moment() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    assert process.poll() is None, process.communicate()[1]
    process.send_signal(signal.SIGKILL)
    process.communicate()


def wait_until_gone(data: Path) -> None:
    """Wait until nothing that the killed process had started is left; what it had asked the server is answered by then, too."""
    until = time.monotonic() + 30
    while (left := processes_of(data)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left, [process.cmdline() for process in left]
    time.sleep(0.5)


def processes_of(data: Path) -> list[psutil.Process]:
    """Find the living processes that were started with this data folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("GRISTMILL_DATA") == str(data) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, triton: ServedTriton) -> dict[str, str]:
    """Run the recipe once without a fault: its data files."""
    folder = tmp_path_factory.mktemp("undisturbed")
    recipe = folder / "small.yaml"
    recipe.write_text(SMALL, encoding="utf-8")
    done = Factory(folder / "data", engines_of(triton)).call("run", str(recipe), "--json")
    assert done.code == 0, done.err
    return dict(data_files(Path(done.json["path"])))


@pytest.mark.parametrize("moment", MOMENTS, ids=[name.replace(" ", "-") for name in MOMENTS])
def test_a_killed_run_goes_on_as_if_nothing_had_been(moment: str, factory: Factory, small_recipe: Path, call_log: Path, undisturbed: dict[str, str]) -> None:
    kill_when(factory.start("run", str(small_recipe), "--json"), lambda: MOMENTS[moment](factory.data))
    wait_until_gone(factory.data)
    assert '"interrupted"' in factory.call("runs", "list", "--json").out
    kept, served = kept_calls(factory.data), len(served_keys(call_log))
    assert kept
    assert not list(factory.data.glob("releases/*/v*"))
    done = factory.call("run", str(small_recipe), "--json")
    assert done.code == 0, done.err
    asked = served_keys(call_log)[served:]
    assert not kept.intersection(asked)
    assert len(asked) == len(set(asked))
    assert dict(data_files(Path(done.json["path"]))) == undisturbed
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
