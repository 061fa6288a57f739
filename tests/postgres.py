"""A private PostgreSQL cluster, for tests that need a real one."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

PASSWORD = "geheim"


def postgres_programs() -> Path | None:
    """The folder of `initdb` and `postgres`, on PATH or where `pg_config` points."""
    found = shutil.which("initdb")
    if found and shutil.which("postgres"):
        return Path(found).parent
    config = shutil.which("pg_config")
    if config:
        folder = Path(subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True).stdout.strip())
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


class Cluster:
    """A PostgreSQL cluster of our own on a free loopback port, in a temporary folder of which nothing stays."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="gristmill-postgres-"))
        self._account = _unprivileged_account(self._folder) if os.getuid() == 0 else {}
        self._port = _free_port()
        self.url = f"postgresql://gristmill:{PASSWORD}@127.0.0.1:{self._port}"
        self._server: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        options = ["-U", "gristmill", "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync", "-E", "UTF8"]
        command = [str(self._programs / "initdb"), "-D", str(self._folder / "data"), *options]
        subprocess.run(command, check=True, capture_output=True, cwd=self._folder, **self._account)

    def start(self) -> None:
        settings = [f"port={self._port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self._folder}"]
        settings += ["fsync=off", "full_page_writes=off", "synchronous_commit=off"]
        options = [part for setting in settings for part in ("-c", setting)]
        # The server dies with us, also if we are killed.
        leash = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
        command = [*leash, str(self._programs / "postgres"), "-D", str(self._folder / "data"), *options]
        with open(self._folder / "log", "ab") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder, **self._account)
        self._wait_until_up()

    def stop(self) -> None:
        if self._server is not None:
            # PostgreSQL's fast shutdown: it doesn't wait for clients.
            self._server.send_signal(signal.SIGINT)
            self._server.wait(30)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(f"{self.url}/postgres", connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._server is None or self._server.poll() is not None:
                    raise RuntimeError(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()}") from None
                time.sleep(0.05)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Run a cluster until the block is left; skips the test where PostgreSQL is not installed."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("NO POSTGRESQL HERE: neither initdb and postgres on PATH nor under `pg_config --bindir`; the ledger is not tested on it")
    cluster = Cluster(programs)
    try:
        cluster.create()
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


def _unprivileged_account(folder: Path) -> dict[str, Any]:
    """PostgreSQL won't run as root: give its folder to somebody else, and the options that make a subprocess theirs."""
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            os.chown(folder, user.pw_uid, user.pw_gid)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.skip("NO POSTGRESQL HERE: it won't run as root, and there is neither a user postgres nor nobody; the ledger is not tested on it")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
