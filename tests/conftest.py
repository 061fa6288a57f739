"""Fixtures for the whole suite."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

from infra.environment import environment
from infra.shared import place
from tests.s3 import S3, serving_s3

# No deadlines: two cores are shared, and a slow example is no failure.
settings.register_profile("gristmill", deadline=None)
settings.load_profile("gristmill")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(os.environ.get("GRISTMILL_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"NO REAL DATA: {folder} is absent; set GRISTMILL_SHARED_DATA to run this test")
    return folder


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with serving_s3(tmp_path_factory.mktemp("s3") / "server.log") as server:
        yield server


@pytest.fixture
def s3(s3_server: S3, tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """Give what a process needs for the S3 server; this one has it, too, and a scratch folder of the test's own."""
    variables = {**s3_server.variables, "GRISTMILL_SCRATCH": str(tmp_path / "scratch")}
    with environment(variables):
        yield variables


@pytest.fixture
def bucket(s3: Mapping[str, str], tmp_path: Path) -> Path:
    """Give a place on the S3 server that nobody else uses."""
    return place(f"s3://bucket/{tmp_path.parent.name}-{tmp_path.name}")


@pytest.fixture(params=["file", "s3"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Give a data folder: on the file system, and on the S3 server."""
    found: Path = request.getfixturevalue("bucket") if request.param == "s3" else tmp_path / "data"
    return found
