"""Stage `filter`: the recipe's filters over each shard of conversations, one pass for all of them. On Dask."""

import time
from functools import partial

from infra.storage import read_records, write_records
from schemas.recipe import FilterEntry
from schemas.records import Conversation, Drop
from schemas.run import ShardReport
from tasks.filters import apply_filters
from tasks.progress import HUB
from tasks.run_state import Job, Run
from tasks.stages.fan_out import on_dask
from tasks.tally import tally


def filter_conversations(run: Run, shards: int) -> None:
    """Filter all conversations."""
    recipe = run.loaded.recipe
    on_dask(run, "filter", partial(filter_shard, entries=recipe.filters, language=recipe.language), range(shards))
    HUB.stage_ends("filter")


def filter_shard(job: Job, shard: int, *, entries: tuple[FilterEntry, ...], language: str) -> ShardReport:
    """Filter one shard."""
    started = time.monotonic()
    conversations = read_records(job.folder.part("score", shard), Conversation)
    filtered = apply_filters(conversations, entries, language=language)
    write_records(job.folder.part("filter", shard), filtered.kept, Conversation)
    write_records(job.folder.dropped("filter", shard), filtered.drops, Drop)
    return ShardReport(len(conversations), len(filtered.kept), tally(filtered.drops), seconds=time.monotonic() - started)
