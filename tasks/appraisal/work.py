"""An appraisal at work: known pairs cut into shards, each graded by one Prefect task, its calls journalled, its file its commit."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from infra.engines.rewards import reward_facts
from infra.engines.session import EngineSession
from infra.ledger import Ledger
from infra.settings import Settings
from infra.storage import RunFolder, hold_run, read_records, sha256_file, write_records
from schemas.appraisal import AppraisalRecord, GradedPair
from schemas.engine import Reward
from schemas.errors import RecipeError
from schemas.identity import content_id
from schemas.model_card import ModelCard, load_card
from schemas.recipe import ScoreOptions
from tasks.appraisal.pairs import KnownPair, read_pairs
from tasks.appraisal.scoring import tally_pairs
from tasks.craft.seedfiles import find_seed_file
from tasks.grading import Reduction, find_fault, reduction_of
from tasks.progress import HUB
from tasks.rollout import Cast, Refused, hand_over, open_calls, run_records
from tasks.run_engines import place_cards, read_meter
from tasks.stages.score import ask_grade

STAGE = "appraise"
SHARD_PAIRS = 128


@dataclass(frozen=True, slots=True)
class Appraising:
    """What is appraised on what."""

    card: ModelCard
    reduction: Reduction
    path: Path
    columns: Mapping[str, str]
    sha256: str

    @property
    def appraisal_id(self) -> str:
        """Name it by the card, the reduction, the file's bytes and the meaning of its columns."""
        card = self.card.model_dump(mode="json", exclude={"title", "source", "stands_in"})
        return content_id("appraisal", [card, self.reduction.formula, self.sha256, sorted(self.columns.items())])[:12]

    @property
    def name(self) -> str:
        """The file's name without its endings."""
        return self.path.name.partition(".")[0]


@dataclass
class Bench:
    """An open appraisal: engine, folder, pairs."""

    work: Appraising
    folder: RunFolder
    session: EngineSession
    cast: Cast
    pairs: list[KnownPair]

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return -(-len(self.pairs) // SHARD_PAIRS)


def plan_appraisal(card: str, pairs: Path, settings: Settings, *, columns: Mapping[str, str], score: ScoreOptions) -> Appraising:
    """Find the card and the file. Raises NotFoundError, RecipeError."""
    found = load_card(card, settings.cards)
    if found.reward is None:
        raise RecipeError(f"{card} is a model of the kind {found.role!r}: only a reward model can be appraised")
    path = find_seed_file(pairs.parent, pairs.name)
    return Appraising(found, reduction_of(score, found), path, dict(columns), sha256_file(path))


def known_appraisal(work: Appraising, settings: Settings) -> AppraisalRecord | None:
    """Find the same appraisal in the ledger, if it was made before."""
    if not settings.database_url and not (settings.local / "ledger.db").exists():
        return None
    with contextlib.closing(Ledger.open(settings.ledger_url)) as ledger:
        return next((one for one in ledger.appraisals(work.card.id) if one.appraisal_id == work.appraisal_id), None)


@contextlib.contextmanager
def open_bench(work: Appraising, settings: Settings) -> Iterator[Bench]:
    """Read the pairs, connect to the engine, hold the appraisal's folder."""
    pairs = list(read_pairs(work.path, work.columns))
    if not pairs:
        raise RecipeError(f"{work.path} has no rows")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(hold_run(settings.data, f"appraisal-{work.appraisal_id}"))
        HUB.start(run_id=folder.run_id, name=f"{work.card.id} on {work.name}", rehearsal=work.card.rehearsal)
        addresses = place_cards([work.card], settings, stack, log_path=folder.local / "triton.log")
        session = stack.enter_context(contextlib.closing(EngineSession(settings, addresses)))
        HUB.watch("this process", lambda: read_meter(session))
        cast = Cast({"reward": work.card}, {work.card.id: session.inspect(work.card, patient=True)}, 0)
        HUB.say("grading pairs")
        yield Bench(work, folder, session, cast, pairs)


def grade_pairs(bench: Bench) -> None:
    """Grade all pairs, a Prefect task a shard; a shard whose file is there was graded before."""
    from prefect import Task
    from prefect.cache_policies import NO_CACHE
    from prefect.utilities.annotations import quote

    left = [shard for shard in range(bench.shards) if not bench.folder.part(STAGE, shard).exists()]
    task: Task[..., None] = Task(grade_shard, name=STAGE, cache_policy=NO_CACHE, persist_result=False)
    futures = [task.with_options(task_run_name=f"{STAGE} {shard + 1} of {bench.shards}").submit(quote(bench), shard) for shard in left]
    for future in futures:
        future.result()
    for shard in range(bench.shards):
        hand_over(bench.folder, STAGE, shard)


def grade_shard(bench: Bench, shard: int) -> None:
    """Grade one shard of pairs: two calls a pair, both journalled."""
    pairs = bench.pairs[shard * SHARD_PAIRS : (shard + 1) * SHARD_PAIRS]
    calls, journal = open_calls(bench.session, bench.folder, STAGE, shard, [one.pair_id for one in pairs])
    with journal:
        sides = [(one, side) for one in pairs if not one.fault for side in (one.chosen, one.rejected)]
        graded = bench.session.run(run_records(sides, lambda asked: ask_grade(asked[1], asked[0].pair_id, bench.cast, calls)))
    rewards = iter(graded)
    write_records(bench.folder.part(STAGE, shard), [_outcome(one, rewards, bench.work) for one in pairs], GradedPair)


def conclude(bench: Bench, settings: Settings) -> AppraisalRecord:
    """Tally what was graded, and tell the ledger."""
    graded = [one for path in bench.folder.parts(STAGE) for one in read_records(path, GradedPair)]
    work, tally = bench.work, tally_pairs(graded)
    record = AppraisalRecord(
        appraisal_id=work.appraisal_id,
        model=work.card.id,
        revision=work.card.revision,
        engine=bench.cast.facts[work.card.id].kind,
        reduction=work.reduction.formula,
        pairs_name=work.name,
        pairs_sha256=work.sha256,
        pairs=len(graded),
        **{outcome: tally.outcomes[outcome] for outcome in ("won", "lost", "tied")},
        dropped=tally.dropped,
        score=tally.score,
        low=tally.low,
        high=tally.high,
        appraised_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        rehearsal=work.card.rehearsal,
        categories=tally.categories,
        sections=tally.sections,
    )
    with contextlib.closing(Ledger.open(settings.ledger_url)) as ledger:
        ledger.record_appraisal(record)
    return record


def _outcome(pair: KnownPair, rewards: "Iterator[Reward | Refused]", work: Appraising) -> GradedPair:
    if pair.fault:
        return GradedPair(pair.row, pair.category, "dropped", pair.fault)
    both = (next(rewards), next(rewards))
    faults = [fault for fault in (find_fault(one, reward_facts(work.card)) for one in both) if fault]
    if faults:
        return GradedPair(pair.row, pair.category, "dropped", faults[0].reason)
    chosen, rejected = (work.reduction.reduce(one).reward for one in both if isinstance(one, Reward))
    outcome = "tied" if chosen == rejected else "won" if chosen > rejected else "lost"
    return GradedPair(pair.row, pair.category, outcome, "", chosen, rejected)
