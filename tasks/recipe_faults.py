"""What can be wrong with a recipe whose parts are each right by themselves; and how faults are collected, to be told all at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from schemas.errors import GristmillError, RecipeError
from schemas.licences import find_licence, refuse_use
from schemas.model_card import ModelCard
from schemas.recipe import SplitOptions, explain
from tasks.discovery import suggest
from tasks.grading import reduction_of

if TYPE_CHECKING:
    from tasks.catalogue import LoadedFilter, LoadedRecipe, LoadedResponse


@dataclass
class Faults:
    """Faults found so far, a line each."""

    lines: list[str] = field(default_factory=list)

    @contextmanager
    def at(self, where: str) -> Iterator[None]:
        """Note what is raised in here, and go on."""
        try:
            yield
        except ValidationError as error:
            self.lines.append(explain(error, where))
        except GristmillError as error:
            self.lines.append(f"  {where}: {error}")

    def add(self, where: str, what: str) -> None:
        """Note a fault."""
        self.lines.append(f"  {where}: {what}")


def check_whole(loaded: "LoadedRecipe", faults: Faults) -> None:
    """Check what no part of a recipe shows by itself."""
    _check_roles(loaded, faults)
    _check_use(loaded, faults)
    _check_reasoning(loaded, faults)
    _check_window(loaded, faults)
    _check_rewards(loaded, faults)
    _check_outcome(loaded, faults)
    _check_sets(loaded, faults)
    _check_rows(loaded, faults)


def _check_roles(loaded: "LoadedRecipe", faults: Faults) -> None:
    wanted = {role: "its techniques ask it" for role, _ in loaded.samplings()}
    if loaded.recipe.score is not None:
        wanted["reward"] = "score asks it; `score: null` leaves scoring out"
    for where, options in (("screen.dedup", loaded.recipe.screen.dedup), ("dedup", loaded.recipe.dedup)):
        if options.semantic is not None:
            wanted["embedding"] = f"{where}.semantic asks it; `semantic: null` leaves it out"
    for role, why in sorted(wanted.items()):
        if role not in loaded.cards:
            faults.add("models", f"no model plays the role {role!r}: {why}")


def _check_use(loaded: "LoadedRecipe", faults: Faults) -> None:
    """Refuse models and seeds whose licences forbid what the data is declared to be for."""
    use = loaded.recipe.use
    for role, card in loaded.cards.items():
        with faults.at(f"models.{role}"):
            for name in card.licences:
                refuse_use(find_licence(name), use, what=card.id)
    for number, one in enumerate(loaded.prompts):
        with faults.at(f"prompts.{number}"):
            for source, name in named_sources(one.options):
                refuse_use(find_licence(name), use, what=f"the seed source {source!r}")


def named_sources(options: Any) -> Iterator[tuple[str, str]]:
    """Find each (source, licence) that a technique's options name, at whatever depth."""
    if not isinstance(options, BaseModel):
        return
    if hasattr(options, "source") and hasattr(options, "licence") and options.source:  # empty where a technique draws from prompts of the recipe
        yield options.source, options.licence
    for _, value in options:
        for one in value if isinstance(value, tuple | list) else (value,):
            yield from named_sources(one)


def _check_reasoning(loaded: "LoadedRecipe", faults: Faults) -> None:
    for role, sampling in loaded.samplings():
        card = loaded.cards.get(role)
        if sampling.reasoning is not None and card is not None and card.reasoning is None:
            faults.add(
                f"models.{role}", f"the card of {card.id} names no way to switch reasoning: leave `reasoning` out of its sampling, or choose another model"
            )


def _check_window(loaded: "LoadedRecipe", faults: Faults) -> None:
    pairs = loaded.recipe.pairs
    if pairs and pairs.strategy == "margin_window" and loaded.recipe.score is None:
        faults.add("pairs.strategy", "margin_window looks at rewards, and `score: null` leaves scoring out: score, or choose another strategy")


def _check_rewards(loaded: "LoadedRecipe", faults: Faults) -> None:
    facts = loaded.cards["reward"].reward if "reward" in loaded.cards else None
    readers = [(f"filters.{n}", one.name) for n, one in enumerate(loaded.filters) if getattr(one.function, "reads_reward", False)]
    judges = [(f"pairs.judges.{n}", one.name) for n, one in enumerate(loaded.judges) if getattr(one.module, "READS_REWARD", False)]
    if loaded.recipe.score is None:
        for where, name in (*readers, *judges):
            faults.add(where, f"{name} reads rewards, and `score: null` leaves scoring out: score, or name other {where.partition('.')[0]}")
        return
    if facts is None:
        return
    with faults.at("score"):
        reduction_of(loaded.recipe.score, loaded.cards["reward"])
        if loaded.recipe.score.marks:
            _refuse_absolute("score.marks", loaded.cards["reward"])
    for number, one in enumerate(loaded.filters):
        if getattr(one.function, "reads_reward", False):
            with faults.at(f"filters.{number}"):
                _check_threshold(one, loaded.cards["reward"])


def _check_threshold(one: "LoadedFilter", card: ModelCard) -> None:
    facts = card.reward
    assert facts is not None
    _refuse_absolute(one.name, card)
    attribute = one.parameters["attribute"]
    if attribute not in ("reward", *facts.attributes):
        raise RecipeError(f"{card.id} gives no {attribute!r}: it gives {', '.join(facts.attributes)}")


def _refuse_absolute(what: str, card: ModelCard) -> None:
    """Refuse one mark for all prompts on numbers that rank answers to one prompt, as the model's own card says of them."""
    if card.reward is not None and not card.reward.comparable_across_prompts:
        raise RecipeError(
            f"{what} sets one mark for all prompts, and {card.id}'s numbers compare answers to one prompt only: use the judge reward_margin "
            "(rank and margin within a prompt); its card has comparable_across_prompts: false"
        )


def _check_outcome(loaded: "LoadedRecipe", faults: Faults) -> None:
    made = {one.name for one in loaded.prompts}
    for number, response in enumerate(loaded.responses):
        for key, name in _foreign(response, made):
            faults.add(f"responses.{number}.{key}", f"{name!r} is no prompt technique of this recipe: {suggest(name, tuple(sorted(made)))}")
    for number, one in enumerate(loaded.prompts):
        if not any(response.answers(one.name) for response in loaded.responses):
            faults.add(f"prompts.{number}", f"nothing in responses answers the prompts of {one.name}")
    if loaded.recipe.pairs is None and loaded.recipe.sft is None:
        faults.add("sft", "neither instruction data nor pairs are to be made: give `sft`, `pairs` or both")


def _foreign(response: "LoadedResponse", made: set[str]) -> list[tuple[str, str]]:
    """Name the prompt techniques that a response entry speaks of and the recipe lacks, each with the key where it stands."""
    return [(key, name) for key in ("only", "apart_from") for name in sorted(set(getattr(response, key)) - made)]


def _check_sets(loaded: "LoadedRecipe", faults: Faults) -> None:
    """Check that each of the two sets of prompts has somewhere to go."""
    recipe = loaded.recipe
    if recipe.split is not None and (recipe.sft is None or recipe.pairs is None):
        faults.add("split", "it parts prompts for instruction data from prompts for preferences: give both `sft` and `pairs`, or leave it out")
    for number, one in enumerate(loaded.prompts):
        if recipe.pairs is None and getattr(getattr(one.options, "columns", None), "unsafe", None):
            faults.add(f"prompts.{number}.columns.unsafe", "prompts flagged as unsafe serve for preferences alone, and the recipe makes none")
    for number, response in enumerate(loaded.responses):
        if response.serves and recipe.split is None:
            faults.add(f"responses.{number}.serves", "there is one set of prompts only: give `split`, or leave this out")
    for purpose in ("sft", "preferences") if recipe.split else ():
        if not any(response.serves in (None, purpose) for response in loaded.responses):
            faults.add("responses", f"nothing answers the prompts for {purpose}: each entry `serves` the other set")
    if recipe.split:
        _check_unparted(loaded, recipe.split, faults)


def _check_unparted(loaded: "LoadedRecipe", split: SplitOptions, faults: Faults) -> None:
    """Check the techniques whose prompts are all for one set: they are there, and something answers them for it."""
    made = tuple(dict.fromkeys(one.name for one in loaded.prompts))
    for purpose, other in (("sft", split.preferences), ("preferences", split.sft)):
        for name in getattr(split, purpose):
            if name not in made:
                faults.add(f"split.{purpose}", f"{name!r} is no prompt technique of this recipe: {suggest(name, made)}")
            elif name in other:
                faults.add(f"split.{purpose}", f"{name!r} is named for both sets")
            elif not any(one.answers(name) and one.serves in (None, purpose) for one in loaded.responses):
                faults.add(f"split.{purpose}", f"nothing in responses answers the prompts of {name} for {purpose}")


def _check_rows(loaded: "LoadedRecipe", faults: Faults) -> None:
    """Refuse a number of rows that the recipe can't make, whatever becomes of its prompts."""
    recipe = loaded.recipe
    wanted = recipe.release.rows.wanted if recipe.release.rows else {}
    for name, made in (("sft", recipe.sft), ("preferences", recipe.pairs)):
        if name in wanted and made is None:
            faults.add(f"release.rows.{name}", f"the recipe makes no {name}: give `{'sft' if name == 'sft' else 'pairs'}`")
    most = sum(one.requested * one_response.samples for one in loaded.prompts for one_response in loaded.responses if one_response.answers(one.name))
    if wanted.get("sft", 0) > most:
        faults.add(
            "release.rows.sft", f"{wanted['sft']:,} rows are asked for, and the recipe's prompts have {most:,} answers at most: ask its techniques for more"
        )
