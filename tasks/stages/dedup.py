"""Stage `dedup`: exact and near copies among all conversations; of a cluster the best-scored member is kept. On Dask."""

import time

from infra.storage import read_table, write_table
from schemas.run import ShardReport
from tasks.dedup import find_copies, part_copies, read_copies
from tasks.earlier import earlier_conversations
from tasks.progress import HUB
from tasks.run_state import Job, Run
from tasks.stages.fan_out import on_dask, stage_task


@stage_task
def dedup_conversations(run: Run, shards: int) -> None:
    """Find copies over all shards, then drop them shard by shard."""
    if len(run.committed("dedup", shards)) < shards:
        inputs = [run.folder.part("filter", shard) for shard in range(shards)]
        options, earlier = run.loaded.recipe.dedup, earlier_conversations(run.loaded.recipe, run.settings.data)
        find_copies(run.client, inputs, run.folder.root / "dedup" / "work", options, kind="conversation", earlier=earlier)
    on_dask(run, "dedup", dedup_shard, range(shards))
    HUB.stage_ends("dedup")


def dedup_shard(job: Job, shard: int) -> ShardReport:
    """Drop one shard's copies."""
    started = time.monotonic()
    conversations = read_table(job.folder.part("filter", shard))
    parted = part_copies(conversations, read_copies(job.folder.root / "dedup" / "work", shard), "conversation", stage="dedup")
    write_table(job.folder.part("dedup", shard), parted.kept)
    write_table(job.folder.dropped("dedup", shard), parted.drops)
    return ShardReport(conversations.num_rows, parted.kept.num_rows, parted.dropped, seconds=time.monotonic() - started)
