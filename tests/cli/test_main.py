"""The front page, and what becomes of errors."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import contents
from cli.contents import CONTENTS, Chapter
from cli.main import main
from schemas.errors import EngineError, EngineFault, GristmillError, RecipeError, RunInterruptedError, StorageError

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def gristmill(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("GRISTMILL_DEBUG", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken() -> None:
        raise error

    monkeypatch.setattr("cli.version.version", broken)


def test_help_names_every_command_and_an_example(gristmill: Run) -> None:
    code, out, _ = gristmill("--help")

    assert code == 0
    assert all(chapter.name in out and chapter.purpose in out for chapter in CONTENTS)
    assert "gristmill run recipes/rehearsal.yaml" in out


@pytest.mark.parametrize("chapter", CONTENTS, ids=contents.names())
def test_each_command_explains_itself(gristmill: Run, chapter: Chapter) -> None:
    code, out, _ = gristmill(chapter.name, "--help")

    assert code == 0
    assert f"gristmill {chapter.name}" in out


def test_main_suggests_a_command_that_was_meant(gristmill: Run) -> None:
    code, _, err = gristmill("rum")

    assert code == 2
    assert "Did you mean 'run'" in err


def test_main_refuses_an_unknown_option_as_wrong_usage(gristmill: Run) -> None:
    assert gristmill("version", "--jsno")[0] == 2


def test_version_as_json_names_the_parts(gristmill: Run) -> None:
    code, out, _ = gristmill("version", "--json")

    assert code == 0
    assert {"gristmill", "python", "prefect"} <= json.loads(out).keys()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GristmillError("x"), 1),
        (RecipeError("x"), 2),
        (EngineError("x", fault=EngineFault.DEADLINE), 3),
        (StorageError("x"), 5),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_main_gives_each_known_error_its_exit_code_and_no_traceback(gristmill: Run, monkeypatch: pytest.MonkeyPatch, error: GristmillError, code: int) -> None:
    fail_with(monkeypatch, error)

    assert gristmill("version") == (code, "", "error: x\n")


def test_main_prints_what_was_added_to_an_error(gristmill: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    error = StorageError("disk full")
    error.add_note("go on with: gristmill run x.yaml")
    fail_with(monkeypatch, error)

    assert gristmill("version")[2] == "error: disk full\ngo on with: gristmill run x.yaml\n"


def test_main_does_not_take_an_error_text_for_markup(gristmill: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, RecipeError("prompts[0] is [bold]wrong[/bold] [/]"))

    assert "prompts[0] is [bold]wrong[/bold] [/]" in gristmill("version")[2]


def test_main_owns_up_to_a_defect_without_a_traceback(gristmill: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ZeroDivisionError("division by zero"))

    code, _, err = gristmill("version")

    assert code == 1
    assert "ZeroDivisionError" in err
    assert "defect of Gristmill's" in err
    assert "Traceback" not in err


def test_main_shows_tracebacks_when_asked(gristmill: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, RecipeError("x"))

    code, _, err = gristmill("--debug", "version")

    assert code == 2
    assert "Traceback" in err


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), RunInterruptedError("stopped")], ids=["ctrl-c", "run"])
def test_main_exits_130_when_stopped(gristmill: Run, monkeypatch: pytest.MonkeyPatch, stop: BaseException) -> None:
    fail_with(monkeypatch, stop)

    assert gristmill("version")[0] == 130


def test_main_is_quiet_when_its_reader_has_gone() -> None:
    command = [str(Path(sys.executable).with_name("gristmill")), "version", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
