"""The production topology on hosts of a test's own: what docker-compose.yml starts, by the same commands and variables."""

import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.fleet.network import Network, laid_out
from tests.postgres import postgres_programs
from tests.s3 import KEY, SECRET, make_bucket

HOSTS = {
    "object-storage": 3,
    "postgres": 4,
    "prefect-server": 5,
    "dask-scheduler": 6,
    "triton-a": 11,
    "triton-b": 12,
    "dask-worker-a": 21,
    "dask-worker-b": 22,
    "worker": 31,
}
PATIENCE_S = 300.0
GRISTMILL = str(Path(sys.executable).with_name("gristmill"))
_CARDS = {"rehearsal-instruct": "ensemble", "rehearsal-reward": "reward"}
_QUIET = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
_PASSWORD = "geheim"


@dataclass(frozen=True)
class Fleet:
    """A fleet that is up, and how its operator reaches it."""

    network: Network
    s3: Mapping[str, str]
    """The S3 server's variables for this machine, where no name of the fleet is known."""
    ledger_url: str
    prefect_url: str

    def trigger(self, data: str) -> str:
        """Start the rehearsal's deployment on a data root, anew; gives the flow run's id."""
        found = httpx.get(f"{self.prefect_url}/deployments/name/produce/rehearsal", timeout=30).raise_for_status().json()
        asked = {"parameters": {"recipe": "recipes/rehearsal.yaml", "data": data, "fresh": True}, "state": {"type": "SCHEDULED"}}
        made = httpx.post(f"{self.prefect_url}/deployments/{found['id']}/create_flow_run", json=asked, timeout=30).raise_for_status().json()
        return str(made["id"])

    def state(self, flow_run: str) -> str:
        """Ask Prefect how a flow run stands."""
        return str(httpx.get(f"{self.prefect_url}/flow_runs/{flow_run}", timeout=30).raise_for_status().json()["state_type"])

    def finish(self, flow_run: str) -> None:
        """Wait until a flow run has ended well."""
        self.wait_until(lambda: self.state(flow_run) in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"), "the flow run's end")
        assert self.state(flow_run) == "COMPLETED", self.network.explain()

    def runs(self) -> int:
        """Count the runs in the ledger."""
        return self._ask("SELECT count(*) FROM information_schema.tables WHERE table_name = 'runs'") and self._ask("SELECT count(*) FROM runs")

    def committed(self, stage: str) -> int:
        """Count the shards of a stage that the newest run has committed."""
        return self._ask(f"SELECT count(*) FROM shards WHERE stage = '{stage}' AND run_id = (SELECT run_id FROM runs ORDER BY started_at DESC LIMIT 1)")

    def _ask(self, query: str) -> int:
        with psycopg.connect(self.ledger_url, connect_timeout=10) as connection:
            found = connection.execute(query.encode()).fetchone()
        return int(found[0]) if found else 0

    def wait_until(self, happened: Callable[[], Any], what: str) -> None:
        """Wait for a condition, and for whatever answers errors meanwhile."""
        until = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < until, f"never seen in {PATIENCE_S} s: {what}\n{self.network.explain()}"
            time.sleep(0.2)


@contextmanager
def fleet_up() -> Iterator[Fleet]:
    """Start all of it, each part on a host of its own, and take it down again."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("NO FLEET HERE: PostgreSQL is not installed")
    with laid_out(HOSTS, {"triton": ("triton-a", "triton-b")}) as network:
        s3 = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
        fleet = Fleet(
            network,
            {**s3, "AWS_ENDPOINT_URL": f"http://{network['object-storage'].address}:8333"},
            f"postgresql://gristmill:{_PASSWORD}@{network['postgres'].address}:5432/gristmill",
            f"http://{network['prefect-server'].address}:4200/api",
        )
        _start_stores(fleet, programs)
        _start_workers(fleet, {**s3, "AWS_ENDPOINT_URL": "http://object-storage:8333"})
        yield fleet


def _start_stores(fleet: Fleet, programs: Path) -> None:
    network = fleet.network
    storage = network["object-storage"]
    process = storage.start("moto", sys.executable, "-m", "moto.server", "-H", storage.address, "-p", "8333", env={})
    for name in ("triton-a", "triton-b"):
        host = network[name]
        host.start("triton", GRISTMILL, "triton", "serve", "--host", host.address, "--port", "8001", "--latency", "0.03", env={})
    _start_postgres(network, programs)
    make_bucket(fleet.s3["AWS_ENDPOINT_URL"], process)
    scheduler = network["dask-scheduler"]
    scheduler.start("scheduler", *_dask("scheduler", "--host", scheduler.address, "--port", "8786", "--dashboard-address", f"{scheduler.address}:8787"), env={})
    server = network["prefect-server"]
    url = f"postgresql+asyncpg://gristmill:{_PASSWORD}@postgres:5432/prefect"
    home = {**_QUIET, "PREFECT_HOME": str(server.disk / "prefect"), "PREFECT_SERVER_DATABASE_CONNECTION_URL": url, "PREFECT_UI_ENABLED": "false"}
    server.start("server", *_prefect("server", "start", "--host", server.address, "--port", "4200"), env=home)
    fleet.wait_until(lambda: _answers(f"{fleet.prefect_url}/health"), "the Prefect server's health")
    for name in ("triton-a", "triton-b"):
        fleet.wait_until(lambda at=network[name].address: _answers(f"http://{at}:8000/v2/health/ready"), f"{name}'s health")  # type: ignore[misc]


def _start_workers(fleet: Fleet, s3: Mapping[str, str]) -> None:
    network = fleet.network
    for name in ("dask-worker-a", "dask-worker-b"):
        host = network[name]
        own = {**s3, "GRISTMILL_SCRATCH": str(host.disk)}
        words = ("tcp://dask-scheduler:8786", "--host", host.address, "--nworkers", "1", "--nthreads", "1", "--memory-limit", "2GiB", "--no-dashboard")
        host.start("worker", *_dask("worker", *words, "--local-directory", str(host.disk)), env=own)
    host = network["worker"]
    client = {**_QUIET, "PREFECT_API_URL": "http://prefect-server:4200/api", "PREFECT_HOME": str(host.disk / "prefect"), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    settings = {
        "GRISTMILL_DATA": "s3://bucket/data",
        "GRISTMILL_SCRATCH": str(host.disk),
        "GRISTMILL_DATABASE_URL": f"postgresql+psycopg://gristmill:{_PASSWORD}@postgres:5432/gristmill",
        "GRISTMILL_DASK_SCHEDULER": "tcp://dask-scheduler:8786",
        "GRISTMILL_ENGINES": " ".join(f"{card}=grpc://triton:8001/{model}" for card, model in _CARDS.items()),
        # A call to a host that is cut off is given up after so long; the small models answer in milliseconds.
        "GRISTMILL_DEADLINE_S": "15",
    }
    for asked in (_prefect("work-pool", "create", "gristmill", "--type", "process"), _prefect("deploy", "--all")):
        done = subprocess.run(host.command(*asked), env={**os.environ, **client}, cwd=Path(__file__).parent.parent.parent, capture_output=True, text=True)
        assert done.returncode == 0, f"{asked}\n{done.stdout}\n{done.stderr}\n{network.explain()}"
    host.start("worker", *_prefect("worker", "start", "--pool", "gristmill", "--install-policy", "never"), env={**client, **s3, **settings})


def _start_postgres(network: Network, programs: Path) -> None:
    host = network["postgres"]
    user = next((name for name in ("postgres", "nobody") if _there(name)), None)
    if user is None:
        pytest.skip("NO FLEET HERE: PostgreSQL won't run as root, and there is neither a user postgres nor nobody")
    shutil.chown(host.own, user)
    (host.own / "password").write_text(_PASSWORD)
    (host.own / "password").chmod(0o644)
    data, account = str(host.disk / "data"), ("setpriv", "--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--clear-groups")
    create = (str(programs / "initdb"), "-D", data, "-U", "gristmill", "--auth=scram-sha-256", f"--pwfile={host.disk / 'password'}", "--no-sync", "-E", "UTF8")
    subprocess.run(host.command(*account, *create), check=True, capture_output=True, cwd="/")
    with (host.own / "data" / "pg_hba.conf").open("a") as rules:
        rules.write("host all all samenet scram-sha-256\n")
    options = (f"listen_addresses={host.address}", f"unix_socket_directories={host.disk}", "fsync=off", "max_connections=100")
    serve = (str(programs / "postgres"), "-D", data, *(word for option in options for word in ("-c", option)))
    host.start("postgres", *account, *serve, env={})
    _make_databases(host.address)


def _make_databases(address: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            with psycopg.connect(f"postgresql://gristmill:{_PASSWORD}@{address}:5432/postgres", autocommit=True, connect_timeout=5) as connection:
                for name in ("gristmill", "prefect"):
                    connection.execute(f"CREATE DATABASE {name}".encode())
            return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _there(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _dask(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:])


def _prefect(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "prefect", "--no-prompt", *words)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
