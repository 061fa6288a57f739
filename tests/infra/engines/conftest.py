"""One embedded Triton for all tests of a process here."""

import os
from collections.abc import Iterator

import pytest

from infra.settings import read_settings
from infra.triton.server import RehearsalOptions, ServedTriton, serve_triton


@pytest.fixture(scope="session")
def triton() -> Iterator[ServedTriton]:
    python = read_settings().triton_python
    if not os.access(python, os.X_OK):
        pytest.skip(f"NO TRITON: {python} is absent; `make setup` installs it")
    with serve_triton(RehearsalOptions(latency_s=0.001, malformed_rate=0, refusal_rate=0, truncation_rate=0), python=python) as served:
        yield served
