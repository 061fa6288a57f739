"""Weak to strong: a release, a model trained on it outside, the next release by that model, and so on."""

from pathlib import Path

from prefect import flow

from flows.produce import produce
from infra.privacy import switch_off_telemetry
from infra.settings import read_settings
from schemas.generation import Generation
from tasks.catalogue import load_recipe
from tasks.catalogue import rehearse as on_rehearsal_models
from tasks.generations import next_generation
from tasks.prefect_view import name_run
from tasks.run_state import RunOutcome

switch_off_telemetry()


@flow(
    name="iterate",
    flow_run_name=name_run,
    description="Make a release, have a model trained on it, and make the next release by that model: as many rounds as wanted.",
    persist_result=False,
    validate_parameters=True,
)
def iterate(
    recipe: str, trainer: str, rounds: int = 2, roles: tuple[str, ...] = ("writer", "responder", "user"), data: str | None = None, rehearse: bool = False
) -> list[RunOutcome]:
    """Make one release a round; what was made and trained before is taken as it is.

    Args:
        recipe: path of the recipe's YAML file
        trainer: command that trains on the release in $GRISTMILL_RELEASE and writes {id, revision, address} to $GRISTMILL_TRAINED
        rounds: releases in all, the first by the recipe's own models
        roles: the recipe's roles that each trained model takes over
        data: folder of runs, calls and releases (default: GRISTMILL_DATA, else ./data)
        rehearse: put the small built-in models in the place of the recipe's own

    """
    settings = read_settings(data=data)
    loaded = load_recipe(Path(recipe), cards=settings.cards)
    if rehearse:
        loaded = on_rehearsal_models(loaded)
    outcomes = [produce(recipe, data, rehearse=rehearse, generation=Generation(round=1))]
    for number in range(2, rounds + 1):
        generation = next_generation(loaded, settings, outcomes[-1], trainer=trainer, number=number, roles=roles)
        outcomes.append(produce(recipe, data, rehearse=rehearse, generation=generation))
    return outcomes
