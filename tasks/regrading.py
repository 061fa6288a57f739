"""What a regrade is: a finished run's answers, another reward engine or other rules for what becomes of them. Nothing is generated."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra.ledger import Ledger
from infra.settings import Settings
from infra.storage import RunFolder
from infra.trees import link_tree
from schemas.errors import NotFoundError, RecipeError
from schemas.identity import content_id
from schemas.recipe import Recipe
from schemas.run import RunRecord
from tasks.catalogue import ROLES, LoadedRecipe, load_recipe, recast, rehearse, stem_of
from tasks.run_state import Run

GENERATING = frozenset({"writer", "responder", "user", "base"})
"""Roles whose part is done when a run's answers stand."""
GRADING = frozenset(ROLES) - GENERATING
_TAKEN = ("prompts", "screen", "responses")
"""Stages whose rows are taken over as they are."""
_FIXED = ("seed", "prompts", "screen", "responses", "shard_records")
"""Keys of a recipe that bear on those stages."""


@dataclass(frozen=True, slots=True)
class Regrade:
    """A finished run and the recipe under which its answers are graded again."""

    source: RunRecord
    loaded: LoadedRecipe
    """Its fingerprint names the new run: it is of the source run and of the recipe."""

    def descent(self) -> dict[str, Any]:
        """Describe it for the ledger and the manifest."""
        return {"kind": "regrade", "run": self.source.run_id, "release": self.source.release, "fingerprint": self.source.fingerprint}


def plan_regrade(settings: Settings, run: str, *, recipe: Path | None = None, reward: str | None = None) -> Regrade:
    """Find the run, and load the recipe that its answers are graded by: a given one, else the run's own file; with another reward model if one is named.

    Raises NotFoundError where there is no such run or recipe, or the run is not finished; RecipeError where the recipe would make other answers.
    """
    if not settings.database_url and not (settings.local / "ledger.db").exists():
        raise NotFoundError(f"no run {run!r}: nothing has run in {settings.data} yet; --data names another folder")
    with contextlib.closing(Ledger.open(settings.ledger_url)) as ledger:
        source = ledger.run(run)
        path = recipe or _own_recipe(ledger, source)
    if source.status != "finished":
        raise NotFoundError(f"run {source.run_id} is {source.status}, not finished: go on with it first, by the same `gristmill run`")
    if not RunFolder(settings.data, source.run_id).parts("responses"):
        raise NotFoundError(f"the answers of run {source.run_id} are gone from {settings.data / 'runs'}: run its recipe anew; paid calls are used again")
    loaded = load_recipe(path, cards=settings.cards)
    loaded = rehearse(loaded) if source.rehearsal and not loaded.rehearsal else loaded
    loaded = recast(loaded, {"reward": reward}, cards=settings.cards) if reward else loaded
    refuse_other_answers(source.recipe, loaded)
    return Regrade(source, replace(loaded, fingerprint=content_id("regrade", [source.run_id, loaded.fingerprint])))


def refuse_other_answers(before: Mapping[str, Any], after: LoadedRecipe) -> None:
    """Raise RecipeError where a recipe differs from a run's in what bears on its answers."""
    # Read and written anew, so that a key which recipes have got since stands at its default on both sides.
    old, new = Recipe.model_validate(before).model_dump(mode="json"), after.recipe.model_dump(mode="json")
    changed = [key for key in _FIXED if old[key] != new[key]]
    other = sorted(role for role in old["models"] | new["models"] if old["models"].get(role) != new["models"].get(role))
    changed += [f"models.{role}" for role in other if stem_of(role) in GENERATING or role in after.prompt_roles()]
    if changed:
        raise RecipeError(
            f"{', '.join(changed)} differ from the run's recipe and bear on its answers, which a regrade takes over as they are: put them back, "
            "or run the recipe with `gristmill run`, which uses every paid call again"
        )


def adopt_answers(run: Run, planned: Regrade) -> int:
    """Take over the source run's prompts, answers and accounts; give the number of shards. May be done again by a resumed run."""
    run.ledger.note(run.run_id, "descent", planned.descent())
    source = RunFolder(run.folder.data, planned.source.run_id)
    for stage in _TAKEN:
        link_tree(source.root / stage, run.folder.root / stage)
    stages = run.ledger.stages(source.run_id)
    run.ledger.take_over(run.run_id, source.run_id, {one.stage for one in stages if one.stage.partition("/")[0] in _TAKEN})
    return next(one.shards for one in stages if one.stage == "responses")


def _own_recipe(ledger: Ledger, source: RunRecord) -> Path:
    told = ledger.notes(source.run_id).get("recipe")
    if told is None or not Path(told["path"]).is_file():
        where = f" at {told['path']}" if told else ""
        raise NotFoundError(f"the recipe of run {source.run_id} is no longer{where or ' known by its path'}: give it with --recipe")
    return Path(told["path"])
