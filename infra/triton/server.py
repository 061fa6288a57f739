"""Start the embedded Triton server on the rehearsal models, and stop it when its owner lets go or dies.

    with serve_triton(RehearsalOptions(slots=8), python=settings.triton_python) as triton:
        settings.engines = ... triton.addresses() ...

The server is a child of a small supervisor (supervisor.py), which outlives a killed owner by the moment that it takes to clear up.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from infra.settings import Address
from infra.triton.environment import TritonEnvironment, inspect_environment
from infra.triton.supervisor import clear
from schemas.errors import EngineError, EngineFault, SettingsError

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE / "rehearsal"
"""The rehearsal models as an ordinary Triton model repository; served as it is."""

_SERVED = {"rehearsal-instruct": "/ensemble", "rehearsal-reward": "/reward", "rehearsal-embedding": "/embedding"}
_READY_S = 60.0
"""It takes about 3 s on two idle cores; a loaded CI machine may need ten times that."""
_GRACE_S = 5.0
_TAIL_CHARACTERS = 3000
_PORT_ATTEMPTS = 5
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class RehearsalOptions:
    """How the rehearsal models behave. Shares are of answers, chosen by `seed` and the prompt, except where said."""

    seed: int = 0
    """Root of every share and latency below; answers themselves follow from the request's own seed."""
    latency_s: float = 0.005
    """Median service time of a call."""
    latency_sigma: float = 0.5
    """Spread of the service time, log-normal."""
    slots: int = 64
    """Calls served at once by each model; the others wait."""
    wrong_rate: float = 0.2
    """Share of mathematical answers with a wrong number."""
    malformed_rate: float = 0.05
    """Share of lists in another form than asked for, or of another length."""
    refusal_rate: float = 0.02
    """Share of answers that decline."""
    truncation_rate: float = 0.02
    """Share of answers that run on until max_tokens."""
    fault_rate: float = 0.0
    """Share of attempts, not of prompts, answered by an error: the same call asked again may pass."""
    queue: int = 0
    """Calls that may wait; one more is refused as Triton refuses it ('Exceeds maximum queue size'). 0 sets no limit."""
    replay: tuple[Path, ...] = ()
    """Recorded answers, given to the prompts they belong to; see rehearsal_language/replay.py."""
    call_log: Path | None = None
    """A file that gets one JSON line per answered call (model, prompt, seed): what was really asked, counted at the server."""

    def __post_init__(self) -> None:
        for name in ("wrong_rate", "malformed_rate", "refusal_rate", "truncation_rate", "fault_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name} is a share between 0 and 1, not {getattr(self, name)}")
        for name, least in (("latency_s", 0), ("latency_sigma", 0), ("slots", 1), ("queue", 0)):
            if not getattr(self, name) >= least:
                raise SettingsError(f"{name} must be at least {least}, not {getattr(self, name)}")

    def to_json(self) -> str:
        """Encode for the models, which read it in their own processes."""
        return json.dumps(dataclasses.asdict(self), default=lambda path: str(Path(path).absolute()))


@dataclass(frozen=True, slots=True)
class ServedTriton:
    """A running server, ready to be asked."""

    grpc_port: int
    http_port: int
    metrics_port: int
    pid: int
    """Of tritonserver itself."""

    def addresses(self) -> dict[str, tuple[Address, ...]]:
        """Say where each rehearsal card is served."""
        return {card: (Address("triton", "127.0.0.1", self.grpc_port, False, path),) for card, path in _SERVED.items()}


@contextmanager
def serve_triton(options: RehearsalOptions | None = None, *, python: Path, log: Path | None = None) -> Iterator[ServedTriton]:
    """Serve the rehearsal models until the block is left. Raises SettingsError if it can't be started here, EngineError if it does not become ready."""
    options = options or RehearsalOptions()
    environment = inspect_environment(python)
    launch = _launch(environment, options, log)
    try:
        yield launch.served()
    finally:
        launch.stop()


class _PortTakenError(Exception):
    """Another process took a port between our finding it free and the server's binding it."""


@dataclass(slots=True)
class _Launch:
    """One started server with its supervisor."""

    supervisor: "subprocess.Popen[str]"
    prefix: str
    folder: Path
    log: Path
    ports: tuple[int, int, int]
    pid: int = field(default=0)

    def served(self) -> ServedTriton:
        return ServedTriton(*self.ports, pid=self.pid)

    def stop(self) -> None:
        """Let the supervisor go and wait until it has cleared up; clear up ourselves if it was killed."""
        assert self.supervisor.stdin is not None and self.supervisor.stdout is not None
        with contextlib.suppress(OSError):
            self.supervisor.stdin.close()
        try:
            self.supervisor.wait(3 * _GRACE_S)
        except subprocess.TimeoutExpired:
            self.supervisor.kill()
            self.supervisor.wait()
        self.supervisor.stdout.close()
        clear(self.prefix, str(self.folder))

    def ended(self) -> bool:
        """Say whether the server is gone: the supervisor's output ends with it."""
        return bool(select.select([self.supervisor.stdout], [], [], 0)[0])

    def wait_until_ready(self) -> None:
        """Wait for health and every model. Raises EngineError with the log's tail, or _PortTakenError."""
        until = time.monotonic() + _READY_S
        while not self._ready():
            if self.ended():
                self._explain_exit()
            if time.monotonic() > until:
                raise EngineError(f"the embedded Triton server was not ready after {_READY_S:.0f} s; {self._tail()}", fault=EngineFault.UNREACHABLE)
            time.sleep(0.05)

    def _ready(self) -> bool:
        # The three lines are written once our own server holds its ports: health alone might be told by another server that took one of them.
        told = self._read_log()
        if not all(f"127.0.0.1:{port}" in told for port in self.ports):
            return False
        paths = ["/v2/health/ready", *(f"/v2/models/{model.name}/ready" for model in REPOSITORY.iterdir() if (model / "config.pbtxt").exists())]
        return all(_get_ok(self.ports[1], path) for path in paths)

    def _explain_exit(self) -> None:
        if "already in use" in self._read_log() or "Address already in use" in self._read_log():
            raise _PortTakenError
        raise EngineError(f"the embedded Triton server ended while starting; {self._tail()}", fault=EngineFault.UNREACHABLE)

    def _read_log(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def _tail(self) -> str:
        """Quote the log's last lines, the errors among them if it tells any: a refused model is followed by pages of tables."""
        lines = [line for line in self._read_log().splitlines() if line.strip() and not line.startswith(("|", "+"))]
        errors = [line for line in lines if line.startswith(("E", "error:", "  ")) and "CUDA" not in line]
        return "its log says:\n" + "\n".join((errors or lines)[-5:])[:_TAIL_CHARACTERS]


def _launch(environment: TritonEnvironment, options: RehearsalOptions, log: Path | None) -> _Launch:
    for _ in range(_PORT_ATTEMPTS):
        launch = _start(environment, options, log)
        try:
            launch.wait_until_ready()
        except _PortTakenError:
            launch.stop()
        except BaseException:
            launch.stop()
            raise
        else:
            return launch
    raise SettingsError(f"no free ports for the embedded Triton server after {_PORT_ATTEMPTS} attempts: other programs take every port that it finds free")


def _start(environment: TritonEnvironment, options: RehearsalOptions, log: Path | None) -> _Launch:
    folder = Path(tempfile.mkdtemp(prefix="gristmill-triton-"))
    prefix = f"gristmill_{os.getpid()}_{next(_numbers)}_"
    ports = _free_ports()
    _lay_out(folder, environment)
    log = (log or folder / "tritonserver.log").absolute()
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    plan = {
        "command": _command(environment, folder, prefix, ports),
        "env": _variables(environment, folder, options),
        "log": str(log),
        "prefix": prefix,
        "folder": str(folder),
        "owner": os.getpid(),
        "grace_s": _GRACE_S,
    }
    command = [sys.executable, "-I", "-S", str(HERE / "supervisor.py"), json.dumps(plan)]
    # A session of its own: Ctrl-C in the terminal reaches the owner alone, which then decides.
    supervisor = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)  # noqa: S603
    assert supervisor.stdout is not None
    return _Launch(supervisor, prefix, folder, log, ports, int(supervisor.stdout.readline() or 0))


def _lay_out(folder: Path, environment: TritonEnvironment) -> None:
    """Put the stub beside the Python backend, and our `infra` package, alone, where the stubs can import it."""
    backend = folder / "backends" / "python"
    backend.mkdir(parents=True)
    for file in (environment.tritonserver / "backends" / "python").iterdir():
        if file.is_file():
            (backend / file.name).symlink_to(file)
    shutil.copy2(environment.stub, backend / environment.stub.name)
    (folder / "python").mkdir()
    (folder / "python" / "infra").symlink_to(HERE.parent)


def _command(environment: TritonEnvironment, folder: Path, prefix: str, ports: tuple[int, int, int]) -> list[str]:
    grpc, http, metrics = ports
    return [
        str(environment.tritonserver / "bin" / "tritonserver"),
        f"--model-repository={REPOSITORY}",
        "--model-control-mode=explicit",
        "--load-model=*",
        f"--backend-directory={folder / 'backends'}",
        f"--backend-config=python,shm-region-prefix-name={prefix}",
        # Every config is complete; completing it would start each stub twice.
        "--disable-auto-complete-config",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={grpc}",
        "--http-address=127.0.0.1",
        f"--http-port={http}",
        "--metrics-address=127.0.0.1",
        f"--metrics-port={metrics}",
        "--allow-gpu-metrics=false",
        "--pinned-memory-pool-byte-size=0",
        "--exit-timeout-secs=0",
    ]


def _variables(environment: TritonEnvironment, folder: Path, options: RehearsalOptions) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LD_", "GRISTMILL_", "VIRTUAL_ENV"))}
    return kept | {
        "PATH": f"{environment.python.parent}:{kept.get('PATH', '/usr/bin:/bin')}",
        "PYTHONPATH": f"{environment.site}:{folder / 'python'}",
        "LD_LIBRARY_PATH": f"{environment.site / 'nvidia_pytriton.libs'}:{environment.libpython}",
        "REHEARSAL_OPTIONS": options.to_json(),
    }


def _free_ports() -> tuple[int, int, int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        grpc, http, metrics = (one.getsockname()[1] for one in sockets)
        return grpc, http, metrics


def _get_ok(port: int, path: str) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def read_metrics(served: ServedTriton) -> str:
    """Read the server's Prometheus page."""
    connection: Any = HTTPConnection("127.0.0.1", served.metrics_port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        return str(connection.getresponse().read().decode())
    finally:
        connection.close()
