import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.settings import Settings, read_settings

_COMMAND = [sys.executable, "-c", "import sys; from cli.main import main; sys.exit(main())", "triton", "serve"]


@contextmanager
def serving(*options: str) -> Iterator["subprocess.Popen[str]"]:
    python = read_settings().triton_python
    if not python.exists():
        pytest.skip(f"NO EMBEDDED TRITON: {python} is absent; run `make setup`")
    process = subprocess.Popen([*_COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.triton
@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_serve_prints_what_to_export_and_ends_well(stop: signal.Signals) -> None:
    with serving("--slots", "4") as process:
        name, _, value = first_line(process).removeprefix("export ").strip().partition("=")
        process.send_signal(stop)
        _, told = process.communicate(timeout=60)
    assert name == "GRISTMILL_ENGINES"
    cards = {"rehearsal-instruct", "rehearsal-base", "rehearsal-reasoner", "rehearsal-reward", "rehearsal-embedding"}
    assert set(Settings(engines=value.strip("'")).addresses) == cards
    assert process.returncode == 0
    assert "Triton has stopped." in told


@pytest.mark.triton
@pytest.mark.slow
def test_serve_prints_json_and_fails_when_tritonserver_dies() -> None:
    with serving("--json") as process:
        assert process.stdout is not None
        facts = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
        os.kill(facts["pid"], signal.SIGKILL)
        _, told = process.communicate(timeout=60)
    assert {"grpc_port", "http_port", "metrics_port", "pid", "engines"} == set(facts)
    assert process.returncode == 3
    assert "ended by itself" in told


def test_serve_refuses_a_wrong_replay_file_before_it_starts(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("nonsense\n", encoding="utf-8")
    with serving("--replay", str(tmp_path / "rows.jsonl")) as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "line 1: not JSON" in told


def test_help_names_every_option_and_imports_nothing_heavy() -> None:
    script = (
        "import sys; from cli.main import main; code = main(['triton', 'serve', '--help']); "
        "print([name for name in ('numpy', 'prefect', 'distributed', 'tritonclient', 'great_expectations') if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "200"})
    assert "--fault-rate" in done.stdout
    assert done.stdout.rstrip().endswith("[]")
