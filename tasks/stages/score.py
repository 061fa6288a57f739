"""Stage `score`: each conversation graded by the reward model and, where the right answer is known, by its verifier. On Dask.

Every worker process has one engine session for all its shards; grades are journalled and kept like any other call.
"""

import time
from dataclasses import replace
from functools import partial

from infra.engines.completion import estimate_tokens
from infra.engines.rewards import reward_facts
from infra.engines.session import shared_session
from infra.storage import read_records, write_records
from schemas.engine import Reward
from schemas.errors import EngineError, EngineFault, StoppedError
from schemas.records import Conversation, Drop, Messages, Prompt, Provenance, merge_provenance
from schemas.run import ShardReport
from tasks.catalogue import LoadedJudge
from tasks.grading import Reduction, reduction_of, settle_grade
from tasks.progress import HUB
from tasks.rollout import Cast, Refused, ShardCalls, Whose, open_calls, run_records
from tasks.run_state import Job, Run
from tasks.sampled import judge_samples, rate_prompts
from tasks.stages.asking import hand_over_shards, make_room, metered
from tasks.stages.fan_out import on_dask, stage_task
from tasks.stages.stopping import stoppable
from tasks.tally import tally


@stage_task
def score_conversations(run: Run, shards: int, *, upto: int | None = None) -> None:
    """Grade all conversations, or those of the first shards."""
    score = run.loaded.recipe.score
    reduction = reduction_of(score, run.cast.cards["reward"]) if score else None
    work = partial(score_shard, reduction=reduction, judges=run.loaded.judges)
    on_dask(run, "score", work, range(shards if upto is None else upto), of=shards)
    hand_over_shards(run, "score", shards)
    HUB.stage_ends("score")


def score_shard(job: Job, shard: int, *, reduction: Reduction | None, judges: tuple[LoadedJudge, ...]) -> ShardReport | StoppedError:
    """Verify one shard of conversations, and grade it where there is a reduction to do so by.

    An error given, not raised, says that the run must spend no more.
    """
    started = time.monotonic()
    conversations = judge_samples(read_records(job.folder.part("responses", shard), Conversation), judges)
    prompts = rate_prompts(read_records(job.folder.part("screen", shard), Prompt), conversations)
    write_records(job.folder.part("score/prompts", shard), prompts, Prompt)
    if reduction is None:
        write_records(job.folder.part("score", shard), conversations, Conversation)
        write_records(job.folder.dropped("score", shard), [], Drop)
        return ShardReport(len(conversations), len(conversations), seconds=time.monotonic() - started)
    session = shared_session(job.settings, job.addresses)
    gate = job.allowance.gate
    calls, journal = open_calls(session, job.folder, "score", shard, [one.prompt_id for one in conversations], gate=gate)
    make_room()
    try:
        with journal, metered(session):
            work = partial(grade, cast=job.cast, calls=calls)
            asked = run_records(conversations, work, gate=gate, technique=lambda _: "reward")
            rewards = session.run(stoppable(job.folder.run_id, asked))
    except StoppedError as stop:
        return stop
    results = [settle(one, reward, job, reduction) for one, reward in zip(conversations, rewards, strict=True)]
    kept = [one for one in results if isinstance(one, Conversation)]
    drops = [one for one in results if isinstance(one, Drop)]
    write_records(job.folder.part("score", shard), kept, Conversation)
    write_records(job.folder.dropped("score", shard), drops, Drop)
    return calls.report(rows_in=len(conversations), rows_out=len(kept), dropped=tally(drops), seconds=time.monotonic() - started)


async def grade(conversation: Conversation, cast: Cast, calls: ShardCalls) -> Reward:
    """Ask the reward model for one conversation's grade.

    Kept under the prompt's id, as its answers are: a shard is a range of prompt ids, so a few files of the call store hold all its grades.
    An engine that cuts what is too long and does not say so isn't asked: what is too long by estimate counts as cut.
    """
    return await ask_grade(conversation.messages, conversation.prompt_id, cast, calls)


async def ask_grade(messages: Messages, item_id: str, cast: Cast, calls: ShardCalls) -> Reward:
    """Ask the reward model for a conversation's grade; see `grade`."""
    card = cast.cards["reward"]
    request = card.reward_request(messages)
    if "exceeded" not in cast.facts[card.id].tells and estimate_tokens(request.prompt) > card.context_tokens:
        return Reward({}, exceeded=True)
    answer = await calls.ask(card, request, item_id, Whose("reward", "reward"))
    if not isinstance(answer, Reward):
        raise EngineError(f"{card.id} answered a reward request with {type(answer).__name__}", fault=EngineFault.GARBLED)
    return answer


def settle(conversation: Conversation, reward: Reward | Refused, job: Job, reduction: Reduction) -> Conversation | Drop:
    """Put a grade and its grader on a conversation, or drop the conversation that could not be graded whole."""
    card = job.cast.cards["reward"]
    settled = settle_grade(conversation, reward, reduction, reward_facts(card))
    if isinstance(settled, Drop):
        return settled
    touched = Provenance(conversation.provenance.recipe, card.rehearsal, (job.cast.use("reward"),))
    return replace(settled, provenance=merge_provenance(conversation.provenance, touched))
