"""What a technique module looks like, and what it is handed: the `ask` that reaches a model.

A prompt technique (a module in tasks/prompts/) offers

    Options                       a `Strict` class: its keys in a recipe
    start(options, opening)       its first work items, from nothing or from files
    STEPS                         one or more `Step`s; each maps one item to items, the last one to Prompts
    items(options, folder)        optional: how many first work items there are, where that is not one; checks the files
    files(options, folder)        optional: the files whose bytes are part of the run's identity
    draws(options)                optional: a `Drawing`, where it starts from prompts that earlier techniques of the recipe have written
    SORTED_OUT                    optional: drop reasons by which it does its work, so that many of them are no failure and stop no run early

A response technique (a module in tasks/responses/) offers

    Options
    calls(options)                engine calls for one sample, for planning
    respond(prompt, sample_index, options, ask)      -> Conversation | Drop

Modules are found by their folder; none is listed anywhere. The first line of a module's docstring is its purpose as `gristmill techniques` shows it.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from schemas.engine import Completion, Sampling
from schemas.records import Conversation, Drop, Messages, ModelUse, Prompt, Provenance, WorkItem


@dataclass(frozen=True, slots=True)
class Told:
    """A model's answer, and the note of its hand in whatever is made of it."""

    completion: Completion
    use: ModelUse


@dataclass(frozen=True, slots=True)
class GoOn:
    """A raw text for a model to go on with as it stands, without a chat template: what base models are asked."""

    text: str


@dataclass(frozen=True, slots=True)
class UserTurn:
    """The opening of an empty user turn in the model's own format: an aligned model completes it with what a user would say (Magpie)."""

    system: str = ""
    """A system message before it, to steer what is asked."""

    @property
    def text(self) -> str:
        """What is shown of it where the model's format is not known."""
        return self.system


Question = Messages | GoOn | UserTurn
"""What a model can be asked: the next assistant turn, or, raw, to go on. A step that asks raw says so (`Step.raw`)."""


class Ask(Protocol):
    """Ask the model that plays a role; each call is journalled, and its seed follows from the record and the label.

        told = await ask("writer", messages, options.sampling.sampling(), label="topics")
        told = await ask("base", GoOn("Request 1:"), options.sampling.sampling(), label="continue")

    `label` must be unique among the calls made for one record and must not depend on the order in which they finish.
    Raises EngineError for what asking again can't cure; the runner makes that record a drop named `engine_refused` or `garbled_answer`.
    """

    async def __call__(self, role: str, question: Question, sampling: Sampling, *, label: str) -> Told:
        """Ask for the next assistant turn, or for a raw prompt's continuation."""
        ...


@dataclass(frozen=True, slots=True)
class Drawing:
    """Which prompts of the recipe's own a technique starts from."""

    techniques: tuple[str, ...]
    """Whose prompts; each stands before it in the recipe."""
    most: int | None
    """How many it takes; None: all that there are."""


def nothing_written(techniques: tuple[str, ...]) -> Iterator[Prompt]:
    """Have no earlier prompts."""
    return iter(())


@dataclass(frozen=True, slots=True)
class Opening:
    """What a technique starts from."""

    provenance: Provenance
    """The run's: recipe fingerprint and rehearsal mark, no models yet."""
    seed: int
    """The recipe's."""
    folder: Path
    """The recipe's folder: seed paths are relative to it."""
    written: Callable[[tuple[str, ...]], Iterator[Prompt]] = nothing_written
    """Of some techniques' names: the prompts that these have written in this run, before copies are taken out."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a step made of one item. `len(out) + len(drops)` is what `Step.yields` promised."""

    out: tuple[WorkItem | Prompt, ...] = ()
    drops: tuple[Drop, ...] = ()


@dataclass(frozen=True, slots=True)
class StepCalls:
    """Calls of one item to one role."""

    role: str
    calls: int
    sampling: Sampling


def nobody_else(options: Any) -> tuple[StepCalls, ...]:
    """Say that a step asks one role alone."""
    return ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a prompt technique."""

    name: str
    run: Callable[[WorkItem, Any, Ask], Awaitable[Made]]
    """(item, options, ask) -> Made"""
    yields: Callable[[Any], int]
    """Of the options: how many outputs one item is asked for."""
    calls: Callable[[Any], int]
    """Of the options: engine calls one item costs when all goes well."""
    sampling: Callable[[Any], Sampling]
    """Of the options: how those calls sample, for planning tokens and checking engines."""
    role: str = "writer"
    raw: bool = False
    """Whether it asks raw prompts: only engines that take them unchanged can serve its role, which is checked at planning."""
    besides: Callable[[Any], tuple[StepCalls, ...]] = nobody_else
    """Of the options: what one item costs beside `calls`: other roles, or the same one sampled otherwise."""

    def asks(self, options: Any) -> tuple[StepCalls, ...]:
        """List all that one item costs when all goes well."""
        own = StepCalls(self.role, self.calls(options), self.sampling(options))
        return tuple(one for one in (own, *self.besides(options)) if one.calls)


class ResponseTechnique(Protocol):
    """The shape of a module in tasks/responses/."""

    Options: type[Any]

    def calls(self, options: Any) -> int:
        """Engine calls for one sample."""
        ...

    async def respond(self, prompt: Prompt, sample_index: int, options: Any, ask: Ask) -> Conversation | Drop:
        """Answer a prompt once."""
        ...
