"""Stage `prompts`: each technique's steps in turn, each step's items cut into shards, a Prefect task a shard."""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from infra.storage import read_records, write_records
from infra.trees import remove_tree
from schemas.errors import AccountingError
from schemas.records import Drop, Prompt, WorkItem, drop_record
from schemas.run import ShardReport
from tasks.catalogue import LoadedTechnique
from tasks.dedup import find_copies, read_copies
from tasks.diversity import Cell, Stop, cell_of, crowded, keep_stops, read_stops, stopped_before, waves
from tasks.progress import HUB
from tasks.rollout import RecordAsk, Refused, hand_over, open_calls, run_records
from tasks.run_state import Run
from tasks.stages.fan_out import on_prefect, shard_task, traced
from tasks.stages.stopping import stoppable
from tasks.tally import tally
from tasks.technique import Made, Opening, Step

_MOST_OUTPUTS = 16_384
"""Outputs of one shard of a step: it is in memory whole, and a colony of Genetic Instruct, one item, may have thousands of offspring."""


@traced
def write_prompts(run: Run) -> list[Path]:
    """Run every technique; give the Parquet parts of the prompts they wrote."""
    HUB.stage_begins("prompts", shards=0, committed={})
    parts: list[Path] = []
    for number, technique in enumerate(run.loaded.prompts):
        parts += _run_technique(run, number, technique, tuple(parts))
    HUB.stage_ends("prompts")
    return parts


def _run_technique(run: Run, number: int, technique: LoadedTechnique, before: tuple[Path, ...]) -> list[Path]:
    opening = Opening(run.provenance, run.loaded.recipe.seed, run.loaded.path.parent, partial(_read_written, before))
    base = f"prompts/{number}-{technique.name}"
    items: list[WorkItem] = list(technique.module.start(technique.options, opening))
    for index, step in enumerate(technique.module.STEPS):
        name = f"{base}/{index}-{step.name}"
        shards = _cut(run, name, items, step.yields(technique.options))
        committed = run.committed(name, shards)
        HUB.stage_grows("prompts", shards=shards, committed={n: share_of_stage(r, technique, index) for n, r in committed.items()})
        last = index == len(technique.module.STEPS) - 1
        for upto in waves(shards, run.loaded.recipe.diversity.waves if last and run.loaded.recipe.diversity else 1):
            on_prefect(run, write_step_shard, name, shards, upto=upto, technique=technique, index=index, stage=name)
            if upto < shards:
                _stop_crowded(run, name, upto)
        parts = run.folder.parts(name)
        if not last:
            items = [item for part in parts for item in read_records(part, WorkItem)]
    return parts


def _read_written(parts: tuple[Path, ...], techniques: tuple[str, ...]) -> Iterator[Prompt]:
    """Read the prompts that some techniques have written."""
    return (prompt for part in parts for prompt in read_records(part, Prompt) if prompt.technique in techniques)


def _stop_crowded(run: Run, stage: str, upto: int) -> None:
    """Decide which cells get no more calls, going by the prompts of the first shards; once."""
    options, path = run.loaded.recipe.diversity, _stops(run, stage)
    stops = read_stops(path)
    if options is None or any(one.upto == upto for one in stops):
        return
    inputs, work = [run.folder.part(stage, shard) for shard in range(upto)], run.folder.root / stage / "copies"
    remove_tree(work)
    find_copies(run.client, inputs, work, run.loaded.recipe.screen.dedup, kind="prompt")
    depth = min(options.depth, min((len(item.lineage.topics) for item in read_records(run.folder.part(f"{stage}/in", 0), WorkItem)), default=0))
    written: list[tuple[Cell, bool]] = []
    for shard, part in enumerate(inputs):
        copied = set(read_copies(work, shard).records["row"].tolist())
        written += [(cell_of(prompt.lineage, depth), row in copied) for row, prompt in enumerate(read_records(part, Prompt))]
    remove_tree(work)
    keep_stops(path, (*stops, Stop(upto, crowded(written, options))))


def _stops(run: Run, stage: str) -> Path:
    return run.folder.root / stage / "stopped.json"


def _leave_alone(run: Run, stage: str, shard: int, items: list[WorkItem], rows: int) -> tuple[list[WorkItem], list[Drop]]:
    """Part a shard's items into those to work on and the drops of those whose cell is stopped."""
    stopped = stopped_before(read_stops(_stops(run, stage)), shard)
    if not stopped:
        return items, []
    depth = max(map(len, stopped))
    kept = [item for item in items if cell_of(item.lineage, depth) not in stopped]
    out = [item for item in items if cell_of(item.lineage, depth) in stopped]
    why = "too many of its prompts so far are copies of others: "
    return kept, [drop_record(one, stage="prompts", reason="diversity_budget", detail=why + " / ".join(cell_of(one.lineage, depth)), rows=rows) for one in out]


def items_a_shard(shard_records: int, yields: int) -> int:
    """Say how many items a shard of a step has, each of which yields so many outputs."""
    return max(1, min(shard_records, _MOST_OUTPUTS // yields))


def _cut(run: Run, name: str, items: list[WorkItem], yields: int) -> int:
    """Write a step's items, each of which yields so many outputs, into input parts, sorted by id, and say how many."""
    size = items_a_shard(run.loaded.recipe.shard_records, yields)
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
    given = read_records(run.folder.part(f"{stage}/in", shard), WorkItem)
    weight = rows_below(technique, index)
    items, stopped = _leave_alone(run, stage, shard, given, step.yields(technique.options) * weight)
    gate, name = run.allowance("prompts").gate, technique.name
    calls, journal = open_calls(run.session, run.folder, stage, shard, [item.item_id for item in items], gate=gate)
    with journal:
        asked = run_records(
            items,
            lambda item: step.run(item, technique.options, RecordAsk(calls, run.cast, item.item_id, technique=name)),
            gate=gate,
            technique=lambda _: f"{name}/{step.name}",
            sorted_out=getattr(technique.module, "SORTED_OUT", ()),
        )
        made = run.session.run(stoppable(run.run_id, asked))
    results = [_settle(item, one, step, technique, index) for item, one in zip(items, made, strict=True)]
    out = [record for one in results for record in one.out]
    drops = [*stopped, *(drop for one in results for drop in one.drops)]
    last = index == len(technique.module.STEPS) - 1
    write_records(run.folder.part(stage, shard), out, Prompt if last else WorkItem)
    write_records(run.folder.dropped(stage, shard), drops, Drop)
    requested = len(given) * step.yields(technique.options) * weight
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
        return Made(drops=(drop_record(item, stage="prompts", reason=made.reason, detail=made.detail, rows=asked * weight),))
    lost = sum(drop.rows for drop in made.drops)
    if len(made.out) * weight + lost != asked * weight:
        raise AccountingError(
            f"{technique.name}/{step.name} owes {asked * weight} rows of {item.item_id}: {len(made.out)} outputs of {weight} made, {lost} rows dropped"
        )
    return made
