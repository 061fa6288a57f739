"""`gristmill run`, as a user and as a script meet it: stops and resumes, words at the end, and nothing left behind."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from cli.run import resume_command
from tests.harness import GRISTMILL, SMALL, Factory

MOMENTS = ["starting Prefect", "starting the embedded Triton", "screen: started", "validate: started"]
STOPS = [(signal.SIGINT, MOMENTS[0]), (signal.SIGTERM, MOMENTS[1]), (signal.SIGINT, MOMENTS[2]), (signal.SIGTERM, MOMENTS[3])]


@pytest.fixture
def alone(tmp_path: Path) -> Factory:
    """A factory that starts its own Triton."""
    return Factory(tmp_path / "data", "")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


def wait_for(text: str, process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if text in line:
            return said
    raise AssertionError(f"ended before {text!r}: {said}")


def start_in_a_terminal(factory: Factory, *arguments: str) -> "subprocess.Popen[str]":
    """Start a command as the leader of a process group of its own."""
    command = [GRISTMILL, *arguments]
    return subprocess.Popen(command, env=factory.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def still_alive(processes: list[psutil.Process], patience_s: float = 30.0) -> list[str]:
    """Wait for processes to end; name those that don't."""
    _, alive = psutil.wait_procs(processes, timeout=patience_s)
    names = []
    for one in alive:
        with suppress(psutil.NoSuchProcess):
            names.append(" ".join(one.cmdline()))
    return names


def test_run_refuses_a_wrong_recipe_before_anything_is_started(alone: Factory, recipe: Path) -> None:
    recipe.write_text(SMALL + "colour: red\n", encoding="utf-8")

    done = alone.call("run", str(recipe))

    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: the recipe {recipe} is wrong:\n  colour: unknown key\n"
    assert not alone.data.exists()


def test_resume_command_can_be_copied() -> None:
    again = resume_command(Path("my recipes/a.yaml"), data=Path("/mnt/b c"), rehearse=True)

    assert again == "gristmill run 'my recipes/a.yaml' --data '/mnt/b c' --rehearse"


@pytest.mark.slow
def test_run_says_that_a_data_folder_can_not_be_written(tmp_path: Path, recipe: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    done = Factory(tmp_path / "file" / "data", "").call("run", str(recipe))

    assert done.code == 5
    assert "Traceback" not in done.err


@pytest.mark.slow
@pytest.mark.triton
@pytest.mark.parametrize(("number", "moment"), STOPS, ids=str)
def test_a_stopped_run_says_how_to_go_on_and_leaves_nothing_behind(alone: Factory, recipe: Path, number: signal.Signals, moment: str) -> None:
    with start_in_a_terminal(alone, "run", str(recipe)) as process:
        wait_for(moment, process)
        children = psutil.Process(process.pid).children(recursive=True)
        if number is signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does on Ctrl-C: to the children, too
        else:
            process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read()

    assert process.returncode == 130
    assert "go on with:" in said
    assert said.rstrip().endswith(f"gristmill run {recipe}")
    assert "Traceback" not in said
    assert still_alive(children) == []


@pytest.mark.slow
@pytest.mark.triton
def test_a_killed_run_leaves_nothing_behind_and_goes_on_to_its_release(alone: Factory, recipe: Path) -> None:
    with alone.start("run", str(recipe)) as process:
        wait_for("prompts: done", process)
        time.sleep(2)  # Dask's workers are coming up by now: the more there is to leave behind, the better
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.communicate()

    assert len(children) > 4
    assert still_alive(children) == []
    assert "its process is gone" in alone.call("runs", "list", "--json").out

    resumed = alone.call("run", str(recipe), "--json", "--quiet")
    assert (resumed.code, resumed.err) == (0, "")
    assert resumed.json["status"] == "finished"
    assert resumed.json["already_finished"] is False

    again = alone.call("run", str(recipe))
    assert again.code == 0
    assert again.out.startswith(f"Nothing to do: run {resumed.json['run_id']}")
    assert again.err == ""


@pytest.mark.slow
@pytest.mark.triton
def test_dry_run_counts_calls_and_checks_engines_and_starts_no_run(alone: Factory, recipe: Path) -> None:
    planned = alone.call("run", str(recipe), "--dry-run", "--json")

    assert planned.code == 0
    assert planned.json["prompts"] == 3 * 2 * 4 + 2 * 3
    assert planned.json["total"]["calls"] == sum(one["calls"] for one in planned.json["calls"])
    assert {one["error"] for one in planned.json["engines"]} == {None}
    assert alone.call("runs", "list", "--json").out.strip() == "[]"
