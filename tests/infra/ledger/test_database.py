"""Many processes on one ledger, processes that die, databases that are not there."""

import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from infra.ledger import Ledger
from schemas.errors import LedgerError
from schemas.run import ShardReport

PROMISED = "import sys, time\nfrom infra.ledger import Ledger\nfrom schemas.run import ShardReport\n"

COMMITTER = (
    PROMISED
    + """
ledger = Ledger.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
run = ledger.begin_run(fingerprint="a" * 32, name="n", recipe={}, rehearsal=True, fresh=False).run_id
ledger.plan_stage(run, "prompts", 40)
won = [shard for shard in range(40) if ledger.commit_shard(run, "prompts", shard, ShardReport(rows_in=1, rows_out=1))]
print(*won, ledger.next_version("n"), flush=True)
"""
)

DIES_BEFORE_COMMIT = (
    PROMISED
    + """
from sqlalchemy import Engine, event
ledger = Ledger.open(sys.argv[1])
@event.listens_for(Engine, "commit")
def hang(connection):
    print("in the transaction", flush=True)
    time.sleep(60)
ledger.commit_shard("a" * 12, "prompts", 0, ShardReport(rows_in=1, rows_out=1))
"""
)


class Server(Protocol):
    """What the fixture `postgres` can do."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def a_planned_run(ledger: Ledger) -> str:
    run = ledger.begin_run(fingerprint="a" * 32, name="n", recipe={}, rehearsal=True, fresh=False).run_id
    ledger.plan_stage(run, "prompts", 40)
    return run


def test_processes_that_open_and_commit_at_once_win_each_shard_once(url: str) -> None:
    children = [child(COMMITTER, url) for _ in range(3)]
    for one in children:
        assert one.stdout
        assert one.stdout.readline() == "ready\n"
    told = [one.communicate("go\n", timeout=60)[0].split() for one in children]
    assert sorted(int(shard) for line in told for shard in line[:-1]) == list(range(40))
    assert sorted(line[-1] for line in told) == ["v1", "v2", "v3"]
    assert [one.returncode for one in children] == [0, 0, 0]
    ledger = Ledger.open(url)
    assert len(ledger.runs()) == 1
    ledger.close()


def test_threads_share_one_ledger(ledger: Ledger) -> None:
    run, won = a_planned_run(ledger), []

    def commit_all() -> None:
        won.extend([shard for shard in range(40) if ledger.commit_shard(run, "prompts", shard, ShardReport(rows_in=1, rows_out=1))])

    threads = [threading.Thread(target=commit_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(40))


def test_a_process_killed_inside_its_transaction_leaves_nothing(ledger: Ledger, url: str) -> None:
    run = a_planned_run(ledger)
    with child(DIES_BEFORE_COMMIT, url) as one:
        assert one.stdout
        assert one.stdout.readline() == "in the transaction\n"
        one.kill()
    assert one.returncode == -signal.SIGKILL
    assert ledger.committed(run, "prompts") == {}
    assert ledger.commit_shard(run, "prompts", 0, ShardReport(rows_in=1, rows_out=1))


@pytest.mark.postgres
def test_a_ledger_survives_the_loss_of_its_connections(postgres_url: str) -> None:
    ledger = Ledger.open(postgres_url)
    run = a_planned_run(ledger)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()")
    assert ledger.commit_shard(run, "prompts", 0, ShardReport(rows_in=1, rows_out=1))
    ledger.close()


@pytest.mark.postgres
def test_a_ledger_waits_for_a_database_that_restarts(postgres: Server, postgres_url: str) -> None:
    ledger = Ledger.open(postgres_url)
    run = a_planned_run(ledger)
    committed: list[bool] = []
    postgres.stop()
    worker = threading.Thread(target=lambda: committed.append(ledger.commit_shard(run, "prompts", 0, ShardReport(rows_in=1, rows_out=1))))
    worker.start()
    postgres.start()
    worker.join()
    assert committed == [True]
    ledger.close()


@pytest.mark.postgres
def test_open_with_a_wrong_password_says_so_without_showing_it(postgres_url: str) -> None:
    with pytest.raises(LedgerError, match="password authentication failed") as caught:
        Ledger.open(postgres_url.replace(":geheim@", ":sesam-oeffne-dich@"))
    assert "sesam" not in str(caught.value)
    assert "gristmill:***@127.0.0.1" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:sesam@127.0.0.1:1/x", "postgresql+psycopg://127.0.0.1:1/x?user=u&password=sesam", "postgres://u:sesam@no-such-host.invalid/x"],
    ids=["refused", "password in the query", "unknown host"],
)
def test_open_where_nobody_answers_fails_without_showing_the_password(url: str) -> None:
    with pytest.raises(LedgerError, match="check GRISTMILL_DATABASE_URL") as caught:
        Ledger.open(url)
    assert "sesam" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nonsense", "can't read the ledger's URL"),
        ("postgresql://u:sesam@host:port/x", "can't read the ledger's URL"),
        ("mysql://u:sesam@host/x", "not mysql"),
        ("sqlite://", "would forget its runs"),
        ("sqlite:///:memory:", "would forget its runs"),
    ],
)
def test_open_refuses_a_url_that_is_no_ledger(url: str, told: str) -> None:
    with pytest.raises(LedgerError, match=told) as caught:
        Ledger.open(url)
    assert "sesam" not in str(caught.value)


@pytest.mark.postgres
def test_repr_hides_the_password(postgres_url: str) -> None:
    ledger = Ledger.open(f"{postgres_url}?application_name=test")
    assert "gristmill:***@127.0.0.1" in repr(ledger)
    assert "geheim" not in repr(ledger)
    ledger.close()


def test_open_makes_the_folder_of_a_sqlite_ledger(tmp_path: Path) -> None:
    Ledger.open(f"sqlite:///{tmp_path}/new/deep/ledger.db").close()
    assert (tmp_path / "new/deep/ledger.db").exists()


def test_sqlite_keeps_a_write_ahead_log_and_syncs_every_commit(tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    pragmas = [f"PRAGMA {name}" for name in ("synchronous", "foreign_keys")]
    settings = ledger._database.read(lambda session: [session.connection().exec_driver_sql(pragma).scalar() for pragma in pragmas])
    assert settings == [2, 1]
    ledger.close()


def test_open_says_what_is_wrong_with_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("not a database at all, " * 100)
    with pytest.raises(LedgerError, match="file is not a database"):
        Ledger.open(f"sqlite:///{tmp_path}/ledger.db")


def test_open_says_what_is_wrong_with_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match=r"File exists.*check that its folder is writable"):
        Ledger.open(f"sqlite:///{tmp_path}/file/ledger.db")
