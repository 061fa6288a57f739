"""What a requeue takes over from the run that it goes back to: all files and committed shards before its stage, and the drops that stay dropped.

Everything here may be done again, by a resumed run: files are put in place whole, stages are taken over once.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from infra.storage import RunFolder, read_records, read_table, write_records, write_table
from infra.trees import link_file, link_tree
from schemas.errors import StoppedError
from schemas.records import STAGES, Drop
from schemas.run import ShardReport
from tasks.requeue.plan import Requeue
from tasks.tally import tally

if TYPE_CHECKING:
    from tasks.run_state import Job, Run

INPUTS = {"screen": "screen/in", "score": "responses", "filter": "score", "dedup": "filter", "pair": "dedup"}
"""Stage on Dask to the folder that it reads."""
CARRIED = "requeue/carried"
"""Where the drops lie that stay as they are, by shard."""
AGAIN = "requeue/again"
"""Where those lie that are put through again, as they were dropped."""
KEPT = "requeue/kept"
"""Where the answers lie that stage `responses` has already."""


def inherit(run: "Run", requeue: Requeue) -> None:
    """Take over what the requeued run had before the stage at which its drops come back; of stage `prompts`, nothing but its calls."""
    run.ledger.note(run.run_id, "descent", requeue.descent())
    run.requeue = requeue
    source, before = RunFolder(run.folder.data, requeue.source.run_id), STAGES[: STAGES.index(requeue.stage)]
    for stage in before:
        link_tree(source.root / stage, run.folder.root / stage)
    known = [one.stage for one in run.ledger.stages(source.run_id)]
    run.ledger.take_over(run.run_id, source.run_id, {stage for stage in known if stage.partition("/")[0] in before})
    if requeue.stage == "prompts":
        return
    for shard in range(_shards(run, requeue)):
        _part_drops(source, run.folder, requeue, shard)
        if requeue.stage == "responses":
            link_file(source.part("responses", shard), run.folder.part(KEPT, shard))
        else:
            _leave_carried_out(source, run.folder, requeue.stage, shard)


def goes_back_to(run: "Run", stage: str) -> bool:
    """Say whether a run is a requeue whose drops come back at this stage."""
    return run.requeue is not None and run.requeue.stage == stage


def restore_inputs(run: "Run", stage: str) -> None:
    """Give the requeue's stage its whole input back once it is done: the report looks at it."""
    if stage in INPUTS and goes_back_to(run, stage):
        source = RunFolder(run.folder.data, run.requeue.source.run_id)  # type: ignore[union-attr]
        for path in source.parts(INPUTS[stage]):
            link_file(path, run.folder.root / INPUTS[stage] / path.name)


def with_carried(job: "Job", shard: int, *, work: "Callable[[Job, int], ShardReport | StoppedError]", stage: str) -> ShardReport | StoppedError:
    """Do a shard of the requeue's stage, and add the drops that stay dropped to its account."""
    report = work(job, shard)
    if isinstance(report, StoppedError):
        return report
    drops = join_drops(job.folder, shard, read_records(job.folder.dropped(stage, shard), Drop))
    write_records(job.folder.dropped(stage, shard), drops, Drop)
    return account(report, job.folder, shard, drops)


def join_drops(folder: RunFolder, shard: int, drops: Sequence[Drop]) -> list[Drop]:
    """Join a shard's new drops, their attempts counted on, with those that stay."""
    tried = {(one.record_id, one.sample_index): one.attempts for one in read_records(folder.part(AGAIN, shard), Drop)}
    counted = [replace(one, attempts=one.attempts + tried.get((one.record_id, one.sample_index), 0)) for one in drops]
    return sorted([*read_records(folder.part(CARRIED, shard), Drop), *counted], key=lambda one: one.drop_id)


def account(report: ShardReport, folder: RunFolder, shard: int, drops: Sequence[Drop]) -> ShardReport:
    """Add the rows that stay dropped to a shard's report."""
    carried = sum(one.rows for one in read_records(folder.part(CARRIED, shard), Drop))
    return replace(report, rows_in=report.rows_in + carried, dropped=tally(drops))


def _shards(run: "Run", requeue: Requeue) -> int:
    return next(one.shards for one in run.ledger.stages(requeue.source.run_id) if one.stage == requeue.stage)


def _part_drops(source: RunFolder, folder: RunFolder, requeue: Requeue, shard: int) -> None:
    """Part a shard's drops into those named and those that stay; copies under one id are told apart by the stage itself each time."""
    drops = read_records(source.dropped(requeue.stage, shard), Drop)
    again = [one for one in drops if requeue.names(one.stage, one.reason)]
    write_records(folder.part(AGAIN, shard), again, Drop)
    stays = [one for one in drops if not requeue.names(one.stage, one.reason) and one.points_to != one.record_id]
    write_records(folder.part(CARRIED, shard), stays, Drop)


def _leave_carried_out(source: RunFolder, folder: RunFolder, stage: str, shard: int) -> None:
    table = read_table(source.part(INPUTS[stage], shard))
    carried = read_table(folder.part(CARRIED, shard), ["record_id"])["record_id"]
    stays = pc.is_in(table.column(0), value_set=carried.combine_chunks().cast(pa.string()))
    write_table(folder.part(INPUTS[stage], shard), table.filter(pc.invert(stays)))
    if stage == "screen":
        link_file(source.dropped(INPUTS[stage], shard), folder.dropped(INPUTS[stage], shard))
