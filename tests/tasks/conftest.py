"""A real cluster of two worker processes, shared by the tests of these folders."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from infra.cluster import open_cluster
from infra.settings import Settings

if TYPE_CHECKING:
    from distributed import Client


@pytest.fixture(scope="session")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Client]":
    with open_cluster(Settings(data=tmp_path_factory.mktemp("two-workers"), dask_workers=2, dask_memory="1GiB")) as client:
        yield client


@pytest.fixture(scope="session")
def one_worker(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Client]":
    with open_cluster(Settings(data=tmp_path_factory.mktemp("one-worker"), dask_workers=1, dask_memory="1GiB")) as client:
        yield client
