"""What a server is started with: its folder, command line and environment."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from infra.traces import http_collector
from infra.triton.environment import TritonEnvironment
from infra.triton.options import VARIABLE, RehearsalOptions

HERE = Path(__file__).resolve().parent
LOOPBACK = "127.0.0.1"
REPOSITORY = HERE / "rehearsal"
"""The rehearsal models as an ordinary Triton model repository; served as it is."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The three ports of a server, and the address that they are bound to: loopback, unless it was asked for another."""

    grpc: int
    http: int
    metrics: int
    host: str = LOOPBACK

    @property
    def all(self) -> tuple[int, int, int]:
        """The ports, in the order of the fields."""
        return self.grpc, self.http, self.metrics


def lay_out(folder: Path, environment: TritonEnvironment) -> None:
    """Put the stub beside the Python backend, and our `infra` package, alone, where the stubs can import it."""
    backend = folder / "backends" / "python"
    backend.mkdir(parents=True)
    for file in (environment.tritonserver / "backends" / "python").iterdir():
        if file.is_file():
            (backend / file.name).symlink_to(file)
    shutil.copy2(environment.stub, backend / environment.stub.name)
    (folder / "python").mkdir()
    (folder / "python" / "infra").symlink_to(HERE.parent)


def command(environment: TritonEnvironment, folder: Path, prefix: str, ports: Ports, *, repository: Path = REPOSITORY) -> list[str]:
    """Write tritonserver's command line; `prefix` begins the names of its shared-memory regions."""
    return [
        str(environment.tritonserver / "bin" / "tritonserver"),
        f"--model-repository={repository}",
        "--model-control-mode=explicit",
        "--load-model=*",
        f"--backend-directory={folder / 'backends'}",
        f"--backend-config=python,shm-region-prefix-name={prefix}",
        # Every config is complete; completing it would start each stub twice.
        "--disable-auto-complete-config",
        f"--grpc-address={ports.host}",
        f"--grpc-port={ports.grpc}",
        f"--http-address={ports.host}",
        f"--http-port={ports.http}",
        f"--metrics-address={ports.host}",
        f"--metrics-port={ports.metrics}",
        "--allow-gpu-metrics=false",
        "--pinned-memory-pool-byte-size=0",
        # Longer, it waits whole seconds for stubs that have nothing to save.
        "--exit-timeout-secs=0",
        *_tracing(),
    ]


def _tracing() -> list[str]:
    """Have the server send its spans where ours go, of calls that come with a trace's context alone (that is what a rate of 0 means there)."""
    collector = http_collector()
    if collector is None:
        return []
    settings = ["mode=opentelemetry", "level=TIMESTAMPS", "rate=0", f"opentelemetry,url={collector}", "opentelemetry,resource=service.name=gristmill-triton"]
    return [f"--trace-config={one}" for one in settings]


def variables(environment: TritonEnvironment, folder: Path, options: RehearsalOptions) -> dict[str, str]:
    """Make the server's environment: ours, less what would lead its Python to ours, and less our settings, which may be secret."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LD_", "GRISTMILL_", "VIRTUAL_ENV"))}
    return kept | {
        "PATH": f"{environment.python.parent}:{kept.get('PATH', '/usr/bin:/bin')}",
        "PYTHONPATH": f"{environment.site}:{folder / 'python'}",
        "LD_LIBRARY_PATH": f"{environment.site / 'nvidia_pytriton.libs'}:{environment.libpython}",
        VARIABLE: options.to_json(),
    }
