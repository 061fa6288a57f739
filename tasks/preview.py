"""A few records through every stage, in this process, with each call as it was sent and answered; nothing is published.

What a stage does to a record is done by the same functions as in a run. Left out are copies, since that search needs the whole data, and
the search for benchmarks' texts in answers. The calls are the very calls that a run will make, and are kept for it: what a preview has
paid, the run does not pay again.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.calls import CallStore
from infra.engines.rewards import reward_facts
from infra.engines.session import EngineSession
from infra.journal import Journal
from infra.settings import Settings
from infra.storage import RunFolder, hold_run
from schemas.engine import Answer, Completion, Embedding, Request, Reward
from schemas.errors import RunBusyError
from schemas.model_card import ModelCard
from schemas.records import Conversation, Drop, Preference, Prompt, Provenance, WorkItem, drop_record
from tasks.catalogue import LoadedRecipe, LoadedTechnique, load_recipe
from tasks.catalogue import rehearse as on_rehearsal_models
from tasks.decontamination.benchmarks import keep_benchmarks
from tasks.decontamination.screening import drop_contaminated_prompts
from tasks.filtering import filter_conversations
from tasks.grading import reduction_of, settle_grade
from tasks.judging import hear_judges
from tasks.pairing import Hearings
from tasks.pairing import settle as settle_answers
from tasks.previewed import Exchange, PreviewedAnswer, PreviewedPrompt, PreviewedStep, PreviewResult
from tasks.rollout import NOBODY, Cast, RecordAsk, Refused, ShardCalls, Whose, run_records
from tasks.run_engines import check_engines, open_addresses
from tasks.sampled import judge_samples
from tasks.stages.responses import list_samples, respond_to
from tasks.stages.score import grade
from tasks.stages.screen import estimate_tokens
from tasks.technique import Made, Opening, Step


def preview(recipe: Path, settings: Settings, *, n: int = 8, rehearse: bool = False) -> PreviewResult:
    """Take `n` prompts, shared out over the recipe's techniques, through every stage but the search for copies."""
    loaded = load_recipe(recipe, cards=settings.cards)
    if rehearse:
        loaded = on_rehearsal_models(loaded)
    with _open_desk(loaded, settings) as desk:
        wanted = [n // len(loaded.prompts) + (number < n % len(loaded.prompts)) for number in range(len(loaded.prompts))]
        written: list[_Written] = []
        for technique, most in zip(loaded.prompts, wanted, strict=True):
            written += [_write(desk, technique, most, [one for each in written for one in each.prompts])] if most else []
        prompts = [prompt for one in written for prompt in one.prompts]
        screened, unfit = _screen(loaded, prompts)
        answered = _answer(desk, screened)
        scored = _score(desk, answered)
        settled = tuple(_settle(desk, prompt, scored, answered) for prompt in screened)
        steps = tuple(step for one in written for step in one.steps)
        drops = (*(drop for one in written for drop in one.drops), *unfit, *answered.drops)
        return PreviewResult(loaded.recipe.name, loaded.rehearsal, steps, settled, drops)


class _WatchedCalls(ShardCalls):
    """Calls made for one record, kept for showing, too."""

    def __init__(self, session: EngineSession, journal: Journal, known: Mapping[str, Answer]) -> None:
        super().__init__(session, journal, known)
        self._known_before = known
        self.exchanges: list[Exchange] = []

    async def ask(self, card: ModelCard, request: Request, item_id: str, whose: Whose = NOBODY) -> Answer:
        """Answer a request, and remember it."""
        answer = await super().ask(card, request, item_id, whose)
        self.exchanges.append(Exchange(card.id, request.prompt, _spell(answer), request.key in self._known_before))
        return answer


@dataclass(frozen=True, slots=True)
class _Desk:
    loaded: LoadedRecipe
    session: EngineSession
    cast: Cast
    store: CallStore
    journal: Journal

    def watch(self, record_ids: Sequence[str]) -> list[_WatchedCalls]:
        """Open the calls of some records, with what is known of them."""
        known = self.store.load(record_ids)
        return [_WatchedCalls(self.session, self.journal, known) for _ in record_ids]


@dataclass(slots=True)
class _Written:
    steps: list[PreviewedStep] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)


@dataclass(slots=True)
class _Answered:
    """Answers on their way through the stages; what each cost, by its id."""

    conversations: list[Conversation]
    exchanges: dict[str, tuple[Exchange, ...]]
    drops: list[Drop]


@contextlib.contextmanager
def _open_desk(loaded: LoadedRecipe, settings: Settings) -> Iterator[_Desk]:
    folder = RunFolder(settings.data, f"preview-{loaded.fingerprint[:12]}")
    store = CallStore(settings.data / "calls")
    with contextlib.ExitStack() as stack:
        # Held as a run is, or a run that starts meanwhile would take the journal for a dead run's.
        stack.enter_context(hold_run(settings.data, folder.run_id))
        stack.callback(shutil.rmtree, folder.local, ignore_errors=True)
        session = stack.enter_context(contextlib.closing(EngineSession(settings, open_addresses(loaded, settings, stack, log_path=None))))
        cast = check_engines(loaded, session)
        journal = folder.journal("preview", 0)
        stack.callback(_keep, store, journal)
        yield _Desk(loaded, session, cast, store, stack.enter_context(Journal.open(journal)))


def _keep(store: CallStore, journal: Path) -> None:
    with contextlib.suppress(FileNotFoundError, RunBusyError):
        store.absorb(journal)
        journal.parent.rmdir()


def _write(desk: _Desk, technique: LoadedTechnique, most: int, before: Sequence[Prompt]) -> _Written:
    """Run a technique's steps, each on no more items than it takes to have `most` outputs."""

    def named(techniques: tuple[str, ...]) -> Iterator[Prompt]:
        return (one for one in before if one.technique in techniques)

    opening = Opening(Provenance(desk.loaded.fingerprint, desk.loaded.rehearsal), desk.loaded.recipe.seed, desk.loaded.path.parent, named)
    made: list[WorkItem | Prompt] = list(technique.module.start(technique.options, opening))
    written = _Written()
    for step in technique.module.STEPS:
        items = [one for one in made if isinstance(one, WorkItem)]
        made, exchanges = _run_step(desk, technique, step, items[: -(-most // max(1, step.yields(technique.options)))], written.drops)
        made = made[:most]
        written.steps.append(PreviewedStep(technique.name, step.name, exchanges, tuple(_title(one) for one in made)))
    written.prompts += [one for one in made if isinstance(one, Prompt)]
    return written


def _run_step(
    desk: _Desk, technique: LoadedTechnique, step: Step, items: list[WorkItem], drops: list[Drop]
) -> tuple[list[WorkItem | Prompt], tuple[Exchange, ...]]:
    watched = desk.watch([item.item_id for item in items])

    def run(pair: tuple[WorkItem, _WatchedCalls]) -> Awaitable[Made]:
        return step.run(pair[0], technique.options, RecordAsk(pair[1], desk.cast, pair[0].item_id))

    out: list[WorkItem | Prompt] = []
    for item, made in zip(items, desk.session.run(run_records(list(zip(items, watched, strict=True)), run)), strict=True):
        if isinstance(made, Refused):
            drops.append(drop_record(item, stage="prompts", reason=made.reason, detail=made.detail))
        else:
            out += made.out
            drops += made.drops
    return out, tuple(exchange for one in watched for exchange in one.exchanges)


def _screen(loaded: LoadedRecipe, prompts: Sequence[Prompt]) -> tuple[list[Prompt], list[Drop]]:
    with tempfile.TemporaryDirectory() as folder:
        benchmarks = keep_benchmarks(loaded.recipe.decontaminate, loaded.path.parent, Path(folder) / "benchmarks.parquet")
        clean, contaminated = drop_contaminated_prompts(prompts, benchmarks)
    longest = loaded.longest_prompt()
    long = [drop_record(one, stage="screen", reason="prompt_too_long") for one in clean if estimate_tokens(one) > longest]
    return [one for one in clean if estimate_tokens(one) <= longest], [*contaminated, *long]


def _answer(desk: _Desk, prompts: Sequence[Prompt]) -> _Answered:
    """Have all conversations over some prompts at once."""
    samples = list_samples(list(prompts), desk.loaded.responses, desk.loaded.recipe.split)
    watched = desk.watch([one.prompt.prompt_id for one in samples])

    made_all = desk.session.run(run_records(list(zip(samples, watched, strict=True)), lambda pair: respond_to(pair[0], pair[1], desk.cast)))
    answered = _Answered([], {}, [])
    for sample, calls, made in zip(samples, watched, made_all, strict=True):
        if isinstance(made, Conversation):
            answered.conversations.append(made)
            answered.exchanges[made.conversation_id] = tuple(calls.exchanges)
        elif isinstance(made, Drop):
            answered.drops.append(made)
        else:
            answered.drops.append(
                drop_record(sample.prompt, stage="responses", reason=made.reason, detail=made.detail, nth=sample.index, sample_index=sample.index)
            )
    answered.conversations = judge_samples(answered.conversations, desk.loaded.judges)
    return answered


def _score(desk: _Desk, answered: _Answered) -> list[Conversation]:
    """Have the conversations graded, if the recipe wants that; give those that could be."""
    score = desk.loaded.recipe.score
    if score is None:
        return answered.conversations
    card = desk.cast.cards["reward"]
    reduction = reduction_of(score, card)
    watched = desk.watch([one.prompt_id for one in answered.conversations])
    pairs = list(zip(answered.conversations, watched, strict=True))
    kept = []
    for (one, calls), reward in zip(pairs, desk.session.run(run_records(pairs, lambda pair: grade(pair[0], desk.cast, pair[1]))), strict=True):
        answered.exchanges[one.conversation_id] += tuple(calls.exchanges)
        settled = settle_grade(one, reward, reduction, reward_facts(card))
        if isinstance(settled, Drop):
            answered.drops.append(settled)
        else:
            kept.append(settled)
    return kept


def _settle(desk: _Desk, prompt: Prompt, scored: Sequence[Conversation], answered: _Answered) -> PreviewedPrompt:
    """Filter and pair one prompt's answers, and say of each what became of it."""
    kept, filtered = filter_conversations([one for one in scored if one.prompt_id == prompt.prompt_id], desk.loaded.filters)
    settled = settle_answers(kept, desk.loaded.recipe, desk.loaded.judges, _hear(desk, prompt, kept))
    answered.drops += [*filtered, *settled.drops]
    fates = _fates(settled.sft, settled.preferences, answered.drops)
    last = {one.conversation_id: one for one in (*answered.conversations, *scored, *kept) if one.prompt_id == prompt.prompt_id}
    answers = tuple(PreviewedAnswer(one, answered.exchanges[unique], fates.get(unique, "")) for unique, one in last.items())
    return PreviewedPrompt(prompt, answers, settled.preferences)


def _hear(desk: _Desk, prompt: Prompt, answers: Sequence[Conversation]) -> Hearings:
    """Ask the judges that ask language models."""
    calls = desk.watch([prompt.prompt_id])[0]
    return desk.session.run(hear_judges(answers, desk.loaded.recipe, desk.loaded.judges, RecordAsk(calls, desk.cast, prompt.prompt_id)))


def _fates(sft: Sequence[Conversation], preferences: Sequence[Preference], drops: Sequence[Drop]) -> dict[str, str]:
    """Say of each conversation what a run would make of it."""
    roles: dict[str, list[str]] = {}
    for unique, role in [(one.conversation_id, "sft") for one in sft] + [pair for one in preferences for pair in _sides(one)]:
        if role not in roles.setdefault(unique, []):
            roles[unique].append(role)
    return {drop.record_id: drop.reason for drop in drops} | {unique: " + ".join(found) for unique, found in roles.items()}


def _sides(one: Preference) -> tuple[tuple[str, str], tuple[str, str]]:
    return (one.chosen_id, "chosen"), (one.rejected_id, "rejected")


def _title(made: WorkItem | Prompt) -> str:
    return made.messages[-1].content if isinstance(made, Prompt) else made.value


def _spell(answer: Answer) -> str:
    if isinstance(answer, Completion):
        return answer.text
    if isinstance(answer, Reward):
        return ", ".join(f"{name} {number:.2f}" for name, number in answer.attributes.items())
    return f"a vector of {len(answer.vector)} numbers" if isinstance(answer, Embedding) else f"{len(answer.vectors)} vectors"
