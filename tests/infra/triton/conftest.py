"""One embedded Triton for all tests here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.settings import read_settings
from infra.triton.server import RehearsalOptions, ServedTriton, serve_triton
from tests.infra.triton.wire import Ask, client_of, read_answer, tensors

CALM = RehearsalOptions(latency_s=0.002, slots=8, wrong_rate=0, malformed_rate=0, refusal_rate=0, truncation_rate=0)
"""A model that makes no mistakes."""


@pytest.fixture(scope="session")
def triton_python() -> Path:
    python = read_settings().triton_python
    if not python.exists():
        pytest.skip(f"NO EMBEDDED TRITON: {python} is absent; run `make setup`")
    return python


@pytest.fixture(scope="session")
def triton(triton_python: Path) -> Iterator[ServedTriton]:
    with serve_triton(CALM, python=triton_python) as served:
        yield served


@pytest.fixture(scope="session")
def ask(triton: ServedTriton) -> Iterator[Ask]:
    """Ask a served model: values become tensors of one batch; gives output name to its value, or to its values."""
    with client_of(triton) as client:
        yield lambda model, *, rank=2, **values: read_answer(client.infer(model, tensors(values, rank=rank)))
