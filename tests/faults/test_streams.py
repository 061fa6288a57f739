"""Streamed answers whose connection is cut, or falls silent, between two tokens."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from infra.triton.server import ServedTriton
from tests.faults.case import Case, Site
from tests.faults.middle import Pipe, Wire, in_background
from tests.harness import Factory, data_files, engines_of

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.faults]

STREAMS = {"GRISTMILL_FIRST_TOKEN_S": "20", "GRISTMILL_BETWEEN_TOKENS_S": "5"}
HARMED = 6
"""Connections, each after more bytes than the one before: the first is enough for an engine to be inspected."""

WIRES: dict[str, Callable[[int], Wire]] = {
    "reset in mid-stream": lambda number: Wire(12_000 + 5_000 * number, "reset") if number < HARMED else Wire(),
    "silent in mid-stream": lambda number: Wire(12_000 + 20_000 * number, "silence") if number < HARMED // 2 else Wire(),
}


def streaming(triton: ServedTriton, port: int) -> str:
    """Name the engines' decoupled twins, behind a port."""
    return engines_of(triton).replace("/ensemble", "/tensorrt_llm_bls").replace(f":{triton.grpc_port}/", f":{port}/")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, triton: ServedTriton, recipe: Path, site: Site) -> dict[str, str]:
    """Run the recipe once over streams without a fault: rows say which model answered."""
    factory = Factory(tmp_path_factory.mktemp("undisturbed") / "data", streaming(triton, triton.grpc_port), {**site.settings, **STREAMS})
    done = factory.call("run", str(recipe), "--json")
    assert done.code == 0, done.err
    return dict(data_files(Path(done.json["path"])))


@pytest.mark.parametrize("treat", WIRES.values(), ids=WIRES)
def test_connection(treat: Callable[[int], Wire], case: Case, triton: ServedTriton) -> None:
    pipe = Pipe(triton.grpc_port, treat)
    with in_background(pipe.serve()) as port:
        case.factory = replace(case.factory, engines=streaming(triton, port), settings={**case.factory.settings, **STREAMS})
        done = case.run()
    assert pipe.harmed > 1
    case.prove(done)
