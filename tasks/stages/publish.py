"""Stage `publish`: the validated rows become a release, and the ledger says so."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from infra.cluster import run_tasks
from infra.storage import read_table, write_table
from schemas.records import PersonalKind
from schemas.run import ShardReport
from tasks.budgeting import note_if_cut
from tasks.prefect_view import Outcome
from tasks.progress import HUB
from tasks.redaction import redact_drops
from tasks.release.inputs import ReleaseInputs, read_inputs
from tasks.release.publish import publish_release
from tasks.report.samples import gather_samples
from tasks.report.scores import gather_scores
from tasks.run_state import Run, RunOutcome, finished_outcome
from tasks.stages.fan_out import stage_task
from tasks.stages.validate import merged_results

REDACTED = "publish/redacted"
"""Where the drops lie that are published without personal data."""


@stage_task
def publish_run(run: Run) -> RunOutcome:
    """Publish the run's release under the next version of its name; done again after a crash, it is the same version."""
    HUB.stage_begins("publish", shards=1, committed={})
    version = run.ledger.next_version(run.record.name, run_id=run.run_id)
    inputs = read_inputs(run.ledger, run.folder.data, run.run_id, cards=run.settings.cards)
    inputs = _with_redacted_drops(run, replace(inputs, version=version, cards=run.loaded.cards, expectations=merged_results(run.folder.root)))
    release = publish_release(inputs)
    run.ledger.record_release(release)
    note_if_cut(run)
    rows = sum(release.rows.values())
    HUB.shard_done("publish", ShardReport(rows, rows))
    HUB.stage_ends("publish")
    scores = gather_scores(inputs.scored, inputs.parts)
    run.view.tell_outcome(release, Outcome(tuple(inputs.stages), scores.histograms, gather_samples(inputs.parts)))
    HUB.say("closing")
    return finished_outcome(run.ledger, run.ledger.run(run.run_id), already=False)


def _with_redacted_drops(run: Run, inputs: ReleaseInputs) -> ReleaseInputs:
    """Publish drops without personal data, where the recipe redacts; the run's own files keep what `requeue` needs."""
    redact = inputs.recipe.redact
    if redact is None:
        return inputs
    paths = inputs.parts["dropped"]
    targets = [run.folder.part(REDACTED, number) for number in range(len(paths))]
    run_tasks(run.client, partial(redact_drop_file, kinds=redact.kinds), zip(paths, targets, strict=True))
    return replace(inputs, parts={**inputs.parts, "dropped": tuple(targets)})


def redact_drop_file(paths: tuple[Path, Path], *, kinds: tuple[PersonalKind, ...]) -> None:
    """Write a file of drops again, without personal data."""
    source, target = paths
    write_table(target, redact_drops(read_table(source), kinds))
