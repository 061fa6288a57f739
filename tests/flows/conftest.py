"""A real Triton that outlives the runs under test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.settings import Settings
from infra.triton.server import ServedTriton, serve_triton
from tests.harness import SMALL, Factory, engines_of, stumbling


@pytest.fixture(scope="session")
def call_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("triton") / "calls.jsonl"


@pytest.fixture(scope="session")
def triton(call_log: Path) -> Iterator[ServedTriton]:
    with serve_triton(stumbling(call_log), python=Settings().triton_python) as served:
        yield served


@pytest.fixture
def factory(tmp_path: Path, triton: ServedTriton) -> Factory:
    return Factory(tmp_path / "data", engines_of(triton))


@pytest.fixture
def small_recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path
