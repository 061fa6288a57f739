"""A finished run's answers to another release: scored, filtered, freed from copies, paired, validated and published again; nothing is generated."""

from pathlib import Path

from prefect import flow

from infra.privacy import switch_off_telemetry
from infra.settings import read_settings
from tasks.prefect_view import name_regrade
from tasks.regrading import GRADING, adopt_answers, plan_regrade
from tasks.run_state import RunOutcome, open_run
from tasks.stages.dedup import dedup_conversations
from tasks.stages.filter import filter_conversations
from tasks.stages.pair import pair_conversations
from tasks.stages.publish import publish_run
from tasks.stages.ration import ration_rows
from tasks.stages.score import score_conversations
from tasks.stages.validate import validate_rows

switch_off_telemetry()


@flow(
    name="regrade",
    flow_run_name=name_regrade,
    description="Score, filter, pair and publish a finished run again under another reward engine or other rules, without generating anything.",
    persist_result=False,
    validate_parameters=True,
)
def regrade(run: str, recipe: str | None = None, reward: str | None = None, data: str | None = None, fresh: bool = False) -> RunOutcome:
    """Grade a finished run's answers again, and publish what comes of it as the next version.

    Args:
        run: the finished run's id, or the beginning of it
        recipe: path of a recipe that makes the same answers (default: the run's own file, as it is now)
        reward: card id of another reward model
        data: folder of runs, calls and releases (default: GRISTMILL_DATA, else ./data)
        fresh: once more, although this was done before; grades already paid for are used again

    """
    settings = read_settings(data=data)
    planned = plan_regrade(settings, run, recipe=Path(recipe) if recipe else None, reward=reward)
    with open_run(planned.loaded, settings, fresh=fresh, roles=GRADING) as opened:
        if isinstance(opened, RunOutcome):
            return opened
        shards = adopt_answers(opened, planned)
        score_conversations(opened, shards)
        filter_conversations(opened, shards)
        dedup_conversations(opened, shards)
        ration_rows(opened, shards)
        pair_conversations(opened, shards)
        validate_rows(opened, shards)
        return publish_run(opened)
