"""A Dask scheduler of its own, killed: the run says so and stops; with a new one the same command goes on."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.faults.case import Case, Site, finish, journalled, wait_for

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.faults]


@dataclass
class Cluster:
    """A scheduler and two workers without nannies, each a process of its own."""

    port: int
    folder: Path
    processes: "tuple[subprocess.Popen[bytes], ...]" = ()

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        worker = ("worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder))
        commands = [("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"), worker, worker]
        self.processes = tuple(
            subprocess.Popen([sys.executable, "-m", "dask", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for words in commands
        )

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    cluster = Cluster(port, tmp_path / "dask")
    cluster.start()
    yield cluster
    cluster.kill()


def test_dask_scheduler_killed_while_it_grades(case: Case, site: Site, cluster: Cluster) -> None:
    case.factory = replace(case.factory, settings={"PREFECT_API_URL": site.prefect_url, "GRISTMILL_DASK_SCHEDULER": cluster.address})
    process = case.start()
    wait_for(lambda: journalled(case.data, "score") > 500, process)
    cluster.kill()
    stopped = finish(process)
    assert stopped.code == 1
    assert "lost the Dask scheduler" in " ".join(stopped.err.split())
    assert not list(case.data.glob("releases/*/v*"))
    case.mark()
    cluster.start()
    case.prove(case.run())
