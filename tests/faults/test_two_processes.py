"""Two processes told to run the same recipe: one works, the other is told so and leaves; on one machine, or on two that share only the ledger."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.faults.case import Case, finish
from tests.harness import Factory
from tests.postgres import running_cluster

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.faults]


@pytest.fixture
def ledger_url(case: Case) -> Iterator[str]:
    """A PostgreSQL ledger that the case, and whoever else, uses."""
    with running_cluster() as cluster:
        with psycopg.connect(f"{cluster.url}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE ledger")
        url = f"{cluster.url}/ledger"
        case.factory = replace(case.factory, settings={**case.factory.settings, "GRISTMILL_DATABASE_URL": url})
        yield url


def elsewhere(case: Case, tmp_path: Path) -> Factory:
    """A data folder that no lock of the case's reaches, as on another host."""
    return replace(case.factory, data=tmp_path / "elsewhere")


def test_two_processes_told_to_run_the_same_recipe_at_once(case: Case) -> None:
    processes = [case.start(), case.start()]
    ended = sorted((finish(process) for process in processes), key=lambda one: one.code)
    assert [one.code for one in ended] == [0, 6]
    assert "is being worked on by process" in " ".join(ended[1].err.split())
    case.prove(ended[0], most_repeated=0)


@pytest.mark.postgres
def test_two_hosts_with_one_ledger_told_to_run_the_same_recipe_at_once(case: Case, ledger_url: str, tmp_path: Path) -> None:
    other = elsewhere(case, tmp_path)
    here, there = case.start(), other.start("run", str(case.recipe), "--json")
    ended = sorted((finish(process) for process in (here, there)), key=lambda one: one.code)
    assert [one.code for one in ended] == [0, 6]
    assert "is being worked on by process" in " ".join(ended[1].err.split())
    case.factory = case.factory if any(case.data.glob("releases/*/v*")) else other
    case.prove(ended[0], most_repeated=0)
