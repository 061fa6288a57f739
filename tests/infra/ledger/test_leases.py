"""Leases on runs, on both kinds of ledger: one holder at a time, dead ones known, sleepers kept from committing."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from infra.ledger import Ledger, leases
from infra.ledger.database import Database
from infra.ledger.leases import Holder
from infra.ledger.models import Lease
from schemas.errors import RunBusyError
from schemas.run import ReleaseRecord, ShardReport

FOLDER = Path("/data")
ELSEWHERE = replace(Holder.here(FOLDER), host="other", place="another boot")


@pytest.fixture
def run_id(ledger: Ledger) -> str:
    run = ledger.begin_run(fingerprint="f" * 64, name="small", recipe={}, rehearsal=True, fresh=False)
    ledger.plan_stage(run.run_id, "filter", 2)
    return run.run_id


def test_lease_keeps_everybody_else_out_and_says_who_has_it(ledger: Ledger, run_id: str, url: str) -> None:
    with ledger.hold_run(run_id, FOLDER), pytest.raises(RunBusyError, match=rf"worked on by process {os.getpid()} on .*, in /data: wait"):
        take(url, run_id, ELSEWHERE)


def test_lease_given_back_is_free_to_everybody(ledger: Ledger, run_id: str, url: str) -> None:
    with ledger.hold_run(run_id, FOLDER):
        pass
    take(url, run_id, ELSEWHERE)
    assert ledger.last_holder(run_id) == ELSEWHERE


def test_dead_process_of_this_machine_holds_nothing(ledger: Ledger, run_id: str, url: str) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    take(url, run_id, replace(Holder.here(FOLDER), pid=ended.pid))
    with ledger.hold_run(run_id, FOLDER):
        pass


def test_process_that_got_a_dead_ones_id_is_not_taken_for_it(ledger: Ledger, run_id: str, url: str) -> None:
    take(url, run_id, replace(Holder.here(FOLDER), born="1"))
    with ledger.hold_run(run_id, FOLDER):
        pass


def test_living_process_of_this_machine_holds_its_lease_whatever_the_clocks_say(ledger: Ledger, run_id: str, url: str) -> None:
    take(url, run_id, Holder.here(FOLDER))
    expire(url, run_id)
    with pytest.raises(RunBusyError, match="in /data: wait for it"), ledger.hold_run(run_id, FOLDER):
        pass


def test_lease_of_another_machine_is_held_until_it_expires(ledger: Ledger, run_id: str, url: str) -> None:
    take(url, run_id, ELSEWHERE)
    with pytest.raises(RunBusyError, match=r"on other, in /data, last heard \d+ s ago.* that is so in \d+ s"), ledger.hold_run(run_id, FOLDER):
        pass
    expire(url, run_id)
    with ledger.hold_run(run_id, FOLDER):
        pass


def test_sleeper_whose_lease_was_taken_over_can_neither_commit_nor_publish(ledger: Ledger, run_id: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ledger.hold_run(run_id, FOLDER):
        expire(url, run_id)
        monkeypatch.setattr(leases, "_place", lambda: "another boot")
        take(url, run_id, ELSEWHERE)
        with pytest.raises(RunBusyError, match="taken over by process"):
            ledger.commit_shard(run_id, "filter", 0, ShardReport(1, 1))
        with pytest.raises(RunBusyError, match="taken over by process"):
            ledger.record_release(ReleaseRecord("small", "v1", run_id, "/data/releases/small/v1", {}, "0" * 64, "2026-01-01T00:00:00+00:00"))
    assert ledger.committed(run_id, "filter") == {}
    assert ledger.last_holder(run_id) == ELSEWHERE


def test_lease_is_renewed_while_it_is_held(ledger: Ledger, run_id: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_S", 0.02)
    with ledger.hold_run(run_id, FOLDER):
        expire(url, run_id)
        while expires_at(url, run_id) == 0:
            pass


def take(url: str, run_id: str, holder: Holder) -> None:
    """Take a lease, as a process that then falls silent."""
    on(url, lambda session: leases._take(session, run_id, holder, "t" * 32))


def expire(url: str, run_id: str) -> None:
    on(url, lambda session: setattr(session.get(Lease, run_id), "expires_at", 0.0))


def expires_at(url: str, run_id: str) -> float:
    return float(on(url, lambda session: session.get_one(Lease, run_id).expires_at))


def on(url: str, work: Callable[[Session], Any]) -> Any:
    database = Database(url)
    try:
        return database.write(work)
    finally:
        database.close()
