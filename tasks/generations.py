"""From one release to the model trained on it and the next generation's cast: an outside trainer is run once a round, and what it hands back is kept."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from infra.settings import Settings
from infra.shared import place
from infra.storage import write_text
from schemas.errors import RecipeError, TrainerError
from schemas.generation import Generation, Trained
from schemas.licences import find_licence
from schemas.model_card import ModelCard
from schemas.recipe import explain
from tasks.catalogue import LoadedRecipe, recast
from tasks.progress import HUB
from tasks.release.manifest import read_manifest
from tasks.run_state import RunOutcome

_TAIL = 600
"""Characters of a failed trainer's log that its error shows."""


def with_generation(settings: Settings, generation: Generation | None) -> Settings:
    """Add a generation's card and address to the settings; an address that the settings give for its card already wins."""
    if generation is None or not generation.model:
        return settings
    engines = settings.engines if generation.model in settings.addresses else f"{settings.engines} {generation.engines}".strip()
    changed = settings.model_copy(update={"engines": engines, "cards": Path(generation.cards) if generation.cards else settings.cards})
    changed.__dict__.pop("addresses", None)  # the copy has what was read from the engines before
    return changed


def cast_generation(loaded: LoadedRecipe, settings: Settings, generation: Generation | None) -> LoadedRecipe:
    """Put a generation's model in its roles."""
    return recast(loaded, generation.models, cards=settings.cards) if generation and generation.models else loaded


def next_generation(loaded: LoadedRecipe, settings: Settings, before: RunOutcome, *, trainer: str, number: int, roles: Sequence[str]) -> Generation:
    """Have a model trained on a release, and cast the generation after it; a round that was trained before is not trained again.

    Raises TrainerError where the trainer fails or hands back what can't be read, RecipeError where its model is no other one or may not bear its name.
    """
    base = _base_card(loaded, roles)
    rounds = Path("iterations") / loaded.fingerprint[:12] / f"round-{number}"
    work, release = settings.local / rounds, place(before.path or "")
    trained = _train(work, settings.data / rounds / "trained.json", {"GRISTMILL_RELEASE": str(release), "GRISTMILL_ROUND": str(number)}, trainer)
    card = _card_of(trained, base, release)
    cards = _write_card(work / "cards", card, settings.cards)
    return Generation(
        round=number,
        release=before.release,
        run=before.run_id,
        model=card.id,
        revision=card.revision,
        models={role: card.id for role in roles if role in loaded.cards},
        cards=str(cards),
        engines=f"{card.id}={trained.address}" if trained.address else "",
    )


def _base_card(loaded: LoadedRecipe, roles: Sequence[str]) -> ModelCard:
    found = [loaded.cards[role] for role in roles if role in loaded.cards]
    if not found or any(card.id != found[0].id for card in found):
        raise RecipeError(
            f"the roles {', '.join(roles)} are not all played by one model in this recipe: name with --role those that the trained one takes over"
        )
    return found[0]


def _train(work: Path, kept: Path, given: Mapping[str, str], trainer: str) -> Trained:
    told = work / "handed-back.json"
    if not kept.exists():
        HUB.say(f"round {given['GRISTMILL_ROUND']}: training")
        work.mkdir(parents=True, exist_ok=True)
        told.unlink(missing_ok=True)
        _call(trainer, work / "trainer.log", os.environ | given | {"GRISTMILL_TRAINED": str(told)})
        _read_trained(told, work / "trainer.log")
        write_text(kept, told.read_text(encoding="utf-8"))
    return _read_trained(kept, work / "trainer.log")


def _call(trainer: str, log: Path, environment: dict[str, str]) -> None:
    try:
        with log.open("wb") as file:
            done = subprocess.run(shlex.split(trainer), env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False)  # noqa: S603 - the user's own
    except (OSError, ValueError) as error:
        raise TrainerError(f"the trainer {trainer!r} can't be run: {error}") from error
    if done.returncode != 0:
        tail = log.read_text(encoding="utf-8", errors="replace")[-_TAIL:].strip()
        raise TrainerError(f"the trainer {trainer!r} ended with {done.returncode}; its log is {log} and ends:\n{tail}")


def _read_trained(path: Path, log: Path) -> Trained:
    try:
        return Trained.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TrainerError(f"the trainer wrote nothing to $GRISTMILL_TRAINED (a JSON object with id, revision and address); its log is {log}") from error
    except ValidationError as error:
        raise TrainerError(f"what the trainer wrote to {path} is wrong:\n{explain(error)}") from error


def _card_of(trained: Trained, base: ModelCard, release: Path) -> ModelCard:
    """Make the trained model's card: its base's, under its own name, with the licences that bind whoever trains on the release."""
    if (trained.id, trained.revision) == (base.id, base.revision):
        raise RecipeError(f"the trainer hands back {trained.id} of revision {trained.revision}, which the recipe has already: give the new model another name")
    asked = read_manifest(release)["obligations"]
    wanting = [prefix for prefix in asked["model_name_prefixes"] if not trained.id.lower().startswith(prefix.lower())]
    if wanting:
        raise RecipeError(
            f"by its licences, the name of a model trained on {release.parent.name}/{release.name} begins with {wanting[0]!r}, and it is {trained.id!r}"
        )
    binding = [one["id"] for one in asked["licences"] if find_licence(one["id"]).model_name_prefix]
    licences = tuple(dict.fromkeys((*base.licences, *binding)))
    title = f"{base.title}, trained on {release.parent.name}/{release.name}"
    return base.model_copy(update={"id": trained.id, "revision": trained.revision, "title": title, "licences": licences})


def _write_card(folder: Path, card: ModelCard, others: Path | None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(others.glob("*.yaml")) if others else ():
        shutil.copyfile(path, folder / path.name)
    write_text(folder / f"{card.id}.yaml", yaml.safe_dump(card.model_dump(mode="json"), sort_keys=False, allow_unicode=True))
    return folder
