"""The table at which processes meet: in the order in which they came, without those that are gone; on both databases."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from infra.engines.table import Table, ledger_is_here, name_of
from infra.ledger import Ledger
from infra.ledger.seats import GONE_S, Seats
from infra.settings import parse_address
from schemas.engine import Seat

FIRST, SECOND = Seat("first", 16, hungry=True, answered=0, refused=0), Seat("second", 8, hungry=False, answered=3, refused=1)


@pytest.fixture
def table(url: str) -> Iterator[Seats]:
    opened = Seats(url)
    yield opened
    opened.close()


def age(table: Seats, token: str, seconds: float) -> None:
    """Have a process not been seen for so long."""
    table._database.write(lambda session: session.execute(text(f"UPDATE seats SET seen_at = seen_at - {seconds} WHERE token = '{token}'")))


def test_all_see_all_in_the_order_in_which_they_came(table: Seats) -> None:
    assert table.meet("here", FIRST) == [FIRST]
    assert table.meet("here", SECOND) == [FIRST, SECOND]
    later = replace(FIRST, limit=20, answered=7)
    assert table.meet("here", later) == [later, SECOND]
    assert table.meet("elsewhere", SECOND) == [SECOND]


def test_who_was_away_is_not_reckoned_with_and_comes_back_as_the_last(table: Seats) -> None:
    table.meet("here", FIRST)
    table.meet("here", SECOND)
    age(table, "first", GONE_S + 1)
    assert table.meet("here", SECOND) == [SECOND]
    assert table.meet("here", FIRST) == [SECOND, FIRST]


def test_who_is_gone_for_good_is_forgotten(table: Seats) -> None:
    table.meet("here", FIRST)
    age(table, "first", 3600)
    table.meet("elsewhere", SECOND)
    assert table._database.read(lambda session: session.scalar(text("SELECT count(*) FROM seats"))) == 1


def test_a_table_is_alone_until_there_is_a_ledger_and_makes_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    first, second = Table(url), Table(url)
    assert first.meet("here", FIRST) == [FIRST]
    assert not ledger_is_here(url)
    Ledger.open(url).close()
    first.meet("here", FIRST)
    assert second.meet("here", SECOND) == [FIRST, SECOND]
    first.close()
    second.close()


@pytest.mark.parametrize(
    ("url", "shared"), [("grpc://10.0.0.7:8001/ensemble", True), ("grpc://localhost:8001/ensemble", False), ("http://127.0.0.1:80/v1#m", False)]
)
def test_an_endpoint_on_loopback_is_each_hosts_own(url: str, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "one")
    before = name_of(parse_address(url))
    monkeypatch.setattr("socket.gethostname", lambda: "two")
    assert (name_of(parse_address(url)) == before) is shared
