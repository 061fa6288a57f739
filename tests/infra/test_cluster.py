import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from infra.cluster import count_workers, open_cluster, preload, run_tasks
from infra.settings import Settings
from schemas.errors import EngineError, EngineFault, GristmillError, SettingsError

if TYPE_CHECKING:
    from distributed import Client

HERE = Path(__file__).resolve().parents[2]


def where_am_i(_: int) -> dict[str, Any]:
    import threading

    return {"pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"], "directory": os.getcwd(), "active": threading.active_count()}


def die_once(flag: str) -> str:
    """Kill the worker that runs this, the first time."""
    try:
        Path(flag).touch(exist_ok=False)
    except FileExistsError:
        return "survived"
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def die_always(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(_: int) -> None:
    raise EngineError("the model is gone", fault=EngineFault.UNKNOWN_MODEL)


def fill_memory(megabytes: int) -> int:
    block = bytearray(megabytes << 20)
    for place in range(0, len(block), 4096):
        block[place] = 1
    time.sleep(2)
    return len(block)


def has_imported(module: str) -> bool:
    deadline = time.monotonic() + 20
    while module not in sys.modules and time.monotonic() < deadline:
        time.sleep(0.02)
    return module in sys.modules


def listening(process: psutil.Process) -> list[str]:
    return [connection.laddr.ip for connection in process.net_connections("inet") if connection.status == psutil.CONN_LISTEN]


def some_settings(data: Path, *, workers: int = 1, memory: str = "1GiB", scheduler: str | None = None) -> Settings:
    return Settings(data=data, dask_workers=workers, dask_memory=memory, dask_scheduler=scheduler)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Client]":
    with open_cluster(some_settings(tmp_path_factory.mktemp("cluster"), workers=2)) as client:
        yield client


def test_open_cluster_runs_worker_processes_on_loopback_and_leaves_none_behind(tmp_path: Path) -> None:
    with open_cluster(some_settings(tmp_path, workers=2)) as client:
        assert count_workers(client) == 2
        told = client.run(where_am_i, 0)
        pids = {worker["pid"] for worker in told.values()}
        assert len(pids - {os.getpid()}) == 2
        assert {worker["threads"] for worker in told.values()} == {"1"}
        processes = [psutil.Process(pid) for pid in pids]
        assert {address for process in [psutil.Process(), *processes] for address in listening(process)} == {"127.0.0.1"}
        assert all(facts["nthreads"] == 1 for facts in client.scheduler_info(n_workers=-1)["workers"].values())
        assert all(str(tmp_path) in facts["local_directory"] for facts in client.scheduler_info(n_workers=-1)["workers"].values())
    gone, alive = psutil.wait_procs(processes, timeout=10)
    assert len(gone) == 2
    assert alive == []


def test_run_tasks_returns_results_in_order(client: "Client") -> None:
    assert run_tasks(client, abs, range(-5, 5)) == [5, 4, 3, 2, 1, 0, 1, 2, 3, 4]
    assert run_tasks(client, abs, []) == []


def test_run_tasks_survives_a_killed_worker(client: "Client", tmp_path: Path) -> None:
    assert run_tasks(client, die_once, [str(tmp_path / "first"), str(tmp_path / "second")]) == ["survived", "survived"]


def test_run_tasks_passes_on_what_the_work_raised(client: "Client") -> None:
    with pytest.raises(EngineError, match="the model is gone") as caught:
        run_tasks(client, fail, [1])
    assert caught.value.fault is EngineFault.UNKNOWN_MODEL


@pytest.mark.slow
def test_run_tasks_says_what_to_do_when_workers_keep_dying(tmp_path: Path) -> None:
    with open_cluster(some_settings(tmp_path)) as client, pytest.raises(GristmillError, match="GRISTMILL_DASK_MEMORY"):
        run_tasks(client, die_always, [1])


@pytest.mark.slow
def test_a_worker_over_its_memory_limit_is_ended_not_the_machine(tmp_path: Path) -> None:
    with open_cluster(some_settings(tmp_path, memory="300MiB")) as client:
        with pytest.raises(GristmillError, match="GRISTMILL_DASK_MEMORY"):
            run_tasks(client, fill_memory, [600])
        assert run_tasks(client, abs, [-1]) == [1]


def test_preload_imports_modules_on_each_worker_and_forgives_absent_ones(client: "Client") -> None:
    preload(client, ["no_such_module_anywhere", "mailbox"])
    assert set(client.run(has_imported, "mailbox").values()) == {True}


def test_open_cluster_says_which_scheduler_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.cluster.CONNECT_S", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SettingsError, match=address), open_cluster(some_settings(tmp_path, scheduler=address)):
            pass


@pytest.mark.parametrize("address", ["nonsense://host:1", "host:port"])
def test_open_cluster_refuses_an_address_that_is_none(tmp_path: Path, address: str) -> None:
    with pytest.raises(SettingsError, match="GRISTMILL_DASK_SCHEDULER"), open_cluster(some_settings(tmp_path, scheduler=address)):
        pass


def test_open_cluster_refuses_a_memory_limit_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="plenty"), open_cluster(some_settings(tmp_path, memory="plenty")):
        pass


def test_open_cluster_uses_a_scheduler_that_runs_elsewhere(client: "Client", tmp_path: Path) -> None:
    address = client.scheduler_info()["address"]
    with open_cluster(some_settings(tmp_path, scheduler=address)) as guest:
        assert run_tasks(guest, abs, [-3]) == [3]
    assert run_tasks(client, abs, [-4]) == [4]


PROGRAM = """
import sys
from pathlib import Path
from infra.cluster import open_cluster, run_tasks
from infra.settings import Settings

with open_cluster(Settings(data=Path(sys.argv[1]), dask_workers=2)) as client:
    print(run_tasks(client, abs, [-1, -2]))
    {end}
"""


@pytest.mark.parametrize(("end", "status"), [("pass", 0), ("raise SystemExit(7)", 7)], ids=["well", "by exit"])
def test_a_program_without_main_guard_starts_workers_and_ends_silently(tmp_path: Path, end: str, status: int) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.format(end=end), encoding="utf-8")
    ran = subprocess.run([sys.executable, str(script), str(tmp_path)], cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (status, "[1, 2]\n", "")


def test_workers_end_when_their_owner_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.format(end="import time; time.sleep(60)"), encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)], cwd=HERE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "[1, 2]\n"
        workers = psutil.Process(owner.pid).children(recursive=True)
        owner.kill()
    gone, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    assert len(gone) >= 2


def test_run_tasks_gives_up_where_no_worker_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.cluster.LONELY_S", 0)
    monkeypatch.setattr("infra.cluster._LOOK_S", 0.2)
    with open_cluster(Settings(data=tmp_path, dask_workers=1)) as client:
        client.cluster.scale(0)  # type: ignore[union-attr]
        with pytest.raises(GristmillError, match="all Dask workers have been gone"):
            run_tasks(client, abs, [1])
