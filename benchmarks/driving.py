"""Drive our fan-out as a run does, against an embedded Triton of known slots and latency: shards of records through tasks/rollout, journalled, handed over."""

import math
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from infra.arrow import leave_pandas_out
from infra.engines.receipt import Receipt
from infra.engines.session import EngineSession
from infra.settings import Address, Settings
from infra.storage import RunFolder
from infra.triton.options import RehearsalOptions
from infra.triton.rehearsal_language.draw import Draw
from infra.triton.server import ServedTriton, serve_triton
from schemas.engine import Answer, GenerateRequest, Request, Sampling
from schemas.model_card import ModelCard, load_card
from schemas.records import Lineage, Message, Prompt, Provenance, prompt_id
from tasks.responses import dialogue
from tasks.rollout import Cast, RecordAsk, ShardCalls, hand_over, open_calls, run_records
from tasks.stages.window import LOOK_S, MOST_TIMES, Window

SIGMA = 1.0
"""Of the log-normal latency: the slowest of 256 takes about 15 times the median."""
CARD = load_card("rehearsal-instruct")
SHARD = 256
SHARDS_IN_FLIGHT = Settings(_env_file=None).shards_in_flight


@dataclass(frozen=True, slots=True)
class Answered:
    """One call that came back."""

    at: float
    service_s: float
    """What the server spent on it, by its own draw."""


class TimedSession(EngineSession):
    """Notes when each call came back."""

    def __init__(self, addresses: dict[str, tuple[Address, ...]]) -> None:
        super().__init__(Settings(_env_file=None), addresses)
        self.requests: list[tuple[float, GenerateRequest]] = []

    async def call(self, card: ModelCard, request: Request, receipt: Receipt | None = None) -> Answer:
        """Call, and note it."""
        answer = await super().call(card, request, receipt)
        assert isinstance(request, GenerateRequest)
        self.requests.append((time.monotonic(), request))
        return answer

    def answered(self, options: RehearsalOptions) -> list[Answered]:
        """List the calls that came back, with what the server drew for each."""
        return [Answered(at, service_s(options, one)) for at, one in self.requests]


def service_s(options: RehearsalOptions, request: GenerateRequest) -> float:
    return draw_s(options, f"{request.prompt}\x1f{request.seed}")


def draw_s(options: RehearsalOptions, content: str) -> float:
    """Say how long a desk serves this content."""
    return options.latency_s * math.exp(options.latency_sigma * Draw(options.seed, "latency", content).noise())


def options_of(slots: int, mean_s: float, seed: int = 0) -> RehearsalOptions:
    """Make a server of a mean latency that makes no mistakes on purpose."""
    median = mean_s / math.exp(SIGMA**2 / 2)
    return RehearsalOptions(seed, median, SIGMA, slots, malformed_rate=0, refusal_rate=0, truncation_rate=0)


@contextmanager
def serving(options: RehearsalOptions) -> Iterator[ServedTriton]:
    with serve_triton(options, python=Settings(_env_file=None).triton_python) as served:
        yield served


def shards_until(ends: float) -> Iterator[list[Prompt]]:
    """Make shard after shard, each prompt once, until a moment."""
    for shard in count():
        if time.monotonic() >= ends:
            return
        yield [a_prompt(a_question(number)) for number in range(shard * SHARD, (shard + 1) * SHARD)]


def a_question(number: int) -> str:
    return f"In two sentences, what should a gardener know about bed number {number}?"


def a_prompt(text: str) -> Prompt:
    messages = (Message("user", text),)
    return Prompt(prompt_id("bench", messages), "bench", "open_qa", messages, None, Lineage(), Provenance("bench", rehearsal=True))


async def one_call(prompt: Prompt, ask: RecordAsk) -> Any:
    return await ask("responder", prompt.messages, Sampling(max_tokens=64), label="sample/0")


async def one_dialogue(prompt: Prompt, ask: RecordAsk) -> Any:
    """Five calls, each of which waits for the one before."""
    return await dialogue.respond(prompt, 0, dialogue.Options(), ask)


def drive(session: EngineSession, folder: Path, work: Callable[[Prompt, RecordAsk], Awaitable[Any]], shards: Iterable[list[Prompt]]) -> None:
    """Work through shards as a run does: as many at once, with as wide a window."""
    leave_pandas_out()
    cast = Cast({"responder": CARD, "user": CARD}, {CARD.id: session.inspect(CARD)}, 1)
    run, window = RunFolder(folder, "bench"), Window(SHARDS_IN_FLIGHT, session.meter.read)

    def one(shard: int, made: list[Prompt]) -> None:
        calls, journal = open_calls(session, run, "responses", shard, [one.prompt_id for one in made])
        with journal:
            session.run(run_records(made, partial(_work, work, calls, cast)))
        hand_over(run, "responses", shard)

    with ThreadPoolExecutor(MOST_TIMES * SHARDS_IN_FLIGHT) as threads:
        waiting = enumerate(shards)
        under_way: set[Future[None]] = set()
        while True:
            while len(under_way) < window.size and (shard := next(waiting, None)) is not None:
                under_way.add(threads.submit(one, *shard))
            if not under_way:
                return
            ended, under_way = wait(under_way, LOOK_S, return_when=FIRST_COMPLETED)
            for future in ended:
                future.result()
            window.look()


async def _work(work: Callable[[Prompt, RecordAsk], Awaitable[Any]], calls: ShardCalls, cast: Cast, prompt: Prompt) -> Any:
    return await work(prompt, RecordAsk(calls, cast, prompt.prompt_id))


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as name:
        yield Path(name)
