"""Who works on a run, told by the ledger: for processes that share a database, but no file system on which a lock would reach both.

A lease is renewed every RENEW_S. One that has not been for EXPIRY_S, by the database's own clock, may be taken over by another machine. On the same
machine nobody waits and no clock counts: a dead holder's lease is free at once, a living one's never. A holder that slept through its expiry (a paused
virtual machine) finds out when it commits: `guard` is part of the committing transaction. Why so: docs/decisions/leases.md.
"""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from infra.ledger.database import Database, clock
from infra.ledger.models import Lease
from schemas.errors import LedgerError, RunBusyError

RENEW_S = 5.0
EXPIRY_S = 60.0
"""As long as an open ledger waits for its server (database.PATIENCE_S): who could not renew for longer has stopped by itself."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process, named so that nobody takes another for it."""

    host: str
    pid: int
    place: str
    """The kernel's boot and the PID namespace; only within one does a process id say anything."""
    born: str
    """When the process was started, in the kernel's ticks: ids are given out again."""
    folder: str
    """Its data folder."""

    @classmethod
    def here(cls, folder: Path) -> "Holder":
        """Name this process."""
        return cls(socket.gethostname(), os.getpid(), _place(), _born(os.getpid()), str(folder.absolute()))

    def lives(self) -> bool | None:
        """Say whether the process is there; None where that can't be seen from here."""
        if not self.place or self.place != _place():
            return None
        return bool(self.born) and _born(self.pid) == self.born

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@contextmanager
def hold(database: Database, run_id: str, holder: Holder) -> Iterator[str]:
    """Hold the lease on a run and keep it renewed until the block is left; gives its token. Raises RunBusyError."""
    token = secrets.token_hex(16)
    database.write(lambda session: _take(session, run_id, holder, token))
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(database, run_id, token, ended), name="lease", daemon=True)
    keeper.start()
    try:
        yield token
    finally:
        ended.set()
        keeper.join(RENEW_S)
        # It expires by itself, should the ledger be away.
        with suppress(LedgerError):
            database.write(lambda session: _give_back(session, run_id, token))


def guard(session: Session, run_id: str, token: str | None) -> None:
    """Refuse to commit for a run whose lease somebody else has taken. Raises RunBusyError."""
    lease = session.get(Lease, run_id) if token else None
    if lease is not None and lease.token != token:
        raise RunBusyError(
            f"run {run_id} was taken over by {_holder(lease)}, as this process had not been heard for {EXPIRY_S:.0f} s: it goes on there, and nothing is lost"
        )


def last_holder(session: Session, run_id: str) -> Holder | None:
    """Give who holds a run, or held it last."""
    lease = session.get(Lease, run_id)
    return _holder(lease) if lease else None


def _take(session: Session, run_id: str, holder: Holder, token: str) -> None:
    now = clock(session)
    lease = session.get(Lease, run_id, with_for_update=True)
    if lease is None:
        lease = Lease(run_id=run_id)
        session.add(lease)
    elif lease.token not in (token, ""):
        _refuse_if_held(lease, now)
    for name, value in asdict(holder).items():
        setattr(lease, name, value)
    lease.token, lease.expires_at = token, now + EXPIRY_S


def _refuse_if_held(lease: Lease, now: float) -> None:
    left, holder = lease.expires_at - now, _holder(lease)
    lives = holder.lives()
    if lives is False or (lives is None and left <= 0):
        return
    if lives:
        raise RunBusyError(f"run {lease.run_id} is being worked on by {holder}, in {holder.folder}: wait for it, or stop it and run the same command again")
    raise RunBusyError(
        f"run {lease.run_id} is being worked on by {holder}, in {holder.folder}, last heard {EXPIRY_S - left:.0f} s ago: wait for it, or stop it and run the "
        f"same command again; if it is gone for good, that is so in {left:.0f} s"
    )


def _renew(session: Session, run_id: str, token: str) -> bool:
    lease = session.get(Lease, run_id, with_for_update=True)
    if lease is None or lease.token != token:
        return False
    lease.expires_at = clock(session) + EXPIRY_S
    return True


def _give_back(session: Session, run_id: str, token: str) -> None:
    # The row stays, and tells where the run's files are.
    lease = session.get(Lease, run_id, with_for_update=True)
    if lease is not None and lease.token == token:
        lease.token = ""


def _keep(database: Database, run_id: str, token: str, ended: threading.Event) -> None:
    while not ended.wait(RENEW_S):
        try:
            if not database.write(lambda session: _renew(session, run_id, token)):
                _log.warning("the lease on run %s was taken over: the next commit stops this process", run_id)
                return
        except LedgerError as error:
            _log.warning("the lease on run %s could not be renewed: %s", run_id, error)


def _holder(lease: Lease) -> Holder:
    return Holder(lease.host, lease.pid, lease.place, lease.born, lease.folder)


def _place() -> str:
    with suppress(OSError):
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    return ""


def _born(pid: int) -> str:
    """Read when a process was started; empty where there is none, or where that is not told."""
    with suppress(OSError):
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if told[0] == "Z" else told[19]
    return ""
