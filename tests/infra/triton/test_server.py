import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.settings import parse_address
from infra.triton import server
from infra.triton.plan import Ports
from infra.triton.server import RehearsalOptions, ServedTriton, read_metrics, serve_triton
from schemas.errors import EngineError, SettingsError
from tests.infra.triton.wire import a_prompt, client_of, read_answer, tensors

pytestmark = pytest.mark.triton

QUICK = RehearsalOptions(latency_s=0)
_OWNER = """
import os, sys, time
from pathlib import Path
from infra.triton.server import serve_triton
with serve_triton(python=Path(sys.argv[1])) as served:
    # A forked child holds all of its parent's pipes open.
    child = os.fork() or time.sleep(600)
    print(served.pid, child, flush=True)
    time.sleep(600)
"""


def traces(owner: int) -> list[str]:
    """What is left of the servers of an owner: shared memory, working folders, processes."""
    prefix = f"gristmill_{owner}_"
    regions = [path.name for path in Path("/dev/shm").glob(f"{prefix}*")]
    folders = [path.name for path in Path(tempfile.gettempdir()).glob(f"gristmill-triton-{owner}-*")]
    commands = [command for command in map(command_line, Path("/proc").glob("[0-9]*")) if prefix in command]
    return regions + folders + commands


def command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ")
    except OSError:
        return ""


def wait_until(holds: Callable[[], bool]) -> bool:
    """Wait long enough for a loaded machine; say whether it came true."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.05)
    return False


@contextmanager
def an_owner(python: Path) -> Iterator[tuple[int, int]]:
    """Another process that serves; gives its id and tritonserver's."""
    owner = subprocess.Popen([sys.executable, "-c", _OWNER, str(python)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner, owner.stdout:
        try:
            triton, child = map(int, owner.stdout.readline().split())
            yield owner.pid, triton
        finally:
            owner.kill()
            os.kill(child, signal.SIGKILL)


def say(served: ServedTriton, text: str) -> str:
    with client_of(served) as client:
        inputs = tensors({"text_input": a_prompt(text), "max_tokens": 64, "exclude_input_in_output": True})
        return str(read_answer(client.infer("ensemble", inputs))["text_output"])


def test_addresses_are_those_that_settings_would_read(triton: ServedTriton) -> None:
    (instruct,) = triton.addresses()["rehearsal-instruct"]
    assert instruct == parse_address(f"grpc://127.0.0.1:{triton.grpc_port}/ensemble?metrics={triton.metrics_port}")
    cards = {"rehearsal-instruct", "rehearsal-base", "rehearsal-reasoner", "rehearsal-reward", "rehearsal-embedding"}
    assert set(triton.addresses()) == cards


def test_server_listens_on_loopback_alone(triton: ServedTriton) -> None:
    sockets = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]]
    ours = {triton.grpc_port, triton.http_port, triton.metrics_port}
    listening = [local for _, local, _, state, *_ in sockets if state == "0A" and int(local.rpartition(":")[2], 16) in ours]
    assert listening
    assert {local.rpartition(":")[0] for local in listening} <= {"0100007F", "0000000000000000FFFF00000100007F"}


@pytest.mark.slow
def test_leaving_the_block_leaves_nothing(triton_python: Path, tmp_path: Path) -> None:
    with serve_triton(QUICK, python=triton_python, log=tmp_path / "logs" / "triton.log") as served:
        assert served.is_running()
    assert not served.is_running()
    assert not [trace for trace in traces(os.getpid()) if str(served.grpc_port) in trace]
    assert "Started GRPCInferenceService" in (tmp_path / "logs" / "triton.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_two_servers_work_side_by_side(triton: ServedTriton, triton_python: Path) -> None:
    with serve_triton(QUICK, python=triton_python) as other:
        assert {triton.grpc_port, triton.http_port, triton.metrics_port}.isdisjoint({other.grpc_port, other.http_port, other.metrics_port})
        assert say(other, "What is 2 + 3?").endswith("The answer is 5.")
    assert say(triton, "What is 2 + 3?").endswith("The answer is 5.")


@pytest.mark.slow
def test_killing_the_owner_stops_the_server_and_clears_up(triton_python: Path) -> None:
    with an_owner(triton_python) as (owner, _):
        assert traces(owner)
        os.kill(owner, signal.SIGKILL)
        assert wait_until(lambda: not traces(owner))


@pytest.mark.slow
def test_killing_tritonserver_ends_its_stubs_and_frees_their_memory(triton_python: Path) -> None:
    with an_owner(triton_python) as (owner, triton):
        os.kill(triton, signal.SIGKILL)
        assert wait_until(lambda: not [trace for trace in traces(owner) if not trace.startswith("gristmill-triton-")])


@pytest.mark.slow
def test_killing_the_supervisor_stops_the_server_too(triton_python: Path) -> None:
    with serve_triton(QUICK, python=triton_python) as served:
        supervisor = int(Path(f"/proc/{served.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        os.kill(supervisor, signal.SIGKILL)
        assert wait_until(lambda: not served.is_running())
    assert wait_until(lambda: not [trace for trace in traces(os.getpid()) if str(served.grpc_port) in trace])


@pytest.mark.slow
def test_a_port_taken_meanwhile_is_tried_again(triton: ServedTriton, triton_python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = server._find_free_ports()
    offered = iter([Ports(free.grpc, triton.http_port, free.metrics), Ports(triton.grpc_port, free.http, free.metrics), free])
    monkeypatch.setattr(server, "_find_free_ports", lambda: next(offered))
    with serve_triton(QUICK, python=triton_python) as served:
        assert (served.grpc_port, served.http_port) == (free.grpc, free.http)


def test_a_model_that_does_not_load_is_named_in_the_error(triton_python: Path, tmp_path: Path) -> None:
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "config.pbtxt").write_text('name: "broken" backend: "python" max_batch_size: 0', encoding="utf-8")
    (tmp_path / "broken" / "1" / "model.py").write_text("raise RuntimeError('no weights here')", encoding="utf-8")
    with pytest.raises(EngineError, match="no weights here"), serve_triton(python=triton_python, repository=tmp_path):
        pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (RehearsalOptions(wrong_rate=1.5), "wrong_rate is a share between 0 and 1, not 1.5"),
        (RehearsalOptions(slots=0), "slots must be at least 1, not 0"),
        (RehearsalOptions(latency_s=-1), "latency_s must be at least 0, not -1"),
        (RehearsalOptions(call_log=Path("nowhere/calls.jsonl")), "no folder for the call log nowhere/calls.jsonl"),
        (RehearsalOptions(replay=(Path("nowhere.jsonl"),)), "can't read the replay file nowhere.jsonl"),
    ],
    ids=["share", "slots", "latency", "call log", "replay"],
)
def test_wrong_options_are_refused_before_anything_starts(triton_python: Path, options: RehearsalOptions, message: str) -> None:
    with pytest.raises(SettingsError, match=message), serve_triton(options, python=triton_python):
        pass


def test_read_metrics_tells_the_models_figures(triton: ServedTriton) -> None:
    assert 'rehearsal_peak_in_service{model="reward"}' in read_metrics(triton)
