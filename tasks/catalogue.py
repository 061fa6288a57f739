"""Loads a recipe whole: every module it names is found, every option checked, every model card read, before any work.

All faults are told in one message. What comes out is plain values that travel to a Dask worker; modules are looked up again there by name.
"""

import hashlib
import importlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pydantic import BaseModel

from schemas.engine import Sampling
from schemas.errors import NotFoundError, RecipeError
from schemas.identity import content_id
from schemas.licences import find_licence
from schemas.model_card import ModelCard, load_card
from schemas.recipe import Recipe, ResponseEntry, read_recipe
from tasks.craft.conversing import system_choices
from tasks.craft.turns import estimate_tokens
from tasks.decontamination.benchmarks import benchmark_file, check_benchmark
from tasks.discovery import Kind, find_filter, find_module, options_of, suggest
from tasks.purposes import Purpose
from tasks.recipe_faults import Faults, check_whole
from tasks.technique import Drawing
from tasks.wordlists import WordList

ROLES = {
    "writer": "instruct",
    "responder": "instruct",
    "user": "instruct",
    "judge": "instruct",
    "base": "base",
    "reward": "reward",
    "embedding": "embedding",
}
"""What a recipe's `models` may name, and the card role that each one takes. `responder_b`, `responder.weak` and the like are further responders."""


@dataclass(frozen=True, slots=True)
class LoadedTechnique:
    """A prompt technique with its checked options."""

    name: str
    options: Any
    items: int
    """First work items that `start` gives."""

    @property
    def module(self) -> ModuleType:
        """The technique's module."""
        return importlib.import_module(f"tasks.prompts.{self.name}")

    @property
    def requested(self) -> int:
        """Prompts that it is asked for."""
        rows = self.items
        for step in self.module.STEPS:
            rows *= step.yields(self.options)
        return rows


@dataclass(frozen=True, slots=True)
class LoadedResponse:
    """A response technique with its checked options."""

    name: str
    options: Any
    samples: int
    only: tuple[str, ...] = ()
    apart_from: tuple[str, ...] = ()
    role: str = "responder"
    """Which of the recipe's models plays the responder."""
    serves: Literal["sft", "preferences"] | None = None

    @property
    def module(self) -> ModuleType:
        """The technique's module."""
        return importlib.import_module(f"tasks.responses.{self.name}")

    def samplings(self) -> tuple[tuple[str, Sampling], ...]:
        """Say which of the recipe's roles are asked, and how they sample."""
        return tuple((self.role if role == "responder" else role, how) for role, how in self.module.samplings(self.options))

    @property
    def system_tokens(self) -> int:
        """Bound the tokens of the system message that it adds, by estimate."""
        return max((estimate_tokens(one) for one in system_choices(getattr(self.options, "system", ())) if one), default=0)

    def answers(self, technique: str) -> bool:
        """Say whether it answers the prompts of a technique."""
        return (not self.only or technique in self.only) and technique not in self.apart_from

    def serves_for(self, purpose: Purpose) -> bool:
        """Say whether it answers the prompts that are for a purpose."""
        return self.serves is None or purpose in ("both", self.serves)


@dataclass(frozen=True, slots=True)
class LoadedFilter:
    """A filter with its checked parameters."""

    name: str
    parameters: Mapping[str, Any]
    bars_row: bool
    """True: a hit is dropped. False: a hit is kept, but gated."""

    @property
    def function(self) -> Callable[..., Any]:
        """The filter's function."""
        return find_filter(self.name)


@dataclass(frozen=True, slots=True)
class LoadedJudge:
    """A judge with its checked options."""

    name: str
    options: Any

    @property
    def module(self) -> ModuleType:
        """The judge's module."""
        return importlib.import_module(f"tasks.judges.{self.name}")

    @property
    def asks(self) -> bool:
        """Whether it asks a language model."""
        return hasattr(self.module, "consult")


@dataclass(frozen=True, slots=True)
class LoadedRecipe:
    """A recipe with everything it names."""

    recipe: Recipe
    path: Path
    prompts: tuple[LoadedTechnique, ...]
    responses: tuple[LoadedResponse, ...]
    filters: tuple[LoadedFilter, ...]
    judges: tuple[LoadedJudge, ...]
    cards: Mapping[str, ModelCard]
    """Role to card."""
    fingerprint: str
    """Of the recipe with its defaults, the cards and the bytes of seed and benchmark files; not of its path, comments or key order."""

    @property
    def rehearsal(self) -> bool:
        """Whether any of its models is a rehearsal one."""
        return any(card.rehearsal for card in self.cards.values())

    def samplings(self) -> tuple[tuple[str, Sampling], ...]:
        """List how each role will be asked, for checking engines."""
        steps = ((one, step) for one in self.prompts for step in one.module.STEPS)
        asked = [(call.role, call.sampling) for one, step in steps for call in step.asks(one.options)]
        asked += [pair for one in self.responses for pair in one.samplings()]
        asked += [pair for one in self.judges if one.asks for pair in one.module.samplings(one.options)]
        return tuple(dict.fromkeys(asked))

    def prompt_roles(self) -> frozenset[str]:
        """Name the roles that have a hand in the prompts: of a technique with a judge of its own, the judge as well."""
        return frozenset(call.role for one in self.prompts for step in one.module.STEPS for call in step.asks(one.options))

    def raw_roles(self) -> frozenset[str]:
        """Name the roles that are asked raw prompts."""
        return frozenset(step.role for one in self.prompts for step in one.module.STEPS if step.raw)

    def longest_prompt(self) -> int:
        """Say how many tokens a prompt may have so that an answer still fits."""
        if self.recipe.screen.max_prompt_tokens is not None:
            return self.recipe.screen.max_prompt_tokens
        asked = [(role, how.max_tokens, one.system_tokens) for one in self.responses for role, how in one.samplings() if role == one.role]
        return min(self.cards[role].context_tokens - most - system for role, most, system in asked)

    def shortest_context(self) -> int:
        """Say how many tokens a conversation may have, whichever model it is by."""
        return min(self.cards[one.role].context_tokens for one in self.responses)


def load_recipe(path: Path, *, cards: Path | None = None) -> LoadedRecipe:
    """Read a recipe and everything it names. Raises RecipeError with all faults; `cards` is a folder of further model cards."""
    return _load(read_recipe(path), path, cards)


def rehearse(loaded: LoadedRecipe) -> LoadedRecipe:
    """Cast the same recipe with the rehearsal models that stand in for its own."""
    for role, card in loaded.cards.items():
        if not card.rehearsal and card.stands_in is None:
            raise RecipeError(f"models.{role}: no rehearsal model stands in for {card.id}: name one in its card's `stands_in`")
    models = {role: card.stands_in or card.id for role, card in loaded.cards.items()}
    return _load(loaded.recipe.model_copy(update={"models": models}), loaded.path, None)


def recast(loaded: LoadedRecipe, models: Mapping[str, str], *, cards: Path | None = None) -> LoadedRecipe:
    """Cast the same recipe with other models in some roles."""
    return _load(loaded.recipe.model_copy(update={"models": {**loaded.recipe.models, **models}}), loaded.path, cards)


def stem_of(role: str) -> str:
    """Name the role that a further one is of: `responder` of `responder.weak`."""
    return re.split(r"[._-]", role)[0]


def find_verifier(name: str) -> ModuleType:
    """Find a verifier's module, whose `verify(answer, expected)` gives a Verdict."""
    return find_module("verifiers", name)


def _load(recipe: Recipe, path: Path, cards: Path | None) -> LoadedRecipe:
    faults = Faults()
    cast = _load_cards(recipe, cards, faults)
    prompts = tuple(_load_prompts(recipe, path.parent, faults))
    responses = tuple(_load_responses(recipe, faults))
    filters = tuple(_load_filters(recipe, path.parent, faults))
    judges = tuple(_load_judges(recipe, faults))
    _check_benchmarks(recipe, path.parent, faults)
    loaded = LoadedRecipe(recipe, path, prompts, responses, filters, judges, cast, "")
    if not faults.lines:
        check_whole(loaded, faults)
    if faults.lines:
        raise RecipeError(f"the recipe {path} is wrong:\n" + "\n".join(faults.lines))
    return LoadedRecipe(recipe, path, prompts, responses, filters, judges, cast, _fingerprint(loaded))


def _load_cards(recipe: Recipe, folder: Path | None, faults: Faults) -> dict[str, ModelCard]:
    cards = {}
    for role, name in recipe.models.items():
        with faults.at(f"models.{role}"):
            cards[role] = _load_role(role, name, folder)
    return cards


def _load_role(role: str, name: str, folder: Path | None) -> ModelCard:
    kind = ROLES.get(stem_of(role))
    if kind is None:
        raise RecipeError(f"unknown role: {suggest(role, tuple(ROLES))}")
    try:
        card = load_card(name, folder)
    except NotFoundError as error:
        raise RecipeError(str(error)) from error
    if card.role != kind:
        raise RecipeError(f"{card.id} is a model of the kind {card.role!r}, this role takes one of the kind {kind!r}")
    for licence in card.licences:
        find_licence(licence)
    return card


def _checked(kind: Kind, name: str, raw: dict[str, Any], folder: Path | None = None) -> BaseModel:
    options = options_of(kind, name)
    unknown = [key for key in raw if key not in options.model_fields]
    if unknown:
        raise RecipeError(f"{name} has no option {unknown[0]!r}: {suggest(unknown[0], tuple(options.model_fields))}")
    return options.model_validate(raw, context={"folder": folder} if folder else None)


def _load_prompts(recipe: Recipe, folder: Path, faults: Faults) -> Iterator[LoadedTechnique]:
    before: list[LoadedTechnique] = []
    for number, entry in enumerate(recipe.prompts):
        with faults.at(f"prompts.{number}"):
            options = _checked("prompts", entry.technique, entry.options)
            before.append(LoadedTechnique(entry.technique, options, _count_items(entry.technique, options, folder, before)))
            yield before[-1]


def _count_items(name: str, options: Any, folder: Path, before: Sequence[LoadedTechnique]) -> int:
    """Say how many first work items a technique has: of prompts drawn from earlier techniques, as many as these are asked for at most."""
    module = find_module("prompts", name)
    drawing: Drawing | None = module.draws(options) if hasattr(module, "draws") else None
    if drawing is None:
        return module.items(options, folder) if hasattr(module, "items") else 1
    known = tuple(dict.fromkeys(one.name for one in before))
    for wanted in drawing.techniques:
        if wanted not in known:
            raise RecipeError(f"no technique before this one writes the prompts of {wanted!r}: {suggest(wanted, known)}")
    there = sum(one.requested for one in before if one.name in drawing.techniques)
    return there if drawing.most is None else min(there, drawing.most)


def _load_responses(recipe: Recipe, faults: Faults) -> Iterator[LoadedResponse]:
    for number, entry in enumerate(recipe.responses):
        with faults.at(f"responses.{number}"):
            for given in _expand_samplings(entry):
                options = _checked("responses", entry.technique, given)
                yield LoadedResponse(entry.technique, options, entry.samples, entry.only, entry.apart_from, entry.role, entry.serves)


def _expand_samplings(entry: ResponseEntry) -> list[dict[str, Any]]:
    """Make of an entry with several settings one set of options for each."""
    if not entry.samplings:
        return [entry.options]
    if "sampling" in entry.options:
        raise RecipeError("give `sampling` or `samplings`, not both")
    return [entry.options | {"sampling": one.model_dump(exclude_unset=True)} for one in entry.samplings]


def _load_filters(recipe: Recipe, folder: Path, faults: Faults) -> Iterator[LoadedFilter]:
    for number, entry in enumerate(recipe.filters):
        with faults.at(f"filters.{number}"):
            given = entry.options
            if "language" in options_of("filters", entry.filter).model_fields:
                given = {"language": recipe.language} | given
            yield LoadedFilter(entry.filter, dict(_checked("filters", entry.filter, given, folder)), entry.bars == "row")


def _load_judges(recipe: Recipe, faults: Faults) -> Iterator[LoadedJudge]:
    for number, entry in enumerate(recipe.pairs.judges if recipe.pairs else ()):
        with faults.at(f"pairs.judges.{number}"):
            yield LoadedJudge(entry.judge, _checked("judges", entry.judge, entry.options))


def _check_benchmarks(recipe: Recipe, folder: Path, faults: Faults) -> None:
    for number, entry in enumerate(recipe.decontaminate):
        with faults.at(f"decontaminate.{number}"):
            check_benchmark(entry, folder)


def _fingerprint(loaded: LoadedRecipe) -> str:
    whole = _without_later_defaults(loaded.recipe.model_dump(mode="json", exclude={"budget"}))
    whole["prompts"] = [[one.name, one.options.model_dump(mode="json")] for one in loaded.prompts]
    whole["responses"] = [
        [one.name, one.options.model_dump(mode="json"), one.samples, one.only, one.role, *(given for given in (one.apart_from, one.serves) if given)]
        for one in loaded.responses
    ]
    whole["filters"] = [[one.name, {name: _plain(value) for name, value in one.parameters.items()}, one.bars_row] for one in loaded.filters]
    if loaded.recipe.pairs:
        whole["pairs"]["judges"] = [[one.name, one.options.model_dump(mode="json")] for one in loaded.judges]
    cards = {role: card.model_dump(mode="json", exclude={"title", "source", "stands_in"}) for role, card in loaded.cards.items()}
    files = [_sha256(file) for one in loaded.prompts if hasattr(one.module, "files") for file in one.module.files(one.options, loaded.path.parent)]
    benchmarks = [_sha256(benchmark_file(one, loaded.path.parent)) for one in loaded.recipe.decontaminate]
    if not benchmarks:  # a recipe that names none is the run that it was before there was the key
        del whole["decontaminate"]
    return content_id("recipe", [whole, cards, files + benchmarks])


_LATER: tuple[tuple[str, str, Any], ...] = (
    ("", "use", "training"),
    ("split", "sft", []),
    ("split", "preferences", []),
    ("", "split", None),
    ("", "redact", None),
    ("", "diversity", None),
    ("release", "rows", None),
    ("score", "attribute", None),
    ("score", "marks", None),
    ("score", "appraisal", None),
    ("dedup", "against", []),
    ("screen.dedup", "against", []),
    ("dedup", "semantic", None),
    ("screen.dedup", "semantic", None),
)
"""Keys that recipes have got since the first release, and their defaults: a recipe that leaves them so is the run that it was before."""


def _without_later_defaults(whole: dict[str, Any]) -> dict[str, Any]:
    for part, key, default in _LATER:
        holder: Any = whole
        for name in filter(None, part.split(".")):
            holder = holder[name]
        if holder and holder[key] == default:
            del holder[key]
    return whole


def _plain(value: Any) -> Any:
    return value.words if isinstance(value, WordList) else value


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
