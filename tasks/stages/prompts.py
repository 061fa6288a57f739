"""Stage `prompts`: each technique's steps in turn, each step's items cut into shards, a Prefect task a shard."""

import time
from dataclasses import replace
from pathlib import Path

from infra.storage import read_records, write_records
from schemas.errors import AccountingError
from schemas.records import Drop, Prompt, WorkItem, drop_record
from schemas.run import ShardReport
from tasks.catalogue import LoadedTechnique
from tasks.progress import HUB
from tasks.rollout import RecordAsk, Refused, hand_over, open_calls, run_records
from tasks.run_state import Run
from tasks.stages.fan_out import on_prefect, shard_task
from tasks.tally import tally
from tasks.technique import Made, Opening, Step


def write_prompts(run: Run) -> list[Path]:
    """Run every technique; give the Parquet parts of the prompts they wrote."""
    HUB.stage_begins("prompts", shards=0, committed={})
    parts = [part for number, technique in enumerate(run.loaded.prompts) for part in _run_technique(run, number, technique)]
    HUB.stage_ends("prompts")
    return parts


def _run_technique(run: Run, number: int, technique: LoadedTechnique) -> list[Path]:
    opening = Opening(run.provenance, run.loaded.recipe.seed, run.loaded.path.parent)
    base = f"prompts/{number}-{technique.name}"
    items: list[WorkItem] = list(technique.module.start(technique.options, opening))
    for index, step in enumerate(technique.module.STEPS):
        name = f"{base}/{index}-{step.name}"
        shards = _cut(run, name, items)
        committed = run.committed(name, shards)
        HUB.stage_grows("prompts", shards=shards, committed={n: share_of_stage(r, technique, index) for n, r in committed.items()})
        on_prefect(run, write_step_shard, name, shards, technique=technique, index=index, stage=name)
        parts = run.folder.parts(name)
        if index < len(technique.module.STEPS) - 1:
            items = [item for part in parts for item in read_records(part, WorkItem)]
    return parts


def _cut(run: Run, name: str, items: list[WorkItem]) -> int:
    """Write a step's items into input parts, sorted by id, and say how many."""
    size = run.loaded.recipe.shard_records
    items = sorted({item.item_id: item for item in items}.values(), key=lambda item: item.item_id)
    shards = -(-len(items) // size)
    for shard in range(shards):
        path = run.folder.part(f"{name}/in", shard)
        if not path.exists():
            write_records(path, items[shard * size : (shard + 1) * size], WorkItem)
    return shards


@shard_task
def write_step_shard(run: Run, technique: LoadedTechnique, index: int, stage: str, shard: int) -> ShardReport:
    """Run one step of one technique on one shard of its items."""
    started = time.monotonic()
    step: Step = technique.module.STEPS[index]
    items = read_records(run.folder.part(f"{stage}/in", shard), WorkItem)
    calls, journal = open_calls(run.session, run.folder, stage, shard, [item.item_id for item in items])
    with journal:
        made = run.session.run(run_records(items, lambda item: step.run(item, technique.options, RecordAsk(calls, run.cast, item.item_id))))
    results = [_settle(item, one, step, technique, index) for item, one in zip(items, made, strict=True)]
    out = [record for one in results for record in one.out]
    drops = [drop for one in results for drop in one.drops]
    last = index == len(technique.module.STEPS) - 1
    write_records(run.folder.part(stage, shard), out, Prompt if last else WorkItem)
    write_records(run.folder.dropped(stage, shard), drops, Drop)
    weight = rows_below(technique, index)
    requested = len(items) * step.yields(technique.options) * weight
    report = calls.report(rows_in=requested, rows_out=len(out) * weight, dropped=tally(drops), seconds=time.monotonic() - started)
    run.commit(stage, shard, report)
    HUB.shard_done("prompts", share_of_stage(report, technique, index))
    hand_over(run.folder, stage, shard)
    return report


def rows_below(technique: LoadedTechnique, index: int) -> int:
    """Say how many prompts one output of a step stands for."""
    weight = 1
    for step in technique.module.STEPS[index + 1 :]:
        weight *= step.yields(technique.options)
    return weight


def share_of_stage(report: ShardReport, technique: LoadedTechnique, index: int) -> ShardReport:
    """Reduce a step's report to what it adds to the whole stage: the first step's rows in, the last step's rows out, all drops.

    What one step puts out the next takes in, so those cancel: added up, requested = written + dropped.
    """
    last = index == len(technique.module.STEPS) - 1
    return replace(report, rows_in=report.rows_in if index == 0 else 0, rows_out=report.rows_out if last else 0)


def _settle(item: WorkItem, made: Made | Refused, step: Step, technique: LoadedTechnique, index: int) -> Made:
    """Check that a step accounts for every output it was asked for."""
    asked = step.yields(technique.options)
    weight = rows_below(technique, index)
    if isinstance(made, Refused):
        return Made(drops=(drop_record(item, stage="prompts", reason="engine_refused", detail=made.detail, rows=asked * weight),))
    lost = sum(drop.rows for drop in made.drops)
    if len(made.out) * weight + lost != asked * weight:
        raise AccountingError(
            f"{technique.name}/{step.name} owes {asked * weight} rows of {item.item_id}: {len(made.out)} outputs of {weight} made, {lost} rows dropped"
        )
    return made
