"""Stage `score`: each conversation graded by the reward model and, where the right answer is known, by its verifier. On Dask.

Every worker process has one engine session for all its shards; grades are journalled and kept like any other call.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial

from infra.engines.session import EngineSession, shared_session
from infra.storage import read_records, write_records
from schemas.engine import Reward
from schemas.errors import EngineError, EngineFault
from schemas.model_card import ModelCard
from schemas.records import ATTRIBUTES, Conversation, Drop, Provenance, Scores, drop_record, merge_provenance
from schemas.run import ShardReport
from tasks.catalogue import find_verifier
from tasks.progress import HUB
from tasks.rollout import Refused, ShardCalls, hand_over, open_calls, run_records
from tasks.run_state import Job, Run, read_meter
from tasks.stages.fan_out import METER_TOPIC, map_on_dask, on_dask, stage_task
from tasks.tally import tally

# How often a worker tells the driver of its calls while it scores.
METER_S = 0.5


@stage_task
def score_conversations(run: Run, shards: int) -> None:
    """Grade all conversations."""
    score = run.loaded.recipe.score
    weights = (score.weights or published_weights(run.cast.cards["reward"])) if score else None
    on_dask(run, "score", partial(score_shard, weights=weights, graded=score is not None), range(shards))
    left = [shard for shard in range(shards) if run.folder.journal("score", shard).exists()]
    for _ in map_on_dask(run, hand_over_shard, left):
        pass
    HUB.stage_ends("score")


def published_weights(card: ModelCard) -> dict[str, float]:
    """Give the reduction that a reward model's own card states; a one-number model's number counts as it is."""
    if card.reward is None:
        raise TypeError(f"{card.id} is no reward model")
    return card.reward.weights or {card.reward.attributes[0]: 1.0}


def hand_over_shard(job: Job, shard: int) -> None:
    """Give a committed shard's grades to the call store."""
    hand_over(job.folder, "score", shard)


def score_shard(job: Job, shard: int, *, weights: dict[str, float] | None, graded: bool) -> ShardReport:
    """Grade one shard of conversations."""
    started = time.monotonic()
    conversations = [verify(one) for one in read_records(job.folder.part("responses", shard), Conversation)]
    if not graded or weights is None:
        write_records(job.folder.part("score", shard), conversations, Conversation)
        write_records(job.folder.dropped("score", shard), [], Drop)
        return ShardReport(len(conversations), len(conversations), seconds=time.monotonic() - started)
    session = shared_session(job.settings, job.addresses)
    calls, journal = open_calls(session, job.folder, "score", shard, [one.prompt_id for one in conversations])
    with journal, _metered(session):
        rewards = session.run(run_records(conversations, lambda one: grade(one, job.cast.cards["reward"], calls)))
    results = [settle(one, reward, job, weights) for one, reward in zip(conversations, rewards, strict=True)]
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


async def grade(conversation: Conversation, card: ModelCard, calls: ShardCalls) -> Reward:
    """Ask the reward model for one conversation's grade.

    Kept under the prompt's id, as its answers are: a shard is a range of prompt ids, so a few files of the call store hold all its grades.
    """
    answer = await calls.ask(card, card.reward_request(conversation.messages), conversation.prompt_id)
    if not isinstance(answer, Reward):
        raise EngineError(f"{card.id} answered a reward request with {type(answer).__name__}", fault=EngineFault.GARBLED)
    return answer


def settle(conversation: Conversation, reward: Reward | Refused, job: Job, weights: dict[str, float]) -> Conversation | Drop:
    """Put a grade on its conversation, or drop the conversation that could not be graded whole."""
    if isinstance(reward, Refused):
        return drop_record(conversation, stage="score", reason="engine_refused", detail=reward.detail)
    if reward.exceeded:
        return drop_record(conversation, stage="score", reason="too_long_to_score", detail="the reward model saw only a part of it")
    touched = Provenance(conversation.provenance.recipe, job.cast.cards["reward"].rehearsal, (job.cast.use("reward"),))
    return replace(conversation, scores=reduce_reward(reward, weights), provenance=merge_provenance(conversation.provenance, touched))


def reduce_reward(reward: Reward, weights: dict[str, float]) -> Scores:
    """Reduce attributes to one number: the weighted sum, its recipe written beside it."""
    number = sum(weight * reward.attributes[name] for name, weight in weights.items())
    reduction = " ".join(f"{weight:+g}*{name}" for name, weight in weights.items())
    return Scores(number, reduction, **{name: reward.attributes.get(name) for name in ATTRIBUTES})


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
