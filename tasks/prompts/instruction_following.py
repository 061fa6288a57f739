"""Instructions with constraints that a program can verify, attached to prompts of the recipe's own or from a file; answers are judged by `ifeval`.

The Nemotron-4 340B report (§3.2.1) attaches them to random synthetic prompts: `drawn_from` names the techniques that wrote these. A constraint that
contradicts the prompt, or one beside it, is passed over where a program can tell (tasks/craft/clashes.py).
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from schemas.engine import Sampling
from schemas.identity import derive_seed
from schemas.recipe import SamplingOptions
from schemas.records import Drop, Message, Messages, Prompt, Reference, WorkItem, drop_record, item_id
from tasks.craft.branching import branch_item
from tasks.craft.clashes import fits
from tasks.craft.constraints import CONSTRAINTS, Constraint, draw_constraint
from tasks.craft.made import as_request, derive_prompt
from tasks.craft.seedtexts import SeedTexts, count_texts, text_files, text_items
from tasks.craft.wording import drop_text, fault_in_text
from tasks.discovery import suggest
from tasks.technique import Ask, Drawing, Made, Opening, Step, Told

NAME = "instruction_following"

Form = Literal["single", "multi_turn", "second_turn"]


class Options(SeedTexts):
    """Which prompts, and which constraints. The prompts are drawn from the recipe's own, or read from a file."""

    drawn_from: tuple[str, ...] = ()
    """Techniques that stand before this one in the recipe: prompts that they wrote, of one turn and with no known answer, drawn by stable hash."""
    path: str = ""
    """Where no `drawn_from` is given: a file (.jsonl, .jsonl.gz, .parquet, .csv or .csv.gz) or a folder of .txt and .md files, relative to the recipe's
    folder."""
    source: str = ""
    """The name of the file's data set, for the rows' provenance and the data card."""
    licence: str = ""
    """Its licence by id; an unknown one is refused."""
    limit: int | None = Field(None, ge=1)
    """Prompts to draw, or texts to read from the start; default: all."""
    kinds: tuple[str, ...] = Field(CONSTRAINTS, min_length=1)
    """Kinds of constraint, by IFEval's ids."""
    per_seed: int = Field(1, ge=1)
    """Prompts made of each in each form, with constraints of other kinds each."""
    constraints: int = Field(1, ge=1, le=5)
    """Constraints of each prompt, of different kinds, that contradict neither it nor each other."""
    forms: tuple[Form, ...] = Field(("single",), min_length=1)
    """`single`: the constraint stands in the prompt. `multi_turn`: it is a rule for this answer and all further ones. `second_turn`: the prompt is
    answered first, and the answer is to be revised."""
    category: str = Field("instruction_following", min_length=1)
    """The prompts' category in the release."""
    sampling: SamplingOptions = SamplingOptions()
    """How the responder samples the answer that is to be revised."""

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
    def _has_one_origin(self) -> "Options":
        given = [name for name in ("path", "source", "licence") if getattr(self, name)]
        if self.drawn_from and given:
            raise ValueError(f"give drawn_from, or a file with {', '.join(given)}, not both")
        if not self.drawn_from and len(given) < 3:
            raise ValueError("say where the prompts are from: `drawn_from: [open_qa, …]`, or a file with path, source and licence")
        return self

    @model_validator(mode="after")
    def _has_enough_kinds(self) -> "Options":
        if self.per_seed * self.constraints > len(self.kinds):
            raise ValueError(f"per_seed x constraints is {self.per_seed * self.constraints}, but there are {len(self.kinds)} kinds")
        if len(set(self.forms)) < len(self.forms):
            raise ValueError("forms names one twice")
        return self


def files(options: Options, folder: Path) -> tuple[Path, ...]:
    """Name the files whose bytes are part of the run's identity."""
    return () if options.drawn_from else text_files(options, folder)


def items(options: Options, folder: Path) -> int:
    """Check the file, and count its texts."""
    return count_texts(options, folder)


def draws(options: Options) -> Drawing | None:
    """Say which prompts of the recipe's own it starts from."""
    return Drawing(options.drawn_from, options.limit) if options.drawn_from else None


def start(options: Options, opening: Opening) -> Iterator[WorkItem]:
    """Give a work item for each prompt."""
    return _draw_items(options, opening) if options.drawn_from else text_items(NAME, options, opening)


def _draw_items(options: Options, opening: Opening) -> Iterator[WorkItem]:
    """Draw prompts by a hash of their ids and of this entry's forms, so that entries of other forms draw others. Sources and models go with them."""
    written = {one.prompt_id: one for one in opening.written(options.drawn_from)}
    fit = (one for one in written.values() if one.reference is None and [turn.role for turn in one.messages] == ["user"])
    for one in sorted(fit, key=lambda one: derive_seed(NAME, *options.forms, one.prompt_id))[: options.limit]:
        value, lineage = one.messages[0].content, replace(one.lineage, parent=one.prompt_id, operator="constraint")
        yield WorkItem(item_id(NAME, 0, value, lineage), NAME, 0, value, lineage, one.provenance)


async def attach(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Make prompts with constraints that contradict neither the prompt nor each other."""
    sets = list(_draw_sets(item, options))
    made: list[Prompt | Drop] = []
    for form in options.forms:
        answer = await _answer(item, form, options, ask)
        made += [answer if isinstance(answer, Drop) else _constrain(item, drawn, form, options, answer) for drawn in sets] if sets else []
        made += [_lose(item, form, "no_fitting_constraint", nth) for nth in range(len(sets), options.per_seed)]
    return Made(tuple(one for one in made if isinstance(one, Prompt)), _apart(one for one in made if isinstance(one, Drop)))


def _draw_sets(item: WorkItem, options: Options) -> Iterator[tuple[Constraint, ...]]:
    """Draw `per_seed` sets of constraints that go together, no kind in two sets; fewer where there are no more."""
    left = sorted(options.kinds, key=lambda kind: derive_seed(NAME, item.item_id, kind))
    for _ in range(options.per_seed):
        drawn: list[Constraint] = []
        for kind in list(left):
            constraint = draw_constraint(kind, derive_seed(NAME, item.item_id, kind, "arguments"))
            if fits(constraint, item.value, drawn):
                drawn.append(constraint)
                left.remove(kind)
            if len(drawn) == options.constraints:
                yield tuple(drawn)
                break


async def _answer(item: WorkItem, form: Form, options: Options, ask: Ask) -> Told | Drop | None:
    """Have the prompt answered, where the constraint is to come in a second turn."""
    if form != "second_turn":
        return None
    told = await ask("responder", as_request(item.value), options.sampling.sampling(), label="answer")
    fault = fault_in_text(told)
    return drop_text(item, fault, told, detail="the answer that was to be revised") if fault else told


def _constrain(item: WorkItem, drawn: tuple[Constraint, ...], form: Form, options: Options, answer: Told | None) -> Prompt:
    value = json.dumps({"instruction_id_list": [one.kind for one in drawn], "kwargs": [one.arguments for one in drawn]}, ensure_ascii=False)
    branch = branch_item(item, "+".join(one.kind for one in drawn))
    branch = branch_item(branch, form) if form != "single" else branch
    messages = _messages(item.value, " ".join(one.text for one in drawn), form, answer)
    uses = (answer.use,) if answer else ()
    return derive_prompt(branch, messages, category=options.category, reference=Reference("ifeval", value), uses=uses)


def _messages(prompt: str, constraint: str, form: Form, answer: Told | None) -> Messages:
    if answer is not None:
        revise = Message("user", f"Revise your answer so that it keeps to this: {constraint}")
        return (*as_request(prompt), Message("assistant", answer.completion.text.strip()), revise)
    if form == "multi_turn":
        return as_request(f"Answer this and all my further questions in keeping with this rule: {constraint}\n\n{prompt}")
    return as_request(f"{prompt}\n\n{constraint}")


def _lose(item: WorkItem, form: Form, reason: str, nth: int) -> Drop:
    detail = "every kind of constraint that is left contradicts the prompt, or those beside it"
    return drop_record(branch_item(item, form), stage="prompts", reason=reason, detail=detail, nth=nth)


def _apart(drops: Iterable[Drop]) -> tuple[Drop, ...]:
    """Join drops that are the same: an answer that failed stands for all the prompts that it was for."""
    joined: dict[str, Drop] = {}
    for one in drops:
        joined[one.drop_id] = replace(one, rows=joined[one.drop_id].rows + one.rows) if one.drop_id in joined else one
    return tuple(joined.values())


def _sampling(options: Options) -> Sampling:
    return options.sampling.sampling()


STEPS = (Step("attach", attach, lambda o: o.per_seed * len(o.forms), lambda o: int("second_turn" in o.forms), _sampling, role="responder"),)
