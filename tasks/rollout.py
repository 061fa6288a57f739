"""Runs the records of one shard against the engines: every call journalled before its answer is used, none made that is already known.

A technique is handed an `Ask` (tasks/technique.py) and knows nothing of this. The idea of one coroutine a record with its calls
memoised beneath it is datatrove's rollout; here a call is keyed by its content and outlives the run.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from infra import traces
from infra.calls import CallStore
from infra.engines.session import EngineSession
from infra.handover import share_live
from infra.journal import Journal
from infra.storage import RunFolder
from schemas.engine import Answer, Completion, EmbedBatch, Embedding, Embeddings, EmbedRequest, EngineFacts, GenerateRequest, Request, Sampling
from schemas.errors import EngineError, EngineFault, StoppedError
from schemas.identity import derive_seed
from schemas.model_card import ModelCard
from schemas.records import Drop, ModelUse
from schemas.run import ShardReport
from schemas.spending import Spent, add_spent, total_spent
from tasks.budget import OPEN, Gate
from tasks.technique import GoOn, Made, Question, Told, UserTurn

Item = TypeVar("Item")
Result = TypeVar("Result")

OVER_BUDGET = "over_budget"
"""Drop reason of records that no call could be begun for."""


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


class Whose(NamedTuple):
    """On whose account a call goes."""

    technique: str
    role: str


NOBODY = Whose("", "")


class ShardCalls:
    """The engine calls of one shard: looked up in its journal, then in the call store, and only then made."""

    def __init__(self, session: EngineSession, journal: Journal, known: Mapping[str, Answer], gate: Gate = OPEN) -> None:
        self._session = session
        self._journal = journal
        self._known = known
        self._gate = gate
        self._asking: dict[str, asyncio.Lock] = {}
        self._spent: dict[str, Spent] = {}

    async def ask(self, card: ModelCard, request: Request, item_id: str, whose: Whose = NOBODY) -> Answer:
        """Answer a request; raises EngineError when the engine can't.

        Two records may ask the same thing at the same moment (two samples that turned out alike, say): the second waits for the first.
        """
        key = request.key
        async with self._asking.setdefault(key, asyncio.Lock()):
            entry = self._journal.entry(key)
            if entry is None and key in self._known:
                self._spent[key] = self._gate.reuse(whose, card.id)
                return self._known[key]
            answer, engine_s = (entry.answer, entry.engine_s) if entry else await self._pay(card, request, item_id, whose)
            self._spent[key] = self._count(whose, card, answer, engine_s)
            return answer

    async def embed(self, card: ModelCard, asked: Mapping[str, str], *, batch: int, whose: Whose) -> dict[str, Embedding | None]:
        """Embed texts, as many as `batch` in a call, each kept by its own key; `asked` is text to its record's id. None for one that has no vector.

        That is one that the model refuses; or, where a budget says that the rest goes on, one that no call could be begun for.
        """
        requests = {text: card.embed_request(text) for text in asked}
        found: dict[str, Embedding | None] = {text: self._recall(card, request, whose) for text, request in requests.items()}
        missing = [text for text, vector in found.items() if vector is None]

        async def ask(texts: Sequence[str]) -> None:
            try:
                found.update(await self._pay_batch(card, {text: requests[text] for text in texts}, asked, whose))
            except EngineError as error:
                # Nothing here counts failures: an engine that answers with garbage alone would leave every text without a vector, and unnoticed.
                if error.fault.drop_reason is None or error.fault is EngineFault.GARBLED:
                    raise
                if len(texts) > 1:  # one of them is at fault: each by itself tells which
                    await gather_all([ask([text]) for text in texts])
            except StoppedError:
                if not self._gate.publishes:
                    raise

        await gather_all([ask(missing[start : start + batch]) for start in range(0, len(missing), batch)])
        return found

    def report(self, *, rows_in: int, rows_out: int, dropped: dict[str, int], seconds: float) -> ShardReport:
        """Sum the shard up. Calls found in its own journal were paid for by this run and count as made."""
        spent = add_spent(self._spent.values())
        whole = total_spent(spent)
        return ShardReport(
            rows_in=rows_in,
            rows_out=rows_out,
            dropped=dropped,
            calls=whole.calls,
            reused=whole.reused,
            prompt_tokens=whole.prompt_tokens,
            completion_tokens=whole.completion_tokens,
            seconds=seconds,
            spent=spent,
        )

    async def _pay(self, card: ModelCard, request: Request, item_id: str, whose: Whose) -> tuple[Answer, float]:
        receipt = self._gate.receipt()
        try:
            with traces.call_span("call", gen_ai__request__model=card.id, gristmill__role=whose.role, gristmill__technique=whose.technique) as span:
                try:
                    answer = await self._session.call(card, request, receipt)
                finally:
                    span.tell(gristmill__attempts=receipt.attempts, gristmill__engine_s=receipt.engine_s)
                span.tell(**_told_of(answer))
        except BaseException:
            self._gate.lost(receipt)
            raise
        answer = self._journal.put(request.key, item_id, answer, engine_s=receipt.engine_s)
        self._gate.paid(card.id, answer, receipt)
        return answer, receipt.engine_s

    def _recall(self, card: ModelCard, request: EmbedRequest, whose: Whose) -> Embedding | None:
        entry, known = self._journal.entry(request.key), self._known.get(request.key)
        if entry is not None:
            self._spent[request.key] = self._count(whose, card, entry.answer, entry.engine_s)
        elif known is not None:
            self._spent[request.key] = self._gate.reuse(whose, card.id)
        answer = entry.answer if entry is not None else known
        return answer if isinstance(answer, Embedding) else None

    async def _pay_batch(self, card: ModelCard, requests: Mapping[str, EmbedRequest], asked: Mapping[str, str], whose: Whose) -> dict[str, Embedding]:
        receipt = self._gate.receipt(len(requests))
        try:
            with traces.call_span("call", gen_ai__request__model=card.id, gristmill__role=whose.role, gristmill__texts=len(requests)) as span:
                try:
                    answer = await self._session.call(card, EmbedBatch(tuple(requests.values())), receipt)
                finally:
                    span.tell(gristmill__attempts=receipt.attempts, gristmill__engine_s=receipt.engine_s)
        except BaseException:
            self._gate.lost(receipt, len(requests))
            raise
        if not isinstance(answer, Embeddings):
            raise EngineError(f"{card.id} answered a batch of texts with {type(answer).__name__}", fault=EngineFault.GARBLED)
        engine_s, found = receipt.engine_s / len(requests), {}
        for (text, request), vector in zip(requests.items(), answer.vectors, strict=True):
            kept = self._journal.put(request.key, asked[text], vector, engine_s=engine_s)
            assert isinstance(kept, Embedding)
            found[text] = kept
            self._spent[request.key] = self._count(whose, card, kept, engine_s)
        self._gate.paid(card.id, answer, receipt)
        return found

    def _count(self, whose: Whose, card: ModelCard, answer: Answer, engine_s: float) -> Spent:
        gpu_seconds, cost = self._gate.price(card.id, answer, engine_s)
        read, written = (answer.prompt_tokens, answer.completion_tokens) if isinstance(answer, Completion) else (0, 0)
        version = self._gate.allowance.version
        return Spent(*whose, card.id, version, calls=1, prompt_tokens=read, completion_tokens=written, gpu_seconds=gpu_seconds, cost=cost)


def _told_of(answer: Answer) -> dict[str, traces.Value]:
    if not isinstance(answer, Completion):
        return {}
    counts: dict[str, traces.Value] = {"gen_ai__usage__input_tokens": answer.prompt_tokens, "gen_ai__usage__output_tokens": answer.completion_tokens}
    return counts | {"gen_ai__response__finish_reasons": (answer.finish_reason,)}


@dataclass(frozen=True, slots=True)
class RecordAsk:
    """The `Ask` of one record."""

    calls: ShardCalls
    cast: Cast
    record_id: str
    played_by: Mapping[str, str] = field(default_factory=dict)
    """A technique's role to the recipe's, where another model than the usual one plays it."""
    technique: str = ""

    async def __call__(self, role: str, question: Question, sampling: Sampling, *, label: str) -> Told:
        """Ask for the next assistant turn, or for a raw prompt's continuation."""
        role = self.played_by.get(role, role)
        card = self.cast.cards[role]
        request = make_request(card, question, sampling, derive_seed(self.cast.seed, self.record_id, label))
        answer = await self.calls.ask(card, request, self.record_id, Whose(self.technique, role))
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


@dataclass(frozen=True, slots=True)
class Refused:
    """A record whose engine call can't succeed (`EngineFault.drop_reason` says why), or that there is no budget for."""

    detail: str
    reason: str = "engine_refused"


def _nobody(_: object) -> str:
    return ""


async def gather_all(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Wait for all; the first failure cancels the rest and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as errors:
        raise _first(errors) from errors


async def run_records(
    items: Sequence[Item],
    work: Callable[[Item], Awaitable[Result]],
    *,
    gate: Gate = OPEN,
    technique: Callable[[Item], str] = _nobody,
    sorted_out: Container[str] = (),
) -> list[Result | Refused]:
    """Work on all records of a shard at once, results in the records' order.

    The session's limiter bounds the calls in flight, so a record that waits for its next turn holds no slot. A record that an engine refuses,
    or answers with garbage, for good becomes `Refused`; any other fault (engines gone, disk full) cancels the rest and is raised: the shard can be
    run again. Where the gate lets no further call begin, the calls at work are waited for: then StoppedError is raised, or, if the budget says so,
    the records that could not go on become `Refused`. Drops for a reason in `sorted_out` are the technique's work and no failure.
    """
    results: list[Any] = [None] * len(items)
    stops: list[StoppedError] = []

    async def one(index: int, item: Item) -> None:
        try:
            results[index] = await work(item)
        except StoppedError as stop:
            stops.append(stop)
            results[index] = Refused(str(stop), OVER_BUDGET)
            return
        except EngineError as error:
            if error.fault.drop_reason is None:
                raise
            results[index] = Refused(str(error), error.fault.drop_reason)
        gate.note(technique(item), why_nothing(results[index], sorted_out))

    try:
        async with asyncio.TaskGroup() as group:
            for index, item in enumerate(items):
                group.create_task(one(index, item))
    except BaseExceptionGroup as errors:
        raise _first(errors) from errors
    if stops and not gate.publishes:
        raise stops[0]
    return results


def why_nothing(result: object, sorted_out: Container[str] = ()) -> str:
    """Give the reason why a record came to nothing; an empty text if something came of it, or if it was sorted out on purpose."""
    if isinstance(result, Made):
        reason = "" if result.out or not result.drops else result.drops[0].reason
    else:
        reason = result.reason if isinstance(result, Refused | Drop) else ""
    return "" if reason in sorted_out else reason


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


def open_calls(session: EngineSession, folder: RunFolder, stage: str, shard: int, item_ids: Sequence[str], *, gate: Gate = OPEN) -> tuple[ShardCalls, Journal]:
    """Open a shard's journal and load what the call store knows of its records."""
    known = CallStore(folder.data / "calls").load(item_ids)
    journal = Journal.open(folder.journal(stage, shard))
    share_live(journal, CallStore(folder.data / "calls"))
    return ShardCalls(session, journal, known, gate), journal


def hand_over(folder: RunFolder, stage: str, shard: int) -> None:
    """Give a committed shard's calls to the call store and remove its journal.

    Done after the commit: until then the journal tells which calls this run itself paid for.
    """
    path = folder.journal(stage, shard)
    if path.exists():
        CallStore(folder.data / "calls").absorb(path)
