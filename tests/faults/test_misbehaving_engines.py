"""Engines that say nothing, say nonsense, or are cut off: asked again, they give the run that nothing disturbed."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from infra.triton.server import ServedTriton
from tests.faults.case import Case
from tests.faults.middle import Harm, Middle, Pipe, Wire, in_background, noise, nothing, saying, silence
from tests.harness import engines_of

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.faults]

SHARE = 0.05
"""Of the calls, chosen by their keys: some 14 of 289."""

HARMS: dict[str, Harm] = {
    "never answers": silence,
    "answers noise": noise,
    "answers an empty message": nothing,
    "answers an empty text": saying(b""),
    "answers half a letter": saying("nearly all of a café".encode()[:-1]),
    "answers a million characters": saying(b"m" * 1_000_000),
}

WIRES: dict[str, Callable[[int], Wire]] = {
    "is reset in mid-answer": lambda number: Wire(8_000 + 3_000 * number, "reset") if number < HARMED else Wire(),
    "goes silent": lambda number: Wire(8_000 + 20_000 * number, "silence") if number < HARMED else Wire(),
    "becomes a slow loris": lambda number: Wire(8_000 + 20_000 * number, "drip") if number < HARMED else Wire(),
}
HARMED = 6
"""Connections; the bytes are enough for an engine to be inspected, as one that is not there at the start is to be told at once."""


def through(case: Case, triton: ServedTriton, port: int) -> Case:
    """Lead a case's calls through another port; no call may take long."""
    engines = engines_of(triton).replace(f":{triton.grpc_port}/", f":{port}/")
    case.factory = replace(case.factory, engines=engines, settings={**case.factory.settings, "GRISTMILL_DEADLINE_S": "5"})
    return case


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_engine(harm: Harm, case: Case, triton: ServedTriton) -> None:
    middle = Middle(f"127.0.0.1:{triton.grpc_port}", harm, SHARE, times=1 if harm is silence else 2)
    with in_background(middle.serve()) as port:
        done = through(case, triton, port).run()
    assert middle.spoilt > 10
    case.prove(done, most_repeated=middle.spoilt)
    assert len(middle.whole) == len(set(middle.whole))


@pytest.mark.parametrize("treat", WIRES.values(), ids=WIRES)
def test_wire(treat: Callable[[int], Wire], case: Case, triton: ServedTriton) -> None:
    pipe = Pipe(triton.grpc_port, treat)
    with in_background(pipe.serve()) as port:
        done = through(case, triton, port).run()
    assert pipe.harmed > 1
    case.prove(done)
