"""The same harm on OpenAI's wire: a gateway that speaks it, in front of the real Triton."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from infra.engines import open_engine
from infra.triton.server import ServedTriton
from schemas.engine import Completion, Deadlines, Engine, Sampling
from schemas.model_card import load_card
from schemas.records import Message
from tests.faults.case import Case, Site
from tests.faults.middle import Pipe, Wire, chosen, in_background
from tests.harness import Factory, data_files, engines_of
from tests.infra.engines.builders import some_settings
from tests.infra.engines.http_stand_in import MODELS, Asked, Reply, chat, serve

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.faults]

CARD = load_card("rehearsal-instruct")
SHARE = 0.08
TIMES = 2

HARMS: dict[str, Reply | None] = {
    "never answers": None,
    "answers noise": Reply(body=b"<html><body>502 Bad Gateway</body></html>"),
    "answers nothing": Reply(body=b""),
    "answers half a letter": Reply(body='{"choices": [{"message": {"content": "nearly all of a café'.encode()[:-1]),
    "answers a million characters": Reply(body=chat("m" * 1_000_000)),
    "is too busy": Reply(429, {"error": "too many"}, {"retry-after": "1"}),
}


@dataclass
class Gateway:
    """Speaks OpenAI's API, hands chat completions on to Triton, and spoils the first answers to a share of them."""

    engine: Engine
    harm: Reply | None = None
    share: float = 0.0
    attempts: Counter[str] = field(default_factory=Counter)

    async def handle(self, asked: Asked) -> Reply:
        if asked.path.endswith("/models"):
            return Reply(body=MODELS)
        body = asked.body
        sampling = Sampling(max_tokens=body["max_tokens"], temperature=body["temperature"], top_p=body["top_p"], stop=tuple(body.get("stop", ())))
        request = CARD.generate_request(tuple(Message(turn["role"], turn["content"]) for turn in body["messages"]), sampling, body["seed"])
        if chosen(request.key, self.share) and self.attempts[request.key] < (TIMES if self.harm else 1):
            self.attempts[request.key] += 1
            return self.harm or await _never()
        answer = await self.engine.call(request, Deadlines(total_s=60.0))
        assert isinstance(answer, Completion)
        usage = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens}
        return Reply(body=chat(answer.text, answer.finish_reason, usage=usage))


async def _never() -> Reply:
    await asyncio.Event().wait()
    return Reply()


@asynccontextmanager
async def serve_gateway(triton: ServedTriton, harm: Reply | None = None, share: float = 0.0) -> AsyncIterator[tuple[Gateway, int]]:
    engine = open_engine(triton.addresses()[CARD.id][0], CARD, some_settings(deadline_s=60.0))
    gateway = Gateway(engine, harm, share)
    async with serve(gateway.handle) as address:
        yield gateway, address.port
    await engine.close()


def engines_at(triton: ServedTriton, port: int) -> str:
    reward = next(entry for entry in engines_of(triton).split() if entry.startswith("rehearsal-reward="))
    return f"{CARD.id}=http://127.0.0.1:{port}/v1 {reward}"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, triton: ServedTriton, recipe: Path, site: Site) -> dict[str, str]:
    """Run the recipe once over this wire without a fault: rows say which wire they came over."""
    with in_background(serve_gateway(triton)) as (_, port):
        done = Factory(tmp_path_factory.mktemp("undisturbed") / "data", engines_at(triton, port), site.settings).call("run", str(recipe), "--json")
    assert done.code == 0, done.err
    return dict(data_files(Path(done.json["path"])))


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_openai_server(harm: Reply | None, case: Case, triton: ServedTriton) -> None:
    with in_background(serve_gateway(triton, harm, SHARE)) as (gateway, port):
        case.factory = replace(case.factory, engines=engines_at(triton, port), settings={**case.factory.settings, "GRISTMILL_DEADLINE_S": "5"})
        done = case.run()
    assert len(gateway.attempts) > 10
    case.prove(done, most_repeated=0)


def test_openai_servers_connections_reset_in_mid_answer(case: Case, triton: ServedTriton) -> None:
    with in_background(serve_gateway(triton)) as (_, port):
        pipe = Pipe(port, lambda number: Wire(700 + 100 * number, "reset") if number % 3 == 1 else Wire())
        with in_background(pipe.serve()) as front:
            case.factory = replace(case.factory, engines=engines_at(triton, front))
            done = case.run()
    assert pipe.harmed > 3
    case.prove(done)
