"""Instructions with a constraint that a program can verify, attached to prompts from a file; answers are judged by the verifier `ifeval`."""

import json
from collections.abc import Iterator

from pydantic import Field, field_validator, model_validator

from schemas.engine import Sampling
from schemas.identity import derive_seed
from schemas.records import Prompt, Reference, WorkItem
from tasks.craft.branching import branch_item
from tasks.craft.constraints import CONSTRAINTS, Constraint, draw_constraint
from tasks.craft.made import as_request, derive_prompt
from tasks.craft.seedtexts import SeedTexts, count_texts, text_files, text_items
from tasks.discovery import suggest
from tasks.technique import Ask, Made, Opening, Step

NAME = "instruction_following"

files = text_files
items = count_texts


class Options(SeedTexts):
    """Which prompts, and which constraints."""

    kinds: tuple[str, ...] = Field(CONSTRAINTS, min_length=1)
    """Kinds of constraint, by IFEval's ids."""
    per_seed: int = Field(1, ge=1)
    """Prompts made of each, with a constraint of another kind each."""
    category: str = Field("instruction_following", min_length=1)
    """The prompts' category in the release."""

    @field_validator("kinds")
    @classmethod
    def _are_known(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        for kind in kinds:
            if kind not in CONSTRAINTS:
                raise ValueError(f"unknown kind {kind!r}: {suggest(kind, CONSTRAINTS)}")
        if len(set(kinds)) < len(kinds):
            raise ValueError("kinds names one twice")
        return kinds

    @model_validator(mode="after")
    def _has_enough_kinds(self) -> "Options":
        if self.per_seed > len(self.kinds):
            raise ValueError(f"per_seed is {self.per_seed}, but there are {len(self.kinds)} kinds")
        return self


def start(options: Options, opening: Opening) -> Iterator[WorkItem]:
    """Give a work item for each prompt."""
    return text_items(NAME, options, opening)


async def attach(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Attach constraints, each of another kind."""
    kinds = sorted(options.kinds, key=lambda kind: derive_seed(NAME, item.item_id, kind))[: options.per_seed]
    return Made(tuple(_constrain(item, draw_constraint(kind, derive_seed(NAME, item.item_id, kind, "arguments")), options) for kind in kinds))


def _constrain(item: WorkItem, constraint: Constraint, options: Options) -> Prompt:
    value = json.dumps({"instruction_id_list": [constraint.kind], "kwargs": [constraint.arguments]}, ensure_ascii=False)
    branch = branch_item(item, constraint.kind)
    return derive_prompt(branch, as_request(f"{item.value}\n\n{constraint.text}"), category=options.category, reference=Reference("ifeval", value))


STEPS = (Step("attach", attach, lambda o: o.per_seed, lambda o: 0, lambda o: Sampling()),)
