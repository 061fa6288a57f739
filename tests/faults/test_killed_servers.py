"""Servers that die under a run and come back: it waits, asks again for what had not reached it, and for nothing else."""

import os
import signal
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from infra.settings import Settings
from infra.triton.server import ServedTriton, serve_triton
from tests.faults.case import Case, finish, journalled, wait_for
from tests.faults.middle import Pipe, in_background
from tests.harness import engines_of, stumbling

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.faults]

IN_FLIGHT = 3 * 16
"""Most calls that a server can have been at when it died: three models of so many slots."""


class Mortal:
    """A Triton server of our own behind an address that stays, to be killed and started again."""

    def __init__(self, stack: ExitStack, call_log: Path) -> None:
        self._stack = stack
        self._options = stumbling(call_log)
        self.served = self._serve()
        self._pipe = Pipe(self.served.grpc_port)
        port = stack.enter_context(in_background(self._pipe.serve()))
        self.engines = engines_of(self.served).replace(f":{self.served.grpc_port}/", f":{port}/")

    def kill(self) -> None:
        os.kill(self.served.pid, signal.SIGKILL)

    def start_again(self) -> None:
        self.served = self._serve()
        self._pipe.port = self.served.grpc_port

    def stubs(self, model: str) -> list[psutil.Process]:
        """Find the Python processes behind a model."""
        children = psutil.Process(self.served.pid).children(recursive=True)
        return [child for child in children if any(f"/{model}/" in word for word in child.cmdline())]

    def _serve(self) -> ServedTriton:
        return self._stack.enter_context(serve_triton(self._options, python=Settings().triton_python))


def on(case: Case, mortal: Mortal) -> Case:
    case.factory = replace(case.factory, engines=mortal.engines, settings={**case.factory.settings, "GRISTMILL_DEADLINE_S": "5"})
    return case


def test_triton_away_as_the_run_starts(case: Case, call_log: Path) -> None:
    with ExitStack() as stack:
        mortal = Mortal(stack, call_log)
        mortal.kill()
        process = on(case, mortal).start()
        wait_for(lambda: any(case.data.glob("runs/*/recipe.yaml")), process)
        mortal.start_again()
        case.prove(finish(process), most_repeated=0)


@pytest.mark.parametrize("stage", ["prompts", "responses", "score"])
def test_triton_killed_and_started_again_during(stage: str, case: Case, call_log: Path) -> None:
    with ExitStack() as stack:
        mortal = Mortal(stack, call_log)
        process = on(case, mortal).start()
        wait_for(lambda: journalled(case.data, stage) > 500, process)
        mortal.kill()
        time.sleep(1)
        case.mark()
        mortal.start_again()
        case.prove(finish(process), most_repeated=IN_FLIGHT)


@pytest.mark.parametrize(("model", "stage"), [("rehearsal_engine", "responses"), ("reward", "score")], ids=["writing", "grading"])
def test_python_stub_killed_while(model: str, stage: str, case: Case, call_log: Path) -> None:
    """Triton 2.51 then says that the model is not healthy, or nothing, until the server is started again."""
    with ExitStack() as stack:
        mortal = Mortal(stack, call_log)
        process = on(case, mortal).start()
        wait_for(lambda: journalled(case.data, stage) > 500, process)
        stubs = mortal.stubs(model)
        assert stubs
        for stub in stubs:
            stub.kill()
        time.sleep(1)
        case.mark()
        time.sleep(7)
        mortal.kill()
        mortal.start_again()
        case.prove(finish(process), most_repeated=IN_FLIGHT)
