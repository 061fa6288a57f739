"""A private Prefect API for runs started by hand: on loopback, quiet, with a home in the data folder, gone when its owner is.

Prefect would start one by itself, but that one takes two seconds longer, prints its shutdown's tracebacks on the user's screen, and stays
for ever after a killed owner. `python -m infra.prefect_home` (part of `make setup`) migrates an empty database once, as the template that
every new home copies: it saves seven seconds of the first run.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path

from infra.environment import environment
from infra.privacy import SWITCHES
from schemas.errors import GristmillError, StorageError

_READY_S = 180.0
"""Without the template the first start migrates a database: 9 s on two idle cores, many times that on a loaded CI machine."""
_STOP_S = 5.0
_PATIENCE_S = 10.0
"""How long the user's own server is waited for: the restart of one that is there, not the repair of one that is gone."""
_RETRIES_NAME, _RETRIES = "PREFECT_CLIENT_MAX_RETRIES", "4"
"""Of a request of Prefect's client, half a minute in all: by default it holds a run's end up for over a minute when its server is gone."""
_CLIENT = {
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    # Records go to our own log file, by way of the root logger; this one would go to the screen.
    "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
}
_SERVER = {
    "PREFECT_UI_ENABLED": "false",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
}


@dataclass(frozen=True, slots=True)
class PrefectApi:
    """A Prefect API that is up, or coming up."""

    url: str
    process: "subprocess.Popen[bytes] | None"
    """None: the user's own, found by PREFECT_API_URL."""
    log: Path
    instead_of: str | None = None
    """The user's own, where that did not answer."""

    def wait(self) -> None:
        """Return once it answers. Raises GristmillError if it won't."""
        if self.process is None:
            return
        until = time.monotonic() + _READY_S
        while not _healthy(self.url):
            if self.process.poll() is not None or time.monotonic() > until:
                raise GristmillError(f"Prefect's local API did not start: {self.log} says why; or set PREFECT_API_URL to a Prefect server that runs")
            time.sleep(0.05)


@contextmanager
def prefect_api(data: Path) -> Iterator[PrefectApi]:
    """Start an API and point this process at it; `import prefect` must come after.

    The user's PREFECT_API_URL is left as it is, unless nobody answers there: a run does not hang on who shows it (docs/decisions/prefect-away.md).
    """
    home = data / "prefect"
    log = home / "server.log"
    told = os.environ.get("PREFECT_API_URL")
    if told and _answers_soon(told):
        with environment({_RETRIES_NAME: os.environ.get(_RETRIES_NAME, _RETRIES)}):
            yield PrefectApi(told, None, log)
        return
    prepare_home(home)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
    with environment({**SWITCHES, **_CLIENT, "PREFECT_HOME": str(home.absolute()), "PREFECT_API_URL": url}):
        with listener:
            process = _start(listener.fileno(), log)
        try:
            yield PrefectApi(url, process, log, instead_of=told)
        finally:
            _stop(process)


def leave_untold() -> None:
    """Drop what Prefect's client still wants to tell a server that is gone: at exit it would try each event for half a minute, and there are hundreds."""
    from prefect._internal.concurrency import services

    # No public way ends it: the services' own `drain` has a limit on waiting, after which the interpreter's exit waits all the same.
    for service in list(services._active_services):
        task, loop = getattr(service, "_task", None), getattr(service, "_loop", None)
        if task is not None and loop is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended
                loop.call_soon_threadsafe(task.cancel)


def prepare_home(home: Path) -> None:
    """Give a new home the migrated database that set-up made; without one the server migrates by itself. Raises StorageError."""
    database, template = home / "prefect.db", template_path()
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not database.exists() and template.exists():
            fresh = home / f".prefect.db.{os.getpid()}"
            shutil.copyfile(template, fresh)
            # A link, unlike a rename, does not replace what a run started at the same moment has put there.
            with contextlib.suppress(FileExistsError):
                os.link(fresh, database)
            fresh.unlink()
    except OSError as error:
        raise StorageError(f"can't write to {home}: {error.strerror or error}; name another data folder with --data or GRISTMILL_DATA") from error


def template_path() -> Path:
    """Say where set-up keeps the migrated database: in the environment, by Prefect's version."""
    return Path(sys.prefix) / "share" / "gristmill" / f"prefect-{version('prefect')}.db"


def make_template() -> None:
    """Migrate an empty Prefect database and keep it as the template."""
    target = template_path()
    if target.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **SWITCHES, **_SERVER, "PREFECT_HOME": folder}
        environment.pop("PREFECT_API_URL", None)
        environment.pop("PREFECT_API_DATABASE_CONNECTION_URL", None)
        migrate = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
        subprocess.run(migrate, env=environment, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(Path(folder) / "prefect.db", target)


def _start(handle: int, log: Path) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, **_SERVER}
    environment.pop("PREFECT_API_URL")
    with open(log, "ab") as output:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", str(Path(__file__).with_name("prefect_server.py")), str(handle)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=[handle],
            # Or Ctrl-C at the terminal would stop it before the flow has told it how it ended.
            start_new_session=True,
        )


def _stop(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def _answers_soon(url: str) -> bool:
    """Say whether anybody answers, whatever he says: a server behind a login may refuse its health to us."""
    until = time.monotonic() + _PATIENCE_S
    while not _answers(url):
        if time.monotonic() > until:
            return False
        time.sleep(0.5)
    return True


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/health", timeout=5).close()  # noqa: S310
    except urllib.error.HTTPError:
        return True
    except (OSError, HTTPException):
        return False
    return True


if __name__ == "__main__":
    make_template()
