"""Stage `score`: each conversation graded by the reward model and, where the right answer is known, by its verifier. On Dask.

Every worker process has one engine session for all its shards; grades are journalled and kept like any other call.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial

from infra.engines.completion import estimate_tokens
from infra.engines.rewards import reward_facts
from infra.engines.session import EngineSession, shared_session
from infra.storage import read_records, write_records
from schemas.engine import Reward
from schemas.errors import EngineError, EngineFault
from schemas.records import Conversation, Drop, Provenance, merge_provenance
from schemas.run import ShardReport
from tasks.catalogue import find_verifier
from tasks.grading import Reduction, reduction_of, settle_grade
from tasks.progress import HUB
from tasks.rollout import Cast, Refused, ShardCalls, hand_over, open_calls, run_records
from tasks.run_state import Job, Run, read_meter
from tasks.stages.fan_out import METER_TOPIC, map_on_dask, on_dask, stage_task
from tasks.tally import tally

# How often a worker tells the driver of its calls while it scores.
METER_S = 0.5


@stage_task
def score_conversations(run: Run, shards: int) -> None:
    """Grade all conversations."""
    score = run.loaded.recipe.score
    reduction = reduction_of(score, run.cast.cards["reward"]) if score else None
    on_dask(run, "score", partial(score_shard, reduction=reduction), range(shards))
    left = [shard for shard in range(shards) if run.folder.journal("score", shard).exists()]
    for _ in map_on_dask(run, hand_over_shard, left):
        pass
    HUB.stage_ends("score")


def hand_over_shard(job: Job, shard: int) -> None:
    """Give a committed shard's grades to the call store."""
    hand_over(job.folder, "score", shard)


def score_shard(job: Job, shard: int, *, reduction: Reduction | None) -> ShardReport:
    """Grade one shard of conversations; without a reduction, only verify."""
    started = time.monotonic()
    conversations = [verify(one) for one in read_records(job.folder.part("responses", shard), Conversation)]
    if reduction is None:
        write_records(job.folder.part("score", shard), conversations, Conversation)
        write_records(job.folder.dropped("score", shard), [], Drop)
        return ShardReport(len(conversations), len(conversations), seconds=time.monotonic() - started)
    session = shared_session(job.settings, job.addresses)
    calls, journal = open_calls(session, job.folder, "score", shard, [one.prompt_id for one in conversations])
    with journal, _metered(session):
        rewards = session.run(run_records(conversations, lambda one: grade(one, job.cast, calls)))
    results = [settle(one, reward, job, reduction) for one, reward in zip(conversations, rewards, strict=True)]
    kept = [one for one in results if isinstance(one, Conversation)]
    drops = [one for one in results if isinstance(one, Drop)]
    write_records(job.folder.part("score", shard), kept, Conversation)
    write_records(job.folder.dropped("score", shard), drops, Drop)
    return calls.report(rows_in=len(conversations), rows_out=len(kept), dropped=tally(drops), seconds=time.monotonic() - started)


def verify(conversation: Conversation) -> Conversation:
    """Judge an answer by its reference, where there is one."""
    if conversation.reference is None:
        return conversation
    verifier = find_verifier(conversation.reference.verifier)
    return replace(conversation, verdict=verifier.verify(conversation.messages[-1].content, conversation.reference.value))


async def grade(conversation: Conversation, cast: Cast, calls: ShardCalls) -> Reward:
    """Ask the reward model for one conversation's grade.

    Kept under the prompt's id, as its answers are: a shard is a range of prompt ids, so a few files of the call store hold all its grades.
    An engine that cuts what is too long and does not say so isn't asked: what is too long by estimate counts as cut.
    """
    card = cast.cards["reward"]
    request = card.reward_request(conversation.messages)
    if "exceeded" not in cast.facts[card.id].tells and estimate_tokens(request.prompt) > card.context_tokens:
        return Reward({}, exceeded=True)
    answer = await calls.ask(card, request, conversation.prompt_id)
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


@contextmanager
def _metered(session: EngineSession) -> Iterator[None]:
    """Tell the driver of this worker's calls twice a second, and once more at the end."""
    from distributed import get_worker

    worker = get_worker()
    stop = threading.Event()

    def tell() -> None:
        while not stop.wait(METER_S):
            worker.log_event(METER_TOPIC, {"worker": worker.address, **asdict(read_meter(session))})

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        stop.set()
        teller.join()
        worker.log_event(METER_TOPIC, {"worker": worker.address, **asdict(read_meter(session))})
