"""Stage `pair`: of each prompt's conversations, which become instruction data, which pair up, and why the rest do not. On Dask.

All conversations of a prompt are in one shard, so no shard needs another.
"""

import time
from functools import partial
from itertools import groupby

from infra.storage import read_records, write_records
from schemas.recipe import Recipe
from schemas.records import Conversation, Drop, Preference
from schemas.run import ShardReport
from tasks.catalogue import LoadedJudge
from tasks.pairing import settle
from tasks.progress import HUB
from tasks.run_state import Job, Run
from tasks.stages.fan_out import on_dask, stage_task
from tasks.tally import tally


@stage_task
def pair_conversations(run: Run, shards: int) -> None:
    """Select and pair over all shards."""
    on_dask(run, "pair", partial(pair_shard, recipe=run.loaded.recipe, judges=run.loaded.judges), range(shards))
    HUB.stage_ends("pair")


def pair_shard(job: Job, shard: int, *, recipe: Recipe, judges: tuple[LoadedJudge, ...]) -> ShardReport:
    """Select and pair one shard's conversations. A row counts as out when it is published, in SFT or on a side of a pair."""
    started = time.monotonic()
    conversations = read_records(job.folder.part("dedup", shard), Conversation)
    chosen: list[Conversation] = []
    made: list[Preference] = []
    drops: list[Drop] = []
    for _, group in groupby(sorted(conversations, key=lambda one: (one.prompt_id, one.conversation_id)), key=lambda one: one.prompt_id):
        settled = settle(tuple(group), recipe, judges)
        chosen += settled.sft
        made += settled.preferences
        drops += settled.drops
    write_records(job.folder.part("pair/sft", shard), sorted(chosen, key=lambda one: one.conversation_id), Conversation)
    write_records(job.folder.part("pair/preferences", shard), sorted(made, key=lambda one: one.preference_id), Preference)
    write_records(job.folder.dropped("pair", shard), sorted(drops, key=lambda drop: drop.drop_id), Drop)
    published = {one.conversation_id for one in chosen} | {side for one in made for side in (one.chosen_id, one.rejected_id)}
    return ShardReport(len(conversations), len(published), tally(drops), seconds=time.monotonic() - started)
