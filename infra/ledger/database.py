"""The ledger's connection: SQLite or PostgreSQL, transactions that are tried again where that is right, and errors without passwords."""

import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from infra.disk import space_left
from infra.ledger.migrate import migrate
from schemas.errors import LedgerError

Result = TypeVar("Result")

CONNECT_S = 5
"""Longest wait for a PostgreSQL server to take a connection."""
LOCK_S = 30
"""Longest wait for another process's transaction on SQLite; ours last milliseconds."""
PATIENCE_S = 60.0
"""How long an open ledger waits for a PostgreSQL server that went away, as in a restart."""

_PASSING_STATES = ("08", "40", "57P", "53300")
"""SQLSTATEs by prefix: connection lost, deadlock or serialisation, shutting down or starting up, too many connections."""
_RACES = 20
"""How often a transaction that lost a race for a unique name is run again; each loss means that somebody else got on."""


_CLOCKS = {
    "postgresql": text("SELECT extract(epoch FROM clock_timestamp())::double precision"),
    "sqlite": text("SELECT (julianday('now') - 2440587.5) * 86400.0"),
}


def clock(session: Session) -> float:
    """Read the database's clock, the one that all who share it go by: seconds since 1970."""
    return float(session.scalar(_CLOCKS[session.get_bind().dialect.name]) or 0.0)


class Database:
    """One open database. Safe to use from several threads."""

    def __init__(self, url: str) -> None:
        self._url = _read_url(url)
        self._engine = _create_engine(self._url)
        try:
            self._prepare()
        except (SQLAlchemyError, OSError, sqlite3.Error) as error:
            self._engine.dispose()
            raise self._explain(error) from error
        except LedgerError:
            self._engine.dispose()
            raise

    def __str__(self) -> str:
        """Name the database without its password."""
        return _masked(self._url)

    def read(self, work: Callable[[Session], Result]) -> Result:
        """Run `work` in a transaction that only reads."""
        return self._run(work, self._engine)

    def write(self, work: Callable[[Session], Result]) -> Result:
        """Run `work` in a transaction and commit it.

        `work` must look before it writes: it is run again if another process took a unique name first, or if the connection was lost.
        """
        return self._run(work, self._engine.execution_options(writes=True))

    def close(self) -> None:
        """Let all connections go."""
        self._engine.dispose()

    def _prepare(self) -> None:
        if self._engine.dialect.name == "sqlite":
            Path(self._url.database or "").parent.mkdir(parents=True, exist_ok=True)
            _use_write_ahead_log(self._engine)
        with self._engine.execution_options(writes=True).begin() as connection:
            migrate(connection)

    def _run(self, work: Callable[[Session], Result], engine: Engine) -> Result:
        deadline, races, wait = time.monotonic() + PATIENCE_S, 0, 0.1
        while True:
            try:
                with Session(engine, expire_on_commit=False) as session, session.begin():
                    return work(session)
            except IntegrityError as error:
                races += 1
                if races == _RACES:
                    raise self._explain(error) from error
            except SQLAlchemyError as error:
                if not _passes(error) or time.monotonic() > deadline:
                    raise self._explain(error) from error
                time.sleep(wait * random.uniform(0.5, 1))
                wait = min(wait * 2, 2.0)

    def _explain(self, error: Exception) -> LedgerError:
        cause = getattr(error, "orig", None) or error
        text = " ".join(str(cause).split())
        for secret in _secrets(self._url):
            text = text.replace(secret, "***")
        left = space_left(Path(self._url.database)) if "disk is full" in text and self._url.database else ""
        return LedgerError(f"the ledger {self} refused: {text:.500}{left}; {_cure(self._url)}")


def _read_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise LedgerError("can't read the ledger's URL: expected sqlite:///folder/ledger.db or postgresql://user@host/database") from error
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise LedgerError(f"a ledger is SQLite (sqlite:///folder/ledger.db) or PostgreSQL (postgresql://user@host/database), not {parsed.drivername}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise LedgerError("a ledger in memory would forget its runs: give SQLite a file, for example sqlite:///data/ledger.db")
    return parsed


def _create_engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        defaults = {"connect_timeout": CONNECT_S, "application_name": "gristmill"}
        return create_engine(url, hide_parameters=True, connect_args={key: value for key, value in defaults.items() if key not in url.query})
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": LOCK_S})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver must not begin or commit behind SQLAlchemy's back.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")
    # A commit is rare (one a shard) and says that files on disk are whole: it is worth its fsync, also in WAL mode.
    connection.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that will write takes the lock at once: one that has read and then wants to write can't wait for another, only fail.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _use_write_ahead_log(engine: Engine) -> None:
    """Let readers read while another process writes. The mode stays with the file; SQLite doesn't wait for others while changing it, so we do."""
    deadline = time.monotonic() + LOCK_S
    connection = engine.raw_connection()
    try:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0.01, 0.05))
    finally:
        connection.close()


def _passes(error: SQLAlchemyError) -> bool:
    """Whether the same transaction may well succeed in a moment. SQLite has done its waiting by itself."""
    if not isinstance(error, DBAPIError) or isinstance(error.orig, sqlite3.Error):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or (state is None and "OperationalError" in type(error.orig).__name__) or str(state).startswith(_PASSING_STATES)


def _masked(url: URL) -> str:
    hidden = {key: "***" if "password" in key else value for key, value in url.query.items()}
    return url.set(query=hidden).render_as_string(hide_password=True).replace("%2A", "*")


def _secrets(url: URL) -> list[str]:
    held = [str(url.password or ""), *(str(value) for key, value in url.query.items() if "password" in key)]
    return [secret for secret in held if secret]


def _cure(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return "check that its folder is writable and has space left, or name another database with GRISTMILL_DATABASE_URL"
    return "check GRISTMILL_DATABASE_URL and that the server is up and lets this user in"
