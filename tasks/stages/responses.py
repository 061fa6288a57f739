"""Stage `responses`: every screened prompt answered N times by each response technique that applies to it, a Prefect task a shard."""

import time
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass

from infra.storage import RunFolder, read_records, write_records
from schemas.recipe import SplitOptions
from schemas.records import Conversation, Drop, Prompt, drop_record
from schemas.run import ShardReport
from tasks.catalogue import LoadedResponse
from tasks.progress import HUB
from tasks.purposes import purpose_of
from tasks.ration import SPARED, SPARED_REASON, is_spared
from tasks.requeue.inherit import AGAIN, KEPT, goes_back_to, join_drops
from tasks.rollout import Cast, RecordAsk, Refused, ShardCalls, hand_over, open_calls, run_records
from tasks.run_state import Run
from tasks.stages.fan_out import on_prefect, shard_task, traced
from tasks.stages.stopping import stoppable
from tasks.tally import tally


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation to be had."""

    prompt: Prompt
    response: LoadedResponse
    index: int
    """Counts on over the recipe's response entries, so that two entries of one technique never share an index."""


@traced
def answer_prompts(run: Run, shards: int, *, upto: int | None = None) -> None:
    """Answer all screened prompts, or those of the first shards."""
    committed = run.committed("responses", shards)
    HUB.stage_begins("responses", shards=shards, committed=committed)
    on_prefect(run, answer_shard, "responses", shards, upto=upto)
    HUB.stage_ends("responses")


@shard_task
def answer_shard(run: Run, shard: int) -> ShardReport:
    """Answer the prompts of one shard."""
    started = time.monotonic()
    prompts = read_records(run.folder.part("screen", shard), Prompt)
    samples = list_samples(prompts, run.loaded.responses, run.loaded.recipe.split)
    if is_spared(run.folder, shard):
        return _spare(run, shard, samples, started)
    had: list[Conversation] = []
    if goes_back_to(run, "responses"):
        samples, had = leave_had_out(samples, run.folder, shard)
    gate = run.allowance("responses").gate
    calls, journal = open_calls(run.session, run.folder, "responses", shard, [prompt.prompt_id for prompt in prompts], gate=gate)
    with journal:
        asked = run_records(samples, lambda one: respond_to(one, calls, run.cast), gate=gate, technique=lambda one: one.response.name)
        made = run.session.run(stoppable(run.run_id, asked))
    results = [_settle(sample, one) for sample, one in zip(samples, made, strict=True)]
    conversations = sorted([*had, *(one for one in results if isinstance(one, Conversation))], key=lambda one: one.conversation_id)
    drops = sorted((one for one in results if isinstance(one, Drop)), key=lambda one: one.drop_id)
    if goes_back_to(run, "responses"):
        drops = join_drops(run.folder, shard, drops)
    write_records(run.folder.part("responses", shard), conversations, Conversation)
    write_records(run.folder.dropped("responses", shard), drops, Drop)
    report = calls.report(rows_in=len(conversations) + len(drops), rows_out=len(conversations), dropped=tally(drops), seconds=time.monotonic() - started)
    run.commit("responses", shard, report)
    HUB.shard_done("responses", report)
    hand_over(run.folder, "responses", shard)
    return report


def respond_to(sample: Sample, calls: ShardCalls, cast: Cast) -> Awaitable[Conversation | Drop]:
    """Have one conversation; the model that its entry names plays the responder."""
    response = sample.response
    ask = RecordAsk(calls, cast, sample.prompt.prompt_id, {"responder": response.role}, response.name)
    made: Awaitable[Conversation | Drop] = response.module.respond(sample.prompt, sample.index, response.options, ask)
    return made


def _spare(run: Run, shard: int, samples: list[Sample], started: float) -> ShardReport:
    """Let a shard's prompts go unanswered: there are as many rows as were asked for."""
    wanted = Counter(sample.prompt for sample in samples)
    drops = [drop_record(prompt, stage="responses", reason=SPARED_REASON, detail=SPARED, rows=rows) for prompt, rows in wanted.items()]
    write_records(run.folder.part("responses", shard), [], Conversation)
    write_records(run.folder.dropped("responses", shard), sorted(drops, key=lambda one: one.drop_id), Drop)
    report = ShardReport(len(samples), 0, tally(drops), seconds=time.monotonic() - started)
    run.commit("responses", shard, report)
    HUB.shard_done("responses", report)
    return report


def list_samples(prompts: list[Prompt], responses: tuple[LoadedResponse, ...], split: SplitOptions | None = None) -> list[Sample]:
    """List the conversations to be had over some prompts."""
    samples: list[Sample] = []
    for prompt in prompts:
        index, purpose = 0, purpose_of(prompt, split)
        for response in responses:
            if response.answers(prompt.technique) and response.serves_for(purpose):
                samples.extend(Sample(prompt, response, index + nth) for nth in range(response.samples))
            index += response.samples
    return samples


def leave_had_out(samples: list[Sample], folder: RunFolder, shard: int) -> tuple[list[Sample], list[Conversation]]:
    """Of a requeue's samples, keep those whose drops come back; give the conversations that were had the first time, too.

    A drop of no sample is of all of its prompt's: one that was not needed.
    """
    again = {(one.record_id, one.sample_index) for one in read_records(folder.part(AGAIN, shard), Drop)}
    return [one for one in samples if again & {(one.prompt.prompt_id, one.index), (one.prompt.prompt_id, None)}], read_records(
        folder.part(KEPT, shard), Conversation
    )


def _settle(sample: Sample, made: Conversation | Drop | Refused) -> Conversation | Drop:
    if isinstance(made, Refused):
        return drop_record(sample.prompt, stage="responses", reason=made.reason, detail=made.detail, nth=sample.index, sample_index=sample.index)
    return made
