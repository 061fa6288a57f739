"""Nothing is sent home: every connection that is tried is seen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.privacy import SWITCHES, switch_off_telemetry
from infra.settings import Settings

ROOT = Path(__file__).resolve().parents[2]

WATCHED = """
import json, socket, sys
tried = []
def watch(name):
    plain = getattr(socket.socket, name)
    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(("127.", "::1", "localhost")):
            tried.append(str(address))
            raise ConnectionRefusedError("no connection beyond this machine")
        return plain(self, address)
    setattr(socket.socket, name, connect)
watch("connect"); watch("connect_ex")
looked_up = socket.getaddrinfo
def getaddrinfo(host, *rest, **more):
    if host not in (None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", socket.gethostname()):
        tried.append(str(host))
        raise socket.gaierror("no names beyond this machine")
    return looked_up(host, *rest, **more)
socket.getaddrinfo = getaddrinfo
def report():
    print("TRIED", json.dumps(tried), flush=True)
import atexit
atexit.register(report)
"""
PREFECT = """
from pathlib import Path
from infra.prefect_home import prefect_api
with prefect_api(Path(sys.argv[1])) as api:
    from prefect import flow, task
    api.wait()
    @task
    def one():
        return 1
    @flow
    def watched():
        return one.submit().result()
    assert watched() == 1
    from prefect._internal.analytics.enabled import is_telemetry_enabled
    assert not is_telemetry_enabled()
"""
CURATION = """
import polars, pyarrow.dataset, tritonclient.grpc, numba, typer, rich
import great_expectations as gx
from infra.cluster import open_cluster, run_tasks
from infra.settings import read_settings
if __name__ == "__main__":
    gx.get_context(mode="ephemeral")
    with open_cluster(read_settings(data=sys.argv[1], dask_workers=1)) as client:
        assert run_tasks(client, abs, [-3]) == [3]
"""


def connections_tried(tmp_path: Path, body: str) -> list[str]:
    script = tmp_path / "watched.py"
    script.write_text("from infra.privacy import switch_off_telemetry\nswitch_off_telemetry()\n" + WATCHED + body)
    # CI would be reason enough for Prefect to keep quiet: what is tried here is our own switch.
    environment = {name: value for name, value in os.environ.items() if name not in (*SWITCHES, "CI", "GITHUB_ACTIONS", "PREFECT_API_URL")}
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, env=environment | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("TRIED "))
    return list(json.loads(line.removeprefix("TRIED ")))


def test_the_watch_sees_a_connection(tmp_path: Path) -> None:
    body = "import urllib.request, contextlib\nwith contextlib.suppress(OSError):\n    urllib.request.urlopen('http://example.invalid', timeout=2)\n"

    assert connections_tried(tmp_path, body) == ["example.invalid"]


@pytest.mark.slow
def test_prefect_keeps_to_itself(tmp_path: Path) -> None:
    assert connections_tried(tmp_path, PREFECT) == []


@pytest.mark.slow
def test_curation_libraries_keep_to_themselves(tmp_path: Path) -> None:
    assert connections_tried(tmp_path, CURATION) == []


def test_switches_win_over_what_the_environment_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SWITCHES:
        monkeypatch.setenv(name, "true")

    switch_off_telemetry()

    assert {name: os.environ[name] for name in SWITCHES} == SWITCHES


def test_settings_show_neither_keys_nor_the_ledgers_password() -> None:
    """Dask logs what a failed task was given, settings included."""
    settings = Settings(_env_file=None, database_url="postgresql://me:hunter2@host/ledger", api_key="sk-hunter2", api_keys="host=sk-hunter2")
    assert settings.ledger_url.endswith("hunter2@host/ledger")
    assert "hunter2" not in f"{settings!r} {settings}"
