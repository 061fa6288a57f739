"""Stage `filter`: each shard of conversations freed from benchmarks' texts, then the recipe's filters, one pass for all. On Dask."""

import time
from functools import partial
from pathlib import Path

from infra.storage import read_table, write_records, write_table
from schemas.recipe import RedactOptions
from schemas.records import Conversation, Drop, Prompt
from schemas.run import ShardReport
from tasks.catalogue import LoadedFilter
from tasks.decontamination.benchmarks import keep_benchmarks
from tasks.decontamination.screening import drop_contaminated_conversations
from tasks.filtering import filter_table
from tasks.progress import HUB
from tasks.redaction import redact_table
from tasks.run_state import Job, Run
from tasks.stages.fan_out import on_dask, stage_task
from tasks.tally import tally


@stage_task
def filter_conversations(run: Run, shards: int, *, upto: int | None = None) -> None:
    """Filter all conversations, or those of the first shards."""
    benchmarks = keep_benchmarks(run.loaded.recipe.decontaminate, run.loaded.path.parent, run.folder.root / "benchmarks.parquet")
    work = partial(filter_shard, filters=run.loaded.filters, benchmarks=benchmarks, redact=run.loaded.recipe.redact)
    on_dask(run, "filter", work, range(shards if upto is None else upto), of=shards)
    HUB.stage_ends("filter")


def filter_shard(job: Job, shard: int, *, filters: tuple[LoadedFilter, ...], benchmarks: Path | None, redact: RedactOptions | None = None) -> ShardReport:
    """Filter one shard, and redact what is kept and the prompts beside it. Filters see the text as it was."""
    started = time.monotonic()
    conversations = read_table(job.folder.part("score", shard))
    clean, contaminated = drop_contaminated_conversations(conversations, benchmarks)
    filtered = filter_table(clean, filters)
    drops = sorted([*contaminated, *filtered.drops], key=lambda drop: drop.drop_id)
    if redact:
        prompts = redact_table(read_table(job.folder.part("score/prompts", shard)), Prompt, redact.kinds)
        write_table(job.folder.part("filter/prompts", shard), prompts)
    write_table(job.folder.part("filter", shard), redact_table(filtered.kept, Conversation, redact.kinds) if redact else filtered.kept)
    write_records(job.folder.dropped("filter", shard), drops, Drop)
    return ShardReport(conversations.num_rows, filtered.kept.num_rows, tally(drops), seconds=time.monotonic() - started)
