"""Runs the records of one shard against the engines: every call journalled before its answer is used, none made that is already known.

A technique is handed an `Ask` (tasks/technique.py) and knows nothing of this. The idea of one coroutine a record with its calls
memoised beneath it is datatrove's rollout; here a call is keyed by its content and outlives the run.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from infra.calls import CallStore
from infra.engines.session import EngineSession
from infra.journal import Journal
from infra.storage import RunFolder
from schemas.engine import Answer, Completion, EngineFacts, GenerateRequest, Request, Sampling
from schemas.errors import EngineError, EngineFault
from schemas.identity import derive_seed
from schemas.model_card import ModelCard
from schemas.records import ModelUse
from schemas.run import ShardReport
from tasks.technique import GoOn, Question, Told, UserTurn

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays which role: the recipe's cards and what their engines turned out to be."""

    cards: Mapping[str, ModelCard]
    """Role to card."""
    facts: Mapping[str, EngineFacts]
    """Card id to engine facts."""
    seed: int
    """The recipe's."""

    def use(self, role: str, request: GenerateRequest | None = None) -> ModelUse:
        """Note a model's hand in a row."""
        card = self.cards[role]
        use = ModelUse(role, card.id, card.revision, card.licence, self.facts[card.id].kind, licence_version=card.licence_version)
        if request is None:
            return use
        how = request.sampling
        use = replace(use, max_tokens=how.max_tokens, temperature=how.temperature, top_p=how.top_p, top_k=how.top_k, seed=request.seed)
        return replace(use, reasoning=how.reasoning)


class ShardCalls:
    """The engine calls of one shard: looked up in its journal, then in the call store, and only then made."""

    def __init__(self, session: EngineSession, journal: Journal, known: Mapping[str, Answer]) -> None:
        self._session = session
        self._journal = journal
        self._known = known
        self._asking: dict[str, asyncio.Lock] = {}
        self._paid: dict[str, Answer] = {}
        self._reused: set[str] = set()

    async def ask(self, card: ModelCard, request: Request, item_id: str) -> Answer:
        """Answer a request; raises EngineError when the engine can't.

        Two records may ask the same thing at the same moment (two samples that turned out alike, say): the second waits for the first.
        """
        key = request.key
        async with self._asking.setdefault(key, asyncio.Lock()):
            answer = self._journal.get(key)
            if answer is None and key in self._known:
                self._reused.add(key)
                return self._known[key]
            if answer is None:
                answer = self._journal.put(key, item_id, await self._session.call(card, request))
            self._paid[key] = answer
            return answer

    def report(self, *, rows_in: int, rows_out: int, dropped: dict[str, int], seconds: float) -> ShardReport:
        """Sum the shard up. Calls found in its own journal were paid for by this run and count as made."""
        completions = [answer for answer in self._paid.values() if isinstance(answer, Completion)]
        return ShardReport(
            rows_in=rows_in,
            rows_out=rows_out,
            dropped=dropped,
            calls=len(self._paid),
            reused=len(self._reused),
            prompt_tokens=sum(answer.prompt_tokens for answer in completions),
            completion_tokens=sum(answer.completion_tokens for answer in completions),
            seconds=seconds,
        )


@dataclass(frozen=True, slots=True)
class RecordAsk:
    """The `Ask` of one record."""

    calls: ShardCalls
    cast: Cast
    record_id: str
    played_by: Mapping[str, str] = field(default_factory=dict)
    """A technique's role to the recipe's, where another model than the usual one plays it."""

    async def __call__(self, role: str, question: Question, sampling: Sampling, *, label: str) -> Told:
        """Ask for the next assistant turn, or for a raw prompt's continuation."""
        role = self.played_by.get(role, role)
        card = self.cast.cards[role]
        request = make_request(card, question, sampling, derive_seed(self.cast.seed, self.record_id, label))
        answer = await self.calls.ask(card, request, self.record_id)
        if not isinstance(answer, Completion):
            raise TypeError(f"{card.id} answered a generate request with {type(answer).__name__}")
        return Told(card.part_reasoning(answer), self.cast.use(role, request))


def make_request(card: ModelCard, question: Question, sampling: Sampling, seed: int) -> GenerateRequest:
    """Put a question into a model's own words: its chat format, or raw."""
    match question:
        case GoOn(text):
            return card.continue_request(text, sampling, seed)
        case UserTurn(system):
            return card.user_turn_request(system, sampling, seed)
    return card.generate_request(question, sampling, seed)


_RECORDS_OWN = frozenset({EngineFault.BAD_REQUEST, EngineFault.UNGRADED})
"""Faults that are of one record and say nothing of the engine."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A record whose engine call can't succeed: the request itself is wrong (too long for the model, say), or the model has no number for it."""

    detail: str
    fault: EngineFault = EngineFault.BAD_REQUEST


async def run_records(items: Sequence[Item], work: Callable[[Item], Awaitable[Result]]) -> list[Result | Refused]:
    """Work on all records of a shard at once, results in the records' order.

    The session's limiter bounds the calls in flight, so a record that waits for its next turn holds no slot. A record that an engine
    refuses for good becomes `Refused`; any other fault (engines gone, disk full) cancels the rest and is raised: the shard can be run again.
    """
    results: list[Any] = [None] * len(items)

    async def one(index: int, item: Item) -> None:
        try:
            results[index] = await work(item)
        except EngineError as error:
            if error.fault not in _RECORDS_OWN:
                raise
            results[index] = Refused(str(error), error.fault)

    try:
        async with asyncio.TaskGroup() as group:
            for index, item in enumerate(items):
                group.create_task(one(index, item))
    except BaseExceptionGroup as errors:
        raise _first(errors) from errors
    return results


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


def open_calls(session: EngineSession, folder: RunFolder, stage: str, shard: int, item_ids: Sequence[str]) -> tuple[ShardCalls, Journal]:
    """Open a shard's journal and load what the call store knows of its records."""
    known = CallStore(folder.data / "calls").load(item_ids)
    journal = Journal.open(folder.journal(stage, shard))
    return ShardCalls(session, journal, known), journal


def hand_over(folder: RunFolder, stage: str, shard: int) -> None:
    """Give a committed shard's calls to the call store and remove its journal.

    Done after the commit: until then the journal tells which calls this run itself paid for.
    """
    path = folder.journal(stage, shard)
    if path.exists():
        CallStore(folder.data / "calls").absorb(path)
