"""Start the embedded Triton server on the rehearsal models, and stop it when its owner lets go or dies.

    with serve_triton(RehearsalOptions(slots=8), python=settings.triton_python) as triton:
        use(triton.addresses())

The server is a child of a small supervisor (supervisor.py), which outlives a killed owner by the moment that it takes to clear up.
"""

import contextlib
import itertools
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO

from infra.settings import Address
from infra.triton import plan
from infra.triton.environment import TritonEnvironment, inspect_environment
from infra.triton.options import RehearsalOptions, explain_fault, write_slots
from infra.triton.plan import Ports
from infra.triton.rehearsal_language.replay import ReplayFileError, read_replays
from infra.triton.supervisor import clear
from schemas.errors import EngineError, EngineFault, SettingsError

__all__ = ["RehearsalOptions", "ServedTriton", "read_metrics", "serve_triton"]

_SERVED = {
    "rehearsal-instruct": "/ensemble",
    "rehearsal-base": "/ensemble",
    "rehearsal-reasoner": "/tensorrt_llm_bls",
    "rehearsal-reward": "/reward",
    "rehearsal-embedding": "/embedding",
}
_READY_S = 60.0
"""It takes about 1 s on two idle cores; a loaded CI machine may need many times that."""
_GRACE_S = 5.0
_PORT_ATTEMPTS = 5
_TAIL_LINES, _TAIL_CHARACTERS = 5, 3000
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class ServedTriton:
    """A running server, ready to be asked."""

    grpc_port: int
    http_port: int
    metrics_port: int
    pid: int
    """Of tritonserver itself."""
    control: Path
    """See RehearsalOptions.control."""
    host: str = plan.LOOPBACK

    def set_slots(self, slots: int) -> None:
        """Change how many calls each model serves at once; the models follow within a tenth of a second."""
        write_slots(self.control, slots)

    def addresses(self) -> dict[str, tuple[Address, ...]]:
        """Say where each rehearsal card is served."""
        return {card: (Address("triton", self.host, self.grpc_port, False, path, metrics_port=self.metrics_port),) for card, path in _SERVED.items()}

    def is_running(self) -> bool:
        """Say whether tritonserver still lives."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


@contextmanager
def serve_triton(
    options: RehearsalOptions = RehearsalOptions(),  # noqa: B008 - frozen
    *,
    python: Path,
    log: Path | None = None,
    repository: Path = plan.REPOSITORY,
    bind: Ports | None = None,
) -> Iterator[ServedTriton]:
    """Serve the rehearsal models, or another repository of Python models, until the block is left: on loopback and free ports, unless bound elsewhere.

    Triton asks nobody for a password: whoever reaches its ports uses it.
    Raises SettingsError for what can't work here, EngineError with the log's end if the server does not become ready.
    """
    _check(options)
    launch = _launch(inspect_environment(python), _Wanted(options, repository, log, bind))
    try:
        yield ServedTriton(*launch.ports.all, launch.pid, launch.folder / "control.json", launch.ports.host)
    finally:
        launch.stop()


def read_metrics(served: ServedTriton) -> str:
    """Read the server's Prometheus page."""
    page = _get(served.host, served.metrics_port, "/metrics")
    if page is None:
        raise EngineError(f"no metrics from the embedded Triton server at port {served.metrics_port}", fault=EngineFault.UNREACHABLE)
    return page


def _check(options: RehearsalOptions) -> None:
    fault = explain_fault(options)
    if fault:
        raise SettingsError(fault)
    if options.call_log is not None and not options.call_log.absolute().parent.is_dir():
        raise SettingsError(f"no folder for the call log {options.call_log}: make it first")
    try:
        read_replays(options.replay)
    except ReplayFileError as error:
        raise SettingsError(str(error)) from error


class _PortTakenError(Exception):
    """Another process took a port between our finding it free and the server's binding it."""


@dataclass(frozen=True, slots=True)
class _Supervisor:
    """The process of supervisor.py and the pipes to it."""

    process: "subprocess.Popen[bytes]"
    lifeline: IO[bytes]
    """Closed, it ends the server."""
    told: IO[bytes]
    """Tells the server's process id, and ends with the server."""


@dataclass(frozen=True, slots=True)
class _Launch:
    """One started server with its supervisor."""

    supervisor: "_Supervisor"
    prefix: str
    folder: Path
    log: Path
    ports: Ports
    repository: Path
    pid: int

    def stop(self) -> None:
        """Let the supervisor go and wait until it has cleared up; clear up ourselves if it was killed."""
        with contextlib.suppress(OSError):
            self.supervisor.lifeline.close()
        try:
            self.supervisor.process.wait(3 * _GRACE_S)
        except subprocess.TimeoutExpired:
            self.supervisor.process.kill()
            self.supervisor.process.wait()
        self.supervisor.told.close()
        clear(self.prefix, str(self.folder))

    def wait_until_ready(self) -> None:
        """Wait for health and every model. Raises EngineError with the log's end, or _PortTakenError."""
        until = time.monotonic() + _READY_S
        while not self._is_ready():
            if self._has_ended():
                self._explain_end()
            if time.monotonic() > until:
                raise EngineError(f"the embedded Triton server was not ready after {_READY_S:.0f} s; {self._tail()}", fault=EngineFault.UNREACHABLE)
            time.sleep(0.03)

    def _is_ready(self) -> bool:
        # The log names the ports once our own server holds them: health alone might be told by another server that took one.
        told = self._read_log()
        if not all(f"at {self.ports.host}:{port}" in told for port in self.ports.all):
            return False
        models = [f"/v2/models/{config.parent.name}/ready" for config in sorted(self.repository.glob("*/config.pbtxt"))]
        return all(_get(self.ports.host, self.ports.http, path) is not None for path in ("/v2/health/ready", *models))

    def _has_ended(self) -> bool:
        # The supervisor's output ends with the server.
        return bool(select.select([self.supervisor.told], [], [], 0)[0])

    def _explain_end(self) -> None:
        if "already in use" in self._read_log():
            raise _PortTakenError
        raise EngineError(f"the embedded Triton server ended while starting; {self._tail()}", fault=EngineFault.UNREACHABLE)

    def _read_log(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _tail(self) -> str:
        # A model that does not load is told before pages of tables.
        lines = [line for line in self._read_log().splitlines() if line.strip() and not line.startswith(("|", "+"))]
        errors = [line for line in lines if line.startswith(("E", "error:")) and "CUDA" not in line]
        return "its log says:\n" + "\n".join((errors or lines)[-_TAIL_LINES:])[:_TAIL_CHARACTERS]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What to serve, and where to write the server's log."""

    options: RehearsalOptions
    repository: Path
    log: Path | None
    bind: Ports | None


def _launch(environment: TritonEnvironment, wanted: _Wanted) -> _Launch:
    for _ in range(1 if wanted.bind else _PORT_ATTEMPTS):
        launch = _start(environment, wanted)
        try:
            launch.wait_until_ready()
        except _PortTakenError:
            launch.stop()
        except BaseException:
            launch.stop()
            raise
        else:
            return launch
    if wanted.bind:
        raise SettingsError(f"a port of {', '.join(map(str, wanted.bind.all))} is taken on {wanted.bind.host}: give another with --port")
    raise SettingsError(f"no free ports for the embedded Triton server after {_PORT_ATTEMPTS} attempts: other programs take every port that it finds free")


def _start(environment: TritonEnvironment, wanted: _Wanted) -> _Launch:
    folder = Path(tempfile.mkdtemp(prefix=f"gristmill-triton-{os.getpid()}-"))
    prefix = f"gristmill_{os.getpid()}_{next(_numbers)}_"
    ports = wanted.bind or _find_free_ports()
    plan.lay_out(folder, environment)
    log = (wanted.log or folder / "tritonserver.log").absolute()
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    planned = {
        "command": plan.command(environment, folder, prefix, ports, repository=wanted.repository),
        "env": plan.variables(environment, folder, replace(wanted.options, control=folder / "control.json")),
        "log": str(log),
        "prefix": prefix,
        "folder": str(folder),
        "owner": os.getpid(),
        "grace_s": _GRACE_S,
    }
    supervisor = _supervise(json.dumps(planned))
    return _Launch(supervisor, prefix, folder, log, ports, wanted.repository, int(supervisor.told.readline() or 0))


def _supervise(planned: str) -> _Supervisor:
    command = [sys.executable, "-I", "-S", str(plan.HERE / "supervisor.py")]
    # A session of its own: Ctrl-C in the terminal reaches the owner alone, which then decides.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True)  # noqa: S603
    assert process.stdin is not None
    assert process.stdout is not None
    # Through the pipe: what stands in the environment is nobody's to see, and a command line is everybody's.
    process.stdin.write(planned.encode() + b"\n")
    return _Supervisor(process, process.stdin, process.stdout)


def _find_free_ports() -> Ports:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return Ports(*(one.getsockname()[1] for one in sockets))


def _get(host: str, port: int, path: str) -> str | None:
    connection = HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.read().decode() if response.status == 200 else None
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
