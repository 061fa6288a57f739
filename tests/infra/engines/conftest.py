"""One embedded Triton for all tests of a process here."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.settings import read_settings
from infra.triton.server import RehearsalOptions, ServedTriton, serve_triton


@pytest.fixture(scope="session")
def triton_python() -> Path:
    python = read_settings().triton_python
    if not os.access(python, os.X_OK):
        pytest.skip(f"NO TRITON: {python} is absent; `make setup` installs it")
    return python


@pytest.fixture(scope="session")
def triton(triton_python: Path) -> Iterator[ServedTriton]:
    with serve_triton(RehearsalOptions(latency_s=0.001, malformed_rate=0, refusal_rate=0, truncation_rate=0), python=triton_python) as served:
        yield served
