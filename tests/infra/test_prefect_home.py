"""The private Prefect API: up when asked, quiet, and gone with its owner."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from infra import prefect_home
from infra.prefect_home import PrefectApi, prefect_api, prepare_home
from schemas.errors import GristmillError, StorageError
from tests.faults.middle import in_background
from tests.infra.engines.builders import closed_port
from tests.infra.engines.http_stand_in import answering, serve

ROOT = Path(__file__).resolve().parents[2]
OWNER = """
import sys, time
from pathlib import Path
from infra.prefect_home import prefect_api
with prefect_api(Path(sys.argv[1])) as api:
    print(api.process.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def no_api_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def alive(pid: int) -> bool:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    return False


def wait_for_end(pid: int, patience_s: float = 60.0) -> bool:
    until = time.monotonic() + patience_s
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive(pid)


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A process that has started an API, and the API's pid."""
    process = subprocess.Popen([sys.executable, "-c", OWNER, tmp_path], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_prefect_api_goes_when_its_owner_is_killed(owner: tuple["subprocess.Popen[str]", int], end: signal.Signals) -> None:
    process, api = owner
    assert alive(api)

    process.send_signal(end)
    process.wait()

    assert wait_for_end(api)


@pytest.mark.slow
def test_prefect_api_answers_and_stops_with_the_block(tmp_path: Path) -> None:
    with prefect_api(tmp_path) as api:
        api.wait()
        assert api.process is not None
        assert api.url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{api.url}/admin/settings") as answer:
            assert b'"analytics_enabled":false' in answer.read().replace(b": ", b":")
        pid = api.process.pid

    assert not alive(pid)
    assert (tmp_path / "prefect" / "server.log").read_text() == ""


def test_prefect_api_leaves_the_users_own_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_background(serve(answering({"detail": "log in first"}, status=401))) as address:
        monkeypatch.setenv("PREFECT_API_URL", own := f"http://{address.host}:{address.port}/api")
        with prefect_api(tmp_path) as api:
            api.wait()
            assert (api.url, api.process, api.instead_of) == (own, None, None)

    assert list(tmp_path.iterdir()) == []


def test_prefect_api_stands_in_for_the_users_own_where_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_home, "_PATIENCE_S", 0.0)
    address = closed_port("openai")
    monkeypatch.setenv("PREFECT_API_URL", own := f"http://{address.host}:{address.port}/api")

    with prefect_api(tmp_path) as api:
        api.wait()
        assert api.url != own
        assert api.instead_of == own

    assert os.environ["PREFECT_API_URL"] == own


def test_prefect_api_puts_the_environment_back(tmp_path: Path) -> None:
    before = dict(os.environ)
    with prefect_api(tmp_path) as api:
        assert os.environ["PREFECT_API_URL"] == api.url
        assert Path(os.environ["PREFECT_HOME"]).parent == tmp_path

    assert dict(os.environ) == before


def test_waiting_for_an_api_that_died_says_where_to_look(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
        log = tmp_path / "server.log"

        with pytest.raises(GristmillError, match="says why"):
            PrefectApi("http://127.0.0.1:9/api", dead, log).wait()


def test_a_new_home_starts_from_the_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = tmp_path / "template.db"
    template.write_bytes(b"migrated")
    monkeypatch.setattr(prefect_home, "template_path", lambda: template)

    prepare_home(tmp_path / "home")

    assert [path.name for path in (tmp_path / "home").iterdir()] == ["prefect.db"]
    assert (tmp_path / "home" / "prefect.db").read_bytes() == b"migrated"


def test_a_home_with_history_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = tmp_path / "template.db"
    template.write_bytes(b"migrated")
    monkeypatch.setattr(prefect_home, "template_path", lambda: template)
    (tmp_path / "prefect.db").write_bytes(b"history")

    prepare_home(tmp_path)

    assert (tmp_path / "prefect.db").read_bytes() == b"history"


def test_a_home_that_can_not_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="name another data folder"):
        prepare_home(tmp_path / "file" / "home")
