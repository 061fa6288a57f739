"""A real Prefect server with a real worker, a home of their own, and the deployments of prefect.yaml."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
QUIET = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_SERVER_UI_V2_ENABLED": "false", "DO_NOT_TRACK": "1", "NO_COLOR": "1"}
PATIENCE_S = 300
CALM_S = 120.0
"""For one answer of a server that shares two cores with everything that it orders."""


@dataclass(frozen=True, slots=True)
class Site:
    """A Prefect server with a worker, of their own home."""

    url: str
    env: dict[str, str]
    folder: Path

    def prefect(self, *args: str) -> str:
        return self.call(sys.executable, "-m", "prefect", "--no-prompt", *args)

    def gristmill(self, *args: str) -> str:
        return self.call(str(Path(sys.executable).with_name("gristmill")), *args)

    def call(self, *command: str) -> str:
        done = subprocess.run(command, cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def read(self, path: str, **query: Any) -> Any:
        answer = httpx.post(f"{self.url}/{path}", json=query, timeout=CALM_S)
        answer.raise_for_status()
        return answer.json()

    def runs_of(self, deployment: str) -> list[dict[str, Any]]:
        return list(self.read("flow_runs/filter", deployments={"name": {"any_": [deployment]}}, sort="EXPECTED_START_TIME_ASC"))

    def explain(self) -> str:
        return "\n".join(f"--- {log.name}\n{log.read_text(encoding='utf-8', errors='replace')[-4000:]}" for log in sorted(self.folder.glob("*.log")))


@contextmanager
def running(folder: Path, name: str, env: dict[str, str], *args: str) -> Iterator[None]:
    """Run a Prefect command in the background, and end it and what it started when the block ends."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "--no-prompt", *args], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=CALM_S)
            end_group(process)


def end_group(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(happened: Callable[[], Any], what: str, site: Site) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (result := happened()):
        assert time.monotonic() < deadline, f"never seen in {PATIENCE_S} s: {what}\n{site.explain()}"
        time.sleep(0.5)
    return result


def finished(run: Mapping[str, Any]) -> bool:
    return run["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve_site(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Site]:
    """Start a server, deploy everything, and start a worker with these settings of Gristmill's."""
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "GRISTMILL_"))}
    env = inherited | QUIET | {"PREFECT_HOME": str(folder / "home"), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "GRISTMILL_DATA": str(folder / "data")}
    site = Site(env["PREFECT_API_URL"], env | dict(settings or {}), folder)
    # The scheduler looks once a minute by default.
    server_env = env | {"PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2", "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "2"}
    worker_env = site.env | {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    with running(folder, "server", server_env, "server", "start", "--host", "127.0.0.1", "--port", str(port)):
        wait_until(lambda: answers(site.url), "the server's health", site)
        site.gristmill("deploy")
        with running(folder, "worker", worker_env, "worker", "start", "--pool", "gristmill", "--install-policy", "never"):
            yield site
