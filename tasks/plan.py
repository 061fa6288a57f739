"""What a run would cost, before it costs anything: calls and tokens by technique, shards, the prompts' first rendering, engines checked.

Completion tokens are upper bounds (every answer as long as it may be); prompt tokens are estimates at `PROMPT_TOKENS` a message.
"""

import contextlib
from dataclasses import dataclass

from infra.engines.session import EngineSession
from infra.settings import Settings
from schemas.errors import GristmillError
from schemas.model_card import ModelCard
from schemas.recipe import DedupOptions, NearOptions
from schemas.run import ShardReport
from tasks.catalogue import LoadedRecipe, LoadedResponse, LoadedTechnique
from tasks.earlier import check_earlier
from tasks.purposes import share_of
from tasks.run_engines import open_addresses, refuse_unable
from tasks.sizing import Needs, needs

# A technique's instruction or a question it wrote is some 60 to 150 tokens.
PROMPT_TOKENS = 120
# A judge reads two answers as a rule, a rubric more: the context that it is given bounds it.
_SHOWN = 2


@dataclass(frozen=True, slots=True)
class PlannedCalls:
    """The calls of one step, response technique or the reward model."""

    stage: str
    name: str
    """Technique and step, for example open_qa/subtopics."""
    role: str
    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class PlannedEngine:
    """A role's engine, as it answered just now."""

    role: str
    model: str
    address: str
    kind: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A run's costs, if nothing is reused and nothing is dropped."""

    name: str
    fingerprint: str
    rehearsal: bool
    prompts: int
    conversations: int
    shards: int
    """Of the stages after the prompts."""
    calls: tuple[PlannedCalls, ...]
    engines: tuple[PlannedEngine, ...]
    bands: int
    rows: int
    curve: tuple[tuple[float, float], ...]
    """Jaccard similarity and the chance that near dedup sees such a pair; empty where the recipe has none."""

    @property
    def total(self) -> ShardReport:
        """All calls and tokens added up."""
        return ShardReport(
            rows_in=self.conversations,
            rows_out=self.conversations,
            calls=sum(one.calls for one in self.calls),
            prompt_tokens=sum(one.prompt_tokens for one in self.calls),
            completion_tokens=sum(one.completion_tokens for one in self.calls),
        )

    @property
    def needs(self) -> Needs:
        """Disk and memory."""
        answered = sum(one.completion_tokens for one in self.calls if one.stage == "responses")
        tokens = PROMPT_TOKENS + answered / self.conversations if self.conversations else 0
        total = self.total
        return needs(answers=self.conversations, shards=self.shards, tokens=tokens, calls=total.calls, written=total.completion_tokens)


def plan(loaded: LoadedRecipe, settings: Settings, *, check: bool = True) -> Plan:
    """Plan a run; engines that can't be reached are part of the plan, not an error."""
    check_earlier(loaded.recipe, settings.data)
    prompts = sum(one.requested for one in loaded.prompts)
    conversations = sum(rows for _, rows in _answered(loaded))
    calls = plan_calls(loaded)
    bands, rows, curve = _plan_dedup(loaded.recipe.dedup.near)
    shards = -(-prompts // loaded.recipe.shard_records)
    engines = tuple(_check_engines(loaded, settings)) if check else ()
    return Plan(loaded.recipe.name, loaded.fingerprint, loaded.rehearsal, prompts, conversations, shards, tuple(calls), engines, bands, rows, curve)


def _prompts_of(response: LoadedResponse, loaded: LoadedRecipe) -> int:
    """Count the prompts that a response entry answers; of a set under `split`, the share that is to be expected."""
    return round(sum(one.requested * share_of(response.serves, one.name, loaded.recipe.split) for one in loaded.prompts if response.answers(one.name)))


def plan_calls(loaded: LoadedRecipe) -> list[PlannedCalls]:
    """Plan the calls of every step, response technique and the reward model."""
    answered = _answered(loaded)
    calls = [row for one in loaded.prompts for row in _plan_technique(one, loaded)]
    calls += _plan_semantic("screen", loaded.recipe.screen.dedup, sum(one.requested for one in loaded.prompts) * PROMPT_TOKENS, loaded)
    calls += [row for one, rows in answered for row in _plan_response(one, rows, loaded)]
    if loaded.recipe.score is not None:
        read = sum(_length(one) * rows for one, rows in answered)
        calls.append(PlannedCalls("score", "reward", "reward", loaded.cards["reward"].id, sum(rows for _, rows in answered), read, 0))
    calls += _plan_semantic("dedup", loaded.recipe.dedup, sum(_length(one) * rows for one, rows in answered), loaded)
    return calls + _plan_judges(loaded)


def _plan_semantic(stage: str, options: DedupOptions, tokens: int, loaded: LoadedRecipe) -> list[PlannedCalls]:
    """Bound the embedding of prompts or of answers, a text each: as if no copy were found by its text before."""
    if options.semantic is None:
        return []
    records = sum(one.requested for one in loaded.prompts) if stage == "screen" else sum(rows for _, rows in _answered(loaded))
    return [PlannedCalls(stage, "semantic", "embedding", loaded.cards["embedding"].id, records, tokens, 0)]


def _answered(loaded: LoadedRecipe) -> list[tuple[LoadedResponse, int]]:
    """Say how many conversations each response technique has."""
    return [(one, _prompts_of(one, loaded) * one.samples) for one in loaded.responses]


def _plan_technique(one: LoadedTechnique, loaded: LoadedRecipe) -> list[PlannedCalls]:
    rows, planned = one.items, []
    for step in one.module.STEPS:
        for asked in step.asks(one.options):
            calls, longest = rows * asked.calls, asked.sampling.max_tokens
            name = f"{one.name}/{step.name}"
            planned.append(PlannedCalls("prompts", name, asked.role, loaded.cards[asked.role].id, calls, calls * PROMPT_TOKENS, calls * longest))
        rows *= step.yields(one.options)
    return planned


def _plan_response(one: LoadedResponse, rows: int, loaded: LoadedRecipe) -> list[PlannedCalls]:
    """Share a technique's calls among its roles; a later turn's prompt holds the turns before it."""
    asked = one.samplings()
    calls = one.module.calls(one.options)
    planned = []
    for number, (role, sampling) in enumerate(asked):
        share = (calls + len(asked) - 1 - number) // len(asked)
        before = PROMPT_TOKENS * share + sampling.max_tokens * sum(range(share))
        card = loaded.cards[role].id
        planned.append(PlannedCalls("responses", one.name, role, card, rows * share, rows * before, rows * share * sampling.max_tokens))
    return planned


def _plan_judges(loaded: LoadedRecipe) -> list[PlannedCalls]:
    """Bound the questions to language models as judges: as if every earlier judge left all pairs of every prompt that is for preferences open."""
    planned = []
    for judge in loaded.judges:
        for role, sampling in judge.module.samplings(judge.options) if judge.asks else ():
            calls, read = 0, 0
            for one in loaded.prompts:
                answering = [response for response in loaded.responses if response.answers(one.name) and response.serves in (None, "preferences")]
                answers = [_length(response) for response in answering for _ in range(response.samples)]
                compared = round(one.requested * share_of("preferences", one.name, loaded.recipe.split))
                asked = compared * int(judge.module.calls(judge.options, len(answers)))
                calls, read = calls + asked, read + asked * (PROMPT_TOKENS + sum(sorted(answers)[-_SHOWN:]))
            read = min(read, calls * max(1, judge.options.context_tokens - sampling.max_tokens))
            planned.append(PlannedCalls("pair", judge.name, role, loaded.cards[role].id, calls, read, calls * sampling.max_tokens))
    return planned


def _length(one: LoadedResponse) -> int:
    """Bound a conversation's tokens, for the reward model's prompt."""
    longest: int = max(sampling.max_tokens for _, sampling in one.samplings())
    return PROMPT_TOKENS + int(one.module.calls(one.options)) * longest


def _plan_dedup(near: NearOptions | None) -> tuple[int, int, tuple[tuple[float, float], ...]]:
    if near is None:
        return 0, 0, ()
    from tasks.dedup.plan import bands_of, s_curve

    shape = bands_of(near)
    return shape.bands, shape.rows, s_curve(shape.bands, shape.rows)


def _check_engines(loaded: LoadedRecipe, settings: Settings) -> list[PlannedEngine]:
    with contextlib.ExitStack() as stack:
        try:
            addresses = open_addresses(loaded, settings, stack, log_path=None)
            session = stack.enter_context(contextlib.closing(EngineSession(settings, addresses)))
        except GristmillError as error:
            return [PlannedEngine(role, card.id, "", "", str(error)) for role, card in loaded.cards.items()]
        checked: dict[str, PlannedEngine] = {}
        for role, card in loaded.cards.items():
            checked[role] = _check_engine(role, card, session, loaded)
        return list(checked.values())


def _check_engine(role: str, card: ModelCard, session: EngineSession, loaded: LoadedRecipe) -> PlannedEngine:
    try:
        facts = session.inspect(card)
        refuse_unable(loaded, {card.id: facts}, role)
    except GristmillError as error:
        return PlannedEngine(role, card.id, "", "", str(error))
    return PlannedEngine(role, card.id, facts.address, facts.kind, None)
