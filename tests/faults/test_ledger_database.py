"""The ledger's database goes away under a run, and comes back."""

import time
from dataclasses import replace

import psycopg
import pytest

from tests.faults.case import Case, finish, journalled, wait_for
from tests.postgres import running_cluster

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.faults, pytest.mark.postgres]


def test_ledger_database_restarted_in_mid_run(case: Case) -> None:
    with running_cluster() as cluster:
        with psycopg.connect(f"{cluster.url}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE ledger")
        case.factory = replace(case.factory, settings={**case.factory.settings, "GRISTMILL_DATABASE_URL": f"{cluster.url}/ledger"})
        process = case.start()
        wait_for(lambda: journalled(case.data, "responses") > 500, process)
        cluster.stop()
        time.sleep(4)
        case.mark()
        cluster.start()
        case.prove(finish(process), most_repeated=0)
