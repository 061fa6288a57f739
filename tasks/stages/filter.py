"""Stage `filter`: the recipe's filters over each shard of conversations, one pass for all of them. On Dask."""

import time
from functools import partial

from infra.storage import read_table, write_records, write_table
from schemas.records import Drop
from schemas.run import ShardReport
from tasks.catalogue import LoadedFilter
from tasks.filtering import filter_table
from tasks.progress import HUB
from tasks.run_state import Job, Run
from tasks.stages.fan_out import on_dask, stage_task
from tasks.tally import tally


@stage_task
def filter_conversations(run: Run, shards: int) -> None:
    """Filter all conversations."""
    on_dask(run, "filter", partial(filter_shard, filters=run.loaded.filters), range(shards))
    HUB.stage_ends("filter")


def filter_shard(job: Job, shard: int, *, filters: tuple[LoadedFilter, ...]) -> ShardReport:
    """Filter one shard."""
    started = time.monotonic()
    conversations = read_table(job.folder.part("score", shard))
    filtered = filter_table(conversations, filters)
    write_table(job.folder.part("filter", shard), filtered.kept)
    write_records(job.folder.dropped("filter", shard), sorted(filtered.drops, key=lambda drop: drop.drop_id), Drop)
    return ShardReport(conversations.num_rows, filtered.kept.num_rows, tally(filtered.drops), seconds=time.monotonic() - started)
