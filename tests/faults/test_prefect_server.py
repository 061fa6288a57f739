"""Prefect's server shows what a run does; a run does not hang on it."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from infra.prefect_home import prefect_api
from tests.faults.case import Case, finish, journalled, wait_for
from tests.faults.middle import Pipe, in_background
from tests.infra.engines.builders import closed_port

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.faults]


class Server:
    """A Prefect server of our own behind an address that stays."""

    def __init__(self, stack: ExitStack, home: Path) -> None:
        self._stack = stack
        self._home = home
        self._pipe = Pipe(0)
        self.start()
        self.url = f"http://127.0.0.1:{stack.enter_context(in_background(self._pipe.serve()))}/api"

    def start(self) -> None:
        self._api = self._stack.enter_context(prefect_api(self._home))
        self._api.wait()
        self._pipe.port = int(self._api.url.split(":")[2].split("/")[0])

    def kill(self) -> None:
        assert self._api.process is not None
        self._api.process.kill()
        self._api.process.wait()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with ExitStack() as stack:
        yield Server(stack, tmp_path / "prefect")


def told_at(case: Case, url: str) -> Case:
    case.factory = replace(case.factory, settings={**case.factory.settings, "PREFECT_API_URL": url})
    return case


def test_prefect_server_restarted_in_mid_run(case: Case, server: Server) -> None:
    process = told_at(case, server.url).start()
    wait_for(lambda: journalled(case.data, "responses") > 500, process)
    server.kill()
    time.sleep(2)
    server.start()
    case.prove(finish(process), most_repeated=0)


def test_prefect_server_killed_in_mid_run_and_gone_for_good(case: Case, server: Server) -> None:
    process = told_at(case, server.url).start()
    wait_for(lambda: journalled(case.data, "responses") > 500, process)
    server.kill()
    done = finish(process)
    case.prove(done, most_repeated=0)
    assert "Prefect could not be told how this ended" in done.err
    assert "Traceback" not in done.err
    assert "Error logging" not in done.err
    assert case.factory.call("runs", "list", "--json").out.count('"finished"') == 1


def test_prefect_server_unreachable_from_the_start(case: Case) -> None:
    address = closed_port("openai")
    done = told_at(case, f"http://{address.host}:{address.port}/api").run()
    case.prove(done, most_repeated=0)
    assert f"{address.host}:{address.port}" in done.err
