"""Stage `pair`: of each prompt's conversations, which become instruction data, which pair up, and why the rest do not. On Dask.

All conversations of a prompt are in one shard, so no shard needs another. Where a recipe's judges ask language models, that is done here first: a shard
asks about all its prompts at once, journalled and kept like any other calls.
"""

import time
from collections.abc import Awaitable, Sequence
from functools import partial
from itertools import groupby

from infra.engines.session import shared_session
from infra.storage import read_records, write_records
from schemas.errors import StoppedError
from schemas.recipe import Recipe
from schemas.records import Conversation, Drop, Preference
from schemas.run import ShardReport
from tasks.catalogue import LoadedJudge
from tasks.judging import hear_judges
from tasks.pairing import NOTHING_HEARD, Hearings, settle
from tasks.progress import HUB
from tasks.ration import Cutoffs, read_cutoffs, trim
from tasks.rollout import RecordAsk, Refused, ShardCalls, open_calls, run_records
from tasks.run_state import Job, Run
from tasks.stages.asking import hand_over_shards, metered
from tasks.stages.fan_out import on_dask, stage_task
from tasks.stages.stopping import stoppable
from tasks.tally import tally


@stage_task
def pair_conversations(run: Run, shards: int) -> None:
    """Select and pair over all shards."""
    on_dask(run, "pair", partial(pair_shard, recipe=run.loaded.recipe, judges=run.loaded.judges, cutoffs=read_cutoffs(run.folder)), range(shards))
    hand_over_shards(run, "pair", shards)
    HUB.stage_ends("pair")


def pair_shard(job: Job, shard: int, *, recipe: Recipe, judges: tuple[LoadedJudge, ...], cutoffs: Cutoffs) -> ShardReport | StoppedError:
    """Select and pair one shard's conversations. A row counts as out when it is published, in SFT or on a side of a pair.

    An error given, not raised, says that the run must spend no more.
    """
    started = time.monotonic()
    conversations = read_records(job.folder.part("dedup", shard), Conversation)
    ordered = sorted(conversations, key=lambda one: (one.prompt_id, one.conversation_id))
    groups = [tuple(group) for _, group in groupby(ordered, key=lambda one: one.prompt_id)]
    try:
        heard, asked = _hear(job, shard, groups, recipe, judges)
    except StoppedError as stop:
        return stop
    settled = [trim(settle(group, recipe, judges, said), group, cutoffs) for group, said in zip(groups, heard, strict=True)]
    chosen = sorted((one for each in settled for one in each.sft), key=lambda one: one.conversation_id)
    made = sorted((one for each in settled for one in each.preferences), key=lambda one: one.preference_id)
    drops = sorted((one for each in settled for one in each.drops), key=lambda one: one.drop_id)
    write_records(job.folder.part("pair/sft", shard), chosen, Conversation)
    write_records(job.folder.part("pair/preferences", shard), made, Preference)
    write_records(job.folder.dropped("pair", shard), drops, Drop)
    published = {one.conversation_id for one in chosen} | {side for one in made for side in (one.chosen_id, one.rejected_id)}
    seconds = time.monotonic() - started
    if asked is None:
        return ShardReport(len(conversations), len(published), tally(drops), seconds=seconds)
    return asked.report(rows_in=len(conversations), rows_out=len(published), dropped=tally(drops), seconds=seconds)


def _hear(
    job: Job, shard: int, groups: Sequence[tuple[Conversation, ...]], recipe: Recipe, judges: tuple[LoadedJudge, ...]
) -> tuple[list[Hearings], ShardCalls | None]:
    """Ask the judges that ask language models about each prompt's answers; where the recipe names none, nothing is opened."""
    if recipe.pairs is None or not any(judge.asks for judge in judges):
        return [NOTHING_HEARD] * len(groups), None
    session = shared_session(job.settings, job.addresses)
    gate = job.allowance.gate
    calls, journal = open_calls(session, job.folder, "pair", shard, [group[0].prompt_id for group in groups], gate=gate)

    def hear(group: tuple[Conversation, ...]) -> Awaitable[Hearings]:
        return hear_judges(group, recipe, judges, RecordAsk(calls, job.cast, group[0].prompt_id, technique="judges"))

    with journal, metered(session):
        heard = session.run(stoppable(job.folder.run_id, run_records(groups, hear, gate=gate, technique=lambda _: "judges")))
    return [NOTHING_HEARD if isinstance(one, Refused) else one for one in heard], calls
