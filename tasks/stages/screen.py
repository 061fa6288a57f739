"""Stage `screen`: prompts that are copies, hold a benchmark's text or are too long to be answered go before any answer is paid for."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from infra.storage import read_records, read_table, write_records
from schemas.contract import from_table
from schemas.records import Drop, Prompt, drop_record, merge_provenance
from schemas.run import ShardReport
from tasks.decontamination.benchmarks import keep_benchmarks
from tasks.decontamination.screening import drop_contaminated_prompts
from tasks.dedup import find_copies, part_copies
from tasks.earlier import earlier_prompts
from tasks.progress import HUB
from tasks.requeue.inherit import goes_back_to
from tasks.run_state import Job, Run
from tasks.stages.embed import drop_alike, read_found, touch_of
from tasks.stages.fan_out import on_dask, stage_task
from tasks.stages.reshard import count_rows, reshard_prompts
from tasks.tally import tally


@stage_task
def screen_prompts(run: Run, parts: list[Path]) -> int:
    """Screen all prompts; give the number of shards of all later stages."""
    shards, options = -(-count_rows(parts) // run.loaded.recipe.shard_records), run.loaded.recipe.screen.dedup
    if options.semantic:
        run.committed("screen/embed", shards)  # planned first: the ledger's order of stages is the accounts'
    if len(run.committed("screen", shards)) < shards:
        if not goes_back_to(run, "screen"):
            reshard_prompts(parts, run.folder, "screen/in", shards)
        inputs = run.folder.parts("screen/in")
        earlier = earlier_prompts(run.loaded.recipe, run.settings.data)
        find_copies(run.client, inputs, run.folder.root / "screen" / "work", options, kind="prompt", earlier=earlier)
        drop_alike(run, "screen", inputs, options.semantic)
    benchmarks = keep_benchmarks(run.loaded.recipe.decontaminate, run.loaded.path.parent, run.folder.root / "benchmarks.parquet")
    work = partial(screen_shard, longest=run.loaded.longest_prompt(), benchmarks=benchmarks, semantic=options.semantic is not None)
    on_dask(run, "screen", work, range(shards))
    HUB.stage_ends("screen")
    return shards


def screen_shard(job: Job, shard: int, *, longest: int, benchmarks: Path | None, semantic: bool = False) -> ShardReport:
    """Screen one shard of prompts."""
    started = time.monotonic()
    given = read_table(job.folder.part("screen/in", shard))
    drops = read_records(job.folder.dropped("screen/in", shard), Drop)
    rows_in = given.num_rows + len(drops)
    parted = part_copies(given, read_found(job.folder.root, "screen", shard, semantic=semantic), "prompt", stage="screen")
    prompts, contaminated = drop_contaminated_prompts(from_table(parted.kept, Prompt), benchmarks)
    kept = [_touched(prompt, job) if semantic else prompt for prompt in prompts if estimate_tokens(prompt) <= longest]
    long = [
        drop_record(prompt, stage="screen", reason="prompt_too_long", detail=f"about {estimate_tokens(prompt)} tokens, at most {longest} fit")
        for prompt in prompts
        if estimate_tokens(prompt) > longest
    ]
    drops = sorted([*drops, *from_table(parted.drops, Drop), *contaminated, *long], key=lambda drop: drop.drop_id)
    write_records(job.folder.part("screen", shard), kept, Prompt)
    write_records(job.folder.dropped("screen", shard), drops, Drop)
    return ShardReport(rows_in, len(kept), tally(drops), seconds=time.monotonic() - started)


def _touched(prompt: Prompt, job: Job) -> Prompt:
    return replace(prompt, provenance=merge_provenance(prompt.provenance, touch_of(job, prompt.provenance.recipe)))


def estimate_tokens(prompt: Prompt) -> int:
    """Estimate a prompt's tokens: a token is about four characters of English, eight more a turn for the template's marks."""
    return sum(len(turn.content) // 4 + 8 for turn in prompt.messages)
