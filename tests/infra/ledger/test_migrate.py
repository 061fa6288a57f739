"""Migrations: they make exactly what the models say, keep what older databases hold, and refuse newer ones."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text

import infra.ledger.migrations as migrations
from infra.ledger import Ledger
from infra.ledger.migrate import migrate
from infra.ledger.models import Base
from schemas.errors import LedgerError


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def test_migrations_give_exactly_the_schema_of_the_models(ledger: Ledger, url: str) -> None:
    with connected(url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrate_upgrades_an_older_database_and_keeps_its_rows(url: str) -> None:
    with connected(url) as connection:
        migrate(connection, to="0001")
        assert "versions" not in inspect(connection).get_table_names()
        connection.execute(text("INSERT INTO runs VALUES ('r', 'f', 1, 'puzzles', '{}', 'finished', TRUE, '2026', NULL, NULL, 'puzzles/v3')"))
        connection.execute(text("INSERT INTO releases VALUES ('puzzles', 'v3', 3, 'r', '/x', '{}', 'sha', '2026')"))
    ledger = Ledger.open(url)
    assert ledger.release("puzzles").version == "v3"
    assert ledger.next_version("puzzles") == "v4"
    ledger.close()


def test_migrations_can_be_taken_back(ledger: Ledger, url: str) -> None:
    with connected(url) as connection:
        config = Config()
        config.set_main_option("script_location", migrations.__path__[0])
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]


def test_open_refuses_a_database_of_a_newer_version(ledger: Ledger, url: str) -> None:
    with connected(url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerError, match=r"newer version \(revision 9999; this Gristmill knows up to 0006\): upgrade Gristmill"):
        Ledger.open(url)
