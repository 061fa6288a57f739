"""Stage `dedup`: exact and near copies among all conversations, and copies in meaning; of a cluster the best-scored member is kept. On Dask."""

import time
from dataclasses import replace
from functools import partial

import pyarrow as pa

from infra.storage import read_table, write_table
from schemas.contract import from_table, to_table
from schemas.records import Conversation, merge_provenance
from schemas.run import ShardReport
from tasks.dedup import find_copies, part_copies
from tasks.earlier import earlier_conversations
from tasks.progress import HUB
from tasks.run_state import Job, Run
from tasks.stages.embed import drop_alike, read_found, touch_of
from tasks.stages.fan_out import on_dask, stage_task


@stage_task
def dedup_conversations(run: Run, shards: int) -> None:
    """Find copies over all shards, then drop them shard by shard."""
    options = run.loaded.recipe.dedup
    if options.semantic:
        run.committed("dedup/embed", shards)  # planned first: the ledger's order of stages is the accounts'
    if len(run.committed("dedup", shards)) < shards:
        inputs = [run.folder.part("filter", shard) for shard in range(shards)]
        earlier = earlier_conversations(run.loaded.recipe, run.settings.data)
        find_copies(run.client, inputs, run.folder.root / "dedup" / "work", options, kind="conversation", earlier=earlier)
        drop_alike(run, "dedup", inputs, options.semantic)
    on_dask(run, "dedup", partial(dedup_shard, semantic=options.semantic is not None), range(shards))
    HUB.stage_ends("dedup")


def dedup_shard(job: Job, shard: int, *, semantic: bool) -> ShardReport:
    """Drop one shard's copies."""
    started = time.monotonic()
    conversations = read_table(job.folder.part("filter", shard))
    parted = part_copies(conversations, read_found(job.folder.root, "dedup", shard, semantic=semantic), "conversation", stage="dedup")
    write_table(job.folder.part("dedup", shard), _touched(parted.kept, job) if semantic else parted.kept)
    write_table(job.folder.dropped("dedup", shard), parted.drops)
    return ShardReport(conversations.num_rows, parted.kept.num_rows, parted.dropped, seconds=time.monotonic() - started)


def _touched(conversations: pa.Table, job: Job) -> pa.Table:
    rows = from_table(conversations, Conversation)
    touched = (replace(one, provenance=merge_provenance(one.provenance, touch_of(job, one.provenance.recipe))) for one in rows)
    return to_table(touched, Conversation)
