"""Which drops are put through again: reasons as a person gives them, the stage at which they come back, the recipe they come back under."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from infra.ledger import Ledger
from infra.settings import Settings
from infra.storage import RunFolder
from schemas.errors import NotFoundError, RecipeError
from schemas.identity import content_id
from schemas.recipe import Recipe
from schemas.records import STAGES
from schemas.run import RunRecord, StageReport, fold_steps
from tasks.catalogue import LoadedRecipe, load_recipe, rehearse

BEARS_ON: Mapping[str, str] = {
    "title": "publish",
    "release": "publish",
    "pairs": "pair",
    "sft": "pair",
    "dedup": "dedup",
    "filters": "filter",
    "redact": "filter",
    "language": "filter",
    "score": "score",
    "responses": "responses",
    "screen": "screen",
    "decontaminate": "screen",
}
"""Key of a recipe to the first stage that it bears on; any other key bears on the first of all."""
_ROLES = {"reward": "score", "user": "responses", "responder": "screen", "embedding": "screen"}


@dataclass(frozen=True, slots=True)
class Class:
    """Drops of one stage for one reason."""

    stage: str
    reason: str
    rows: int

    def __str__(self) -> str:
        """Name it as `--reason` takes it."""
        return f"{self.stage}/{self.reason}"


@dataclass(frozen=True, slots=True)
class Requeue:
    """A run's drops that are put through again."""

    source: RunRecord
    classes: tuple[Class, ...]
    loaded: LoadedRecipe
    """The recipe they come back under; its fingerprint names the new run."""

    @property
    def stage(self) -> str:
        """The earliest stage that had dropped some of them."""
        return min((one.stage for one in self.classes), key=STAGES.index)

    def names(self, stage: str, reason: str) -> bool:
        """Say whether a drop is among those named."""
        return any((one.stage, one.reason) == (stage, reason) for one in self.classes)

    def descent(self) -> dict[str, Any]:
        """Describe it for the ledger and the manifest."""
        return {
            "kind": "requeue",
            "run": self.source.run_id,
            "release": self.source.release,
            "stage": self.stage,
            "reasons": [str(one) for one in self.classes],
        }


def list_classes(stages: Sequence[StageReport]) -> tuple[Class, ...]:
    """List what a run dropped, by stage and reason."""
    return tuple(Class(one.stage, reason, rows) for one in fold_steps(stages) for reason, rows in sorted(one.total.dropped.items()) if rows)


def plan_requeue(settings: Settings, run: str, reasons: Sequence[str], *, recipe: Path | None = None) -> Requeue:
    """Choose a finished run's drops by reason, `REASON` or `STAGE/REASON`, and the recipe that they come back under (default: the run's own file).

    Raises NotFoundError where there is no such run, reason or recipe, or the run is not finished; RecipeError where the recipe has changed in what bears on
    an earlier stage.
    """
    if not settings.database_url and not (settings.local / "ledger.db").exists():
        raise NotFoundError(f"no run {run!r}: nothing has run in {settings.data} yet; --data names another folder")
    with contextlib.closing(Ledger.open(settings.ledger_url)) as ledger:
        return _plan(ledger, settings, run, reasons, recipe)


def _plan(ledger: Ledger, settings: Settings, run: str, reasons: Sequence[str], recipe: Path | None) -> Requeue:
    source = ledger.run(run)
    if source.status != "finished":
        raise NotFoundError(f"run {source.run_id} is {source.status}, not finished: go on with it first, by the same `gristmill run`")
    classes = choose(list_classes(ledger.stages(source.run_id)), reasons, source.run_id)
    loaded = _load(recipe or _own_recipe(ledger, source), source, settings)
    found = Requeue(source, classes, loaded)
    if not RunFolder(settings.data, source.run_id).root.is_dir():
        raise NotFoundError(f"the folder of run {source.run_id} is gone from {settings.data / 'runs'}: what it dropped can't be put through again")
    refuse_changes(Recipe.model_validate(source.recipe), loaded.recipe, found.stage)
    named = content_id("requeue", [source.run_id, [str(one) for one in classes], loaded.fingerprint])
    return replace(found, loaded=replace(loaded, fingerprint=named))


def choose(classes: Sequence[Class], reasons: Sequence[str], run_id: str) -> tuple[Class, ...]:
    """Find the classes that reasons name. Raises NotFoundError saying what there is, with counts."""
    chosen: dict[Class, None] = {}
    for reason in reasons:
        found = [one for one in classes if reason in (one.reason, str(one))]
        if not found:
            raise NotFoundError(f"run {run_id} dropped nothing for {_near(reason, classes)}. It dropped:\n{counts(classes)}")
        chosen |= dict.fromkeys(found)
    if not chosen:
        raise NotFoundError(f"no reason given: name one with --reason. Run {run_id} dropped:\n{counts(classes)}")
    return tuple(one for one in classes if one in chosen)


def counts(classes: Iterable[Class]) -> str:
    """Write classes with their rows, one a line."""
    return "\n".join(f"  {one}  {one.rows:,}" for one in classes) or "  nothing"


def refuse_changes(before: Recipe, after: Recipe, stage: str) -> None:
    """Raise RecipeError where a recipe differs in what bears on an earlier stage: that one's rows are taken over as they are."""
    for key, first in _differences(before, after):
        if first == "prompts" or STAGES.index(first) < STAGES.index(stage):
            raise RecipeError(
                f"{key} differs from the run's recipe and bears on stage {first}, whose rows a requeue at stage {stage} takes over as they are: "
                + (
                    "run the recipe anew with `gristmill run`"
                    if first == "prompts"
                    else f"put it back, name a drop of stage {first} too, or run the recipe anew"
                )
            )
    if _shape(before) != _shape(after):
        raise RecipeError("responses may differ in options alone, not in techniques, samples or `only`: run the recipe anew with `gristmill run`")


def _differences(before: Recipe, after: Recipe) -> list[tuple[str, str]]:
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    models = {f"models.{role}": _ROLES.get(role, "prompts") for role in old["models"] | new["models"] if old["models"].get(role) != new["models"].get(role)}
    keys = {key: BEARS_ON.get(key, "prompts") for key in new if old.get(key) != new[key] and key != "models"}
    if "seed" in keys:
        keys["seed"] = "responses"  # prompts that are there are taken over; what is asked again is drawn anew
    return sorted((keys | models).items(), key=lambda one: (STAGES.index(one[1]), one[0]))


def _shape(recipe: Recipe) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(one.technique, one.samples, one.only) for one in recipe.responses]


def _load(path: Path, source: RunRecord, settings: Settings) -> LoadedRecipe:
    loaded = load_recipe(path, cards=settings.cards)
    return rehearse(loaded) if source.rehearsal and not loaded.rehearsal else loaded


def _own_recipe(ledger: Ledger, source: RunRecord) -> Path:
    told = ledger.notes(source.run_id).get("recipe")
    if told is None or not Path(told["path"]).is_file():
        where = f" at {told['path']}" if told else ""
        raise NotFoundError(f"the recipe of run {source.run_id} is no longer{where or ' known by its path'}: give it with --recipe")
    return Path(told["path"])


def _near(reason: str, classes: Sequence[Class]) -> str:
    meant = get_close_matches(reason, [one.reason for one in classes] + [str(one) for one in classes], n=1)
    return f"{reason!r} (did you mean {meant[0]!r}?)" if meant else repr(reason)
