"""The mission, top to bottom: from a recipe to a published release."""

from pathlib import Path

from prefect import flow

from infra.privacy import switch_off_telemetry
from infra.settings import read_settings
from schemas.generation import Generation
from tasks.catalogue import load_recipe
from tasks.catalogue import rehearse as on_rehearsal_models
from tasks.generations import cast_generation, with_generation
from tasks.prefect_view import name_run
from tasks.requeue.inherit import inherit
from tasks.requeue.plan import plan_requeue
from tasks.run_state import RunOutcome, open_run
from tasks.stages.dedup import dedup_conversations
from tasks.stages.filter import filter_conversations
from tasks.stages.pair import pair_conversations
from tasks.stages.prompts import write_prompts
from tasks.stages.publish import publish_run
from tasks.stages.ration import ration_answers, ration_rows
from tasks.stages.responses import answer_prompts
from tasks.stages.score import score_conversations
from tasks.stages.screen import screen_prompts
from tasks.stages.validate import validate_rows

switch_off_telemetry()


@flow(
    name="produce",
    flow_run_name=name_run,
    description="Make a data set from a recipe: prompts, answers, scores, filters, copies out, pairs, validation, release.",
    persist_result=False,
    validate_parameters=True,
)
def produce(
    recipe: str,
    data: str | None = None,
    fresh: bool = False,
    rehearse: bool = False,
    generation: Generation | None = None,
    requeue: dict[str, list[str]] | None = None,
) -> RunOutcome:
    """Make the recipe's release, resuming what an earlier run of the same recipe left; a finished run is returned as it is.

    Args:
        recipe: path of the recipe's YAML file
        data: folder of runs, calls and releases (default: GRISTMILL_DATA, else ./data)
        fresh: run anew although a run of this recipe is there; calls already paid for are used again
        rehearse: put the small built-in models in the place of the recipe's; every row is marked so
        generation: the round of an iteration, with the model that it brings (flows/iterate.py)
        requeue: a finished run's id, and the reasons for which its drops are put through again (`filter/refusal`, or `refusal` at any stage)

    """
    settings = with_generation(read_settings(data=data), generation)
    loaded = load_recipe(Path(recipe), cards=settings.cards)
    if rehearse:
        loaded = on_rehearsal_models(loaded)
    loaded = cast_generation(loaded, settings, generation)
    again = next((plan_requeue(settings, run, reasons, recipe=Path(recipe)) for run, reasons in (requeue or {}).items()), None)
    with open_run(again.loaded if again else loaded, settings, fresh=fresh, descent=generation.descent() if generation else None) as run:
        if isinstance(run, RunOutcome):
            return run
        if again:
            inherit(run, again)
        parts = write_prompts(run)
        shards = screen_prompts(run, parts)
        ration_answers(run, shards)
        answer_prompts(run, shards)
        score_conversations(run, shards)
        filter_conversations(run, shards)
        dedup_conversations(run, shards)
        ration_rows(run, shards)
        pair_conversations(run, shards)
        validate_rows(run, shards)
        return publish_run(run)
