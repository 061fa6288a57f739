"""The log file takes what is not for the terminal."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from cli.log import LOG, JsonLines, log_defect, log_to
from schemas.errors import StorageError

ROOT = Path(__file__).resolve().parents[2]
NOISY = """
import logging, subprocess, sys, warnings
from pathlib import Path
from cli.log import log_to
with log_to(Path(sys.argv[1])):
    logging.getLogger("distributed").warning("a worker is slow")
    warnings.warn("this is old")
    subprocess.run([sys.executable, "-c", "import sys; print('child out'); print('child err', file=sys.stderr)"], check=True)
    print("ours")
    print("ours too", file=sys.stderr)
print("after")
subprocess.run(["echo", "child after"], check=True)
"""


def test_log_takes_records_warnings_and_what_children_print(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", NOISY, tmp_path], capture_output=True, text=True, check=True, cwd=ROOT)

    log = (tmp_path / "logs" / "gristmill.log").read_text(encoding="utf-8")
    assert all(text in log for text in ("a worker is slow", "this is old", "child out", "child err"))
    assert (done.stdout, done.stderr) == ("ours\nafter\nchild after\n", "ours too\n")


def test_log_keeps_the_traceback_of_a_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOG, "path", tmp_path / "gristmill.log")
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError as error:
        log_defect(error)

    assert "ZeroDivisionError: by nothing" in (tmp_path / "gristmill.log").read_text(encoding="utf-8")


def test_log_in_a_folder_that_can_not_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="name another data folder"), log_to(tmp_path / "file"):
        pass


def test_json_lines_hold_what_was_given_and_the_error() -> None:
    try:
        raise ValueError("odd\nthing")
    except ValueError:
        record = logging.LogRecord("gristmill", logging.WARNING, __file__, 1, "shard %d of %s", (3, "prompts"), sys.exc_info())
    record.__dict__["run_id"] = "r1"
    line = JsonLines().format(record)
    told = json.loads(line)
    assert "\n" not in line
    assert (told["level"], told["message"], told["run_id"]) == ("WARNING", "shard 3 of prompts", "r1")
    assert "ValueError: odd" in told["error"]
    assert told["time"].endswith("+00:00")
