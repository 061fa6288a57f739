"""Evolved instructions: given ones made deeper or broader, by operators drawn for each; the operator is the prompt's topic.

After Evol-Instruct's idea. An evolution that says nothing new is dropped as `not_evolved`.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from pydantic import Field, model_validator

from schemas.engine import Sampling
from schemas.identity import derive_seed
from schemas.recipe import SamplingOptions
from schemas.records import Drop, Prompt, WorkItem, prompt_id
from tasks.craft.branching import branch_item
from tasks.craft.made import as_request, derive_prompt
from tasks.craft.seedtexts import SeedTexts, count_texts, text_files, text_items
from tasks.craft.turns import between_marks
from tasks.craft.wording import drop_text, fault_in_text
from tasks.technique import Ask, Made, Opening, Step

NAME = "evolve"

Operator = Literal["constraint", "depth", "concreteness", "reasoning", "breadth"]

_OPERATORS: dict[str, str] = {
    "constraint": "Make this instruction deeper by one more condition that the answer has to meet.",
    "depth": "Make this instruction deeper: it should ask further into the same matter, to causes, limits or exceptions.",
    "concreteness": "Make this instruction deeper by putting a particular case in place of what it says in general.",
    "reasoning": "Make this instruction deeper, so that it takes several steps of thought to answer, which depend on each other.",
    "breadth": "Make this instruction broader: write one for a rarer matter of the same field, about as long and as hard.",
}

files = text_files
items = count_texts


class Options(SeedTexts):
    """Which instructions, and how they are changed."""

    operators: tuple[Operator, ...] = Field(("constraint", "depth", "concreteness", "reasoning", "breadth"), min_length=1)
    """What may be done to an instruction."""
    per_seed: int = Field(2, ge=1)
    """Evolutions of each instruction, each by another operator."""
    category: str = Field("evolved", min_length=1)
    """The prompts' category in the release."""
    sampling: SamplingOptions = SamplingOptions()
    """How the writer samples."""

    @model_validator(mode="after")
    def _has_enough_operators(self) -> "Options":
        if len(set(self.operators)) < len(self.operators):
            raise ValueError("operators names one twice")
        if self.per_seed > len(self.operators):
            raise ValueError(f"per_seed is {self.per_seed}, but there are {len(self.operators)} operators")
        return self


def start(options: Options, opening: Opening) -> Iterator[WorkItem]:
    """Give a work item for each instruction."""
    return text_items(NAME, options, opening)


async def evolve(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Evolve an instruction by several operators."""
    drawn = sorted(options.operators, key=lambda name: derive_seed(NAME, item.item_id, name))[: options.per_seed]
    made = [await _evolve_by(item, operator, options, ask) for operator in drawn]
    return Made(tuple(one for one in made if isinstance(one, Prompt)), tuple(one for one in made if isinstance(one, Drop)))


async def _evolve_by(item: WorkItem, operator: str, options: Options, ask: Ask) -> Prompt | Drop:
    branch = branch_item(item, operator)
    request = f"{_OPERATORS[operator]} Keep its language. Answer with the new instruction and nothing else.\n{between_marks(item.value)}"
    told = await ask("writer", as_request(request), _sampling(options), label=f"evolve/{operator}")
    text = told.completion.text.strip()
    fault = fault_in_text(told) or ("not_evolved" if text.casefold() == item.value.casefold() else None)
    if fault:
        return drop_text(branch, fault, told, detail=f"evolved by {operator}")
    parent = prompt_id(NAME, as_request(item.value))
    child = replace(branch, lineage=replace(branch.lineage, parent=parent))
    return derive_prompt(child, as_request(text), category=options.category, uses=(told.use,))


def _sampling(options: Options) -> Sampling:
    return options.sampling.sampling()


STEPS = (Step("evolve", evolve, lambda o: o.per_seed, lambda o: o.per_seed, _sampling),)
