"""Scoring on real Dask workers against a real Triton: what the server was asked, told by its own log."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from infra.cluster import map_tasks, open_cluster
from infra.engines.session import EngineSession
from infra.settings import Settings
from infra.storage import RunFolder, read_records, write_records
from infra.triton.server import ServedTriton
from schemas.model_card import load_card
from schemas.recipe import ScoreOptions
from schemas.records import Conversation, Message, Prompt, conversation_id
from schemas.run import ShardReport
from tasks.grading import reduction_of
from tasks.rollout import Cast
from tasks.run_state import Job
from tasks.stages.score import score_shard
from tests.harness import served_keys
from tests.tasks.builders import a_conversation, a_prompt

pytestmark = [pytest.mark.triton, pytest.mark.slow]

CARD = load_card("rehearsal-reward")
SHARD = 40


@pytest.fixture
def job(tmp_path: Path, triton: ServedTriton) -> Job:
    settings = Settings(data=tmp_path, dask_workers=2)
    with contextlib.closing(EngineSession(settings, triton.addresses())) as session:
        cast = Cast({"reward": CARD}, {CARD.id: session.inspect(CARD)}, 0)
    return Job(RunFolder(tmp_path, "run"), settings, triton.addresses(), cast)


def sampled_twice(number: int, name: str) -> list[Conversation]:
    """Make two answers to one prompt that came out alike."""
    first = a_conversation(f"It is {number}, as {name} says.", prompt=a_prompt(f"What is {number} for {name}?"))
    return [first, replace(first, sample_index=1, conversation_id=conversation_id(first.prompt_id, "answer", 1, first.messages))]


def write_shards(job: Job, name: str, shards: int) -> list[list[Conversation]]:
    made = [[one for number in range(SHARD // 2) for one in sampled_twice(shard * SHARD + number, name)] for shard in range(shards)]
    for shard, rows in enumerate(made):
        rows.sort(key=lambda one: one.conversation_id)
        write_records(job.folder.part("responses", shard), rows, Conversation)
        write_records(job.folder.part("screen", shard), [], Prompt)
    return made


def key_of(conversation: Conversation) -> str:
    return CARD.reward_request((*conversation.messages[:-1], Message("assistant", conversation.messages[-1].content))).key


def score(job: Job, shards: Sequence[int], *, workers: int) -> dict[int, ShardReport]:
    work = partial(score_shard, job, reduction=reduction_of(ScoreOptions(), CARD), judges=())
    with open_cluster(Settings(data=job.folder.data, dask_workers=workers)) as client:
        return {shard: report for shard, report in map_tasks(client, work, shards) if isinstance(report, ShardReport)}


def test_every_answer_is_graded_and_equal_ones_are_asked_for_once(job: Job, call_log: Path) -> None:
    made, served = write_shards(job, "once", 4), len(served_keys(call_log))
    reports = score(job, range(4), workers=2)
    asked = served_keys(call_log)[served:]
    assert sorted(asked) == sorted({key_of(one) for rows in made for one in rows})
    assert [(report.rows_in, report.rows_out, report.calls) for _, report in sorted(reports.items())] == [(SHARD, SHARD, SHARD // 2)] * 4
    graded = [one for shard in range(4) for one in read_records(job.folder.part("score", shard), Conversation)]
    assert sorted(one.conversation_id for one in graded) == sorted(one.conversation_id for rows in made for one in rows)
    assert all(one.scores is not None for one in graded)


def test_a_shard_scored_but_not_committed_is_scored_again_from_its_journal(job: Job, call_log: Path) -> None:
    write_shards(job, "resumed", 2)
    first = score(job, [0], workers=1)
    before, served = job.folder.part("score", 0).read_bytes(), len(served_keys(call_log))
    job.folder.part("score", 0).unlink()
    again = score(job, [0, 1], workers=2)
    assert job.folder.part("score", 0).read_bytes() == before
    assert len(served_keys(call_log)) - served == again[1].calls == SHARD // 2
    assert replace(again[0], seconds=0) == replace(first[0], seconds=0)


def test_a_worker_begins_its_next_shard_while_one_waits(job: Job, call_log: Path) -> None:
    made, served = write_shards(job, "full", 3), len(served_keys(call_log))
    shard_of = {key_of(one): shard for shard, rows in enumerate(made) for one in rows}
    score(job, range(3), workers=1)
    order = [shard_of[key] for key in served_keys(call_log)[served:]]
    assert sorted(order) != order
