"""Evolved instructions: given ones made deeper or broader over several rounds, by operators drawn for each round.

After Evol-Instruct's idea (arXiv 2304.12244). Every round's instruction is a prompt of its own; its topics are the operators that led to it, its
parent the instruction before. An evolution that says nothing new is dropped as `not_evolved`, and the rounds after it with it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from pydantic import Field, model_validator

from schemas.engine import Sampling
from schemas.identity import derive_seed
from schemas.recipe import SamplingOptions
from schemas.records import Drop, ModelUse, Prompt, WorkItem, prompt_id
from tasks.craft.branching import branch_item
from tasks.craft.made import as_request, derive_prompt
from tasks.craft.seedtexts import SeedTexts, count_texts, text_files, text_items
from tasks.craft.turns import between_marks
from tasks.craft.wording import drop_text, fault_in_request, fault_in_text
from tasks.technique import Ask, Made, Opening, Step, Told

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
    """What may be done to an instruction; `breadth` makes it broader, the others deeper."""
    per_seed: int = Field(2, ge=1)
    """Lines of evolution that begin at each instruction, each by another operator."""
    rounds: int = Field(1, ge=1, le=20)
    """Evolutions one after the other in each line; each is a prompt."""
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
    """Evolve an instruction along several lines."""
    first = sorted(options.operators, key=lambda name: derive_seed(NAME, item.item_id, name))[: options.per_seed]
    made = [one for operator in first for one in await _evolve_line(item, operator, options, ask)]
    return Made(tuple(one for one in made if isinstance(one, Prompt)), tuple(one for one in made if isinstance(one, Drop)))


async def _evolve_line(item: WorkItem, first: Operator, options: Options, ask: Ask) -> list[Prompt | Drop]:
    """Evolve an instruction round after round, until one fails: its drop stands for the rounds that are left."""
    line: list[Prompt | Drop] = []
    text, branch = item.value, item
    uses: tuple[ModelUse, ...] = ()
    for nth, operator in enumerate(_operators(item, first, options)):
        branch = branch_item(branch, operator)
        request = f"{_OPERATORS[operator]} Keep its language. Answer with the new instruction and nothing else.\n{between_marks(text)}"
        told = await ask("writer", as_request(request), _sampling(options), label=f"evolve/{first}" + (f"/{nth}" if nth else ""))
        fault = _fault(told, text)
        if fault:
            detail = f"evolved by {operator} in round {nth + 1}"
            return [*line, drop_text(branch, fault, told, detail=detail, rows=options.rounds - nth)]
        uses = (*uses, told.use)
        child = _child(branch, text, operator, nth + 1)
        text = told.completion.text.strip()
        line.append(derive_prompt(child, as_request(text), category=options.category, uses=uses))
    return line


def _operators(item: WorkItem, first: Operator, options: Options) -> Iterator[Operator]:
    """Draw a line's operators, none twice in a row where there is another."""
    yield first
    last = first
    for nth in range(1, options.rounds):
        others = [one for one in options.operators if one != last] or [last]
        last = others[derive_seed(NAME, item.item_id, first, nth) % len(others)]
        yield last


def _child(branch: WorkItem, parent: str, operator: str, generation: int) -> WorkItem:
    lineage = replace(branch.lineage, parent=prompt_id(NAME, as_request(parent)), operator=operator, generation=generation)
    return replace(branch, lineage=lineage)


def _fault(told: Told, before: str) -> str | None:
    text = told.completion.text
    same = " ".join(text.split()).casefold() == " ".join(before.split()).casefold()
    return fault_in_text(told) or ("not_evolved" if same else fault_in_request(text))


def _sampling(options: Options) -> Sampling:
    return options.sampling.sampling()


STEPS = (Step("evolve", evolve, lambda o: o.per_seed * o.rounds, lambda o: o.per_seed * o.rounds, _sampling),)
