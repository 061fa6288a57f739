"""Stage `dedup`: exact and near copies among all conversations; of a cluster the best-scored member is kept. On Dask."""

import time

from infra.storage import read_records, write_records
from schemas.records import Conversation, Drop
from schemas.run import ShardReport
from tasks.dedup import drop_copies, find_copies, read_copies
from tasks.progress import HUB
from tasks.run_state import Job, Run
from tasks.stages.fan_out import on_dask, stage_task
from tasks.tally import tally


@stage_task
def dedup_conversations(run: Run, shards: int) -> None:
    """Find copies over all shards, then drop them shard by shard."""
    if len(run.committed("dedup", shards)) < shards:
        inputs = [run.folder.part("filter", shard) for shard in range(shards)]
        find_copies(run.client, inputs, run.folder.root / "dedup" / "work", run.loaded.recipe.dedup, kind="conversation")
    on_dask(run, "dedup", dedup_shard, range(shards))
    HUB.stage_ends("dedup")


def dedup_shard(job: Job, shard: int) -> ShardReport:
    """Drop one shard's copies."""
    started = time.monotonic()
    conversations = read_records(job.folder.part("filter", shard), Conversation)
    copies = read_copies(job.folder.root / "dedup" / "work" / "copies.parquet", [one.conversation_id for one in conversations])
    kept, drops = drop_copies(conversations, copies, stage="dedup")
    write_records(job.folder.part("dedup", shard), kept, Conversation)
    write_records(job.folder.dropped("dedup", shard), drops, Drop)
    return ShardReport(len(conversations), len(kept), tally(drops), seconds=time.monotonic() - started)
