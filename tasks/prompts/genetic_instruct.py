"""Genetic Instruct: programming problems that evolve in colonies by crossover and mutation; a model judges which of them are fit to live on.

After arXiv 2407.21077 and the Nemotron-4 340B report (its 800K samples of code). A colony starts from problems drawn out of a file. In each
generation every offspring is either a crossover (a new problem in the manner of several parents: wider) or a mutation (one parent
rewritten: deeper); the responder solves it, and the judge says whether problem and solution are fit. The fit join the colony and may be parents in the next
generation; the others are drops with the judge's reason. Colonies know nothing of each other: they are merged, and copies among them taken out,
by the stage `screen`. The solutions are for the judge alone; answers are the recipe's responses.
"""

import asyncio
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from schemas.engine import Sampling
from schemas.errors import EngineError, RecipeError
from schemas.identity import derive_seed
from schemas.recipe import SamplingOptions, Share
from schemas.records import Drop, Lineage, ModelUse, Prompt, WorkItem, drop_record, item_id, prompt_id
from tasks.craft.hearing import JUDGE
from tasks.craft.made import as_request, derive_prompt
from tasks.craft.seedtexts import SeedText, SeedTexts, count_texts, read_texts, seed_item, text_files
from tasks.craft.turns import between_marks
from tasks.craft.wording import fault_in_request, fault_in_text
from tasks.technique import Ask, Made, Opening, Step, StepCalls, Told
from tasks.verifiers.python_tests import find_code

NAME = "genetic_instruct"
SORTED_OUT = frozenset({"unfit"})

Mutation = Literal["requirement", "rare_requirement", "reasoning", "wrong_lead", "complexity"]

_MUTATIONS: dict[str, str] = {
    "requirement": "Add one more requirement that a solution has to meet; about ten words more.",
    "rare_requirement": "Put a rarer and more particular requirement in the place of a common one.",
    "reasoning": "If it can be solved in a step or two, make it need several steps that build on each other.",
    "wrong_lead": "Add a piece of code with a mistake in it, for the reader to be on guard against; say that it is not to be trusted.",
    "complexity": "Ask for a better bound on time or memory than the plain solution has, and say which; not every problem has room for it.",
}
"""After WizardCoder's five kinds of mutation, in words of our own."""

_VERDICT = re.compile(r"^\W*verdict\W+(fit|unfit)\b", re.IGNORECASE | re.MULTILINE)

files = text_files


class Options(SeedTexts):
    """Which problems to start from, and how they evolve."""

    language: str = Field("Python", min_length=1)
    """The programming language. Python's solutions must compile to be fit."""
    colonies: int = Field(2, ge=1)
    """Populations that evolve side by side."""
    population: int = Field(8, ge=2)
    """Problems that each colony starts from, drawn out of the file."""
    generations: int = Field(2, ge=1)
    """Rounds of evolution."""
    offspring: int = Field(8, ge=1)
    """Problems that a colony bears in each generation, fit or not."""
    crossover: Share = 0.5
    """Chance that one is a crossover; else it is a mutation. The paper gives no number."""
    parents: int = Field(3, ge=2)
    """Parents of a crossover."""
    mutations: tuple[Mutation, ...] = Field(("requirement", "rare_requirement", "reasoning", "wrong_lead", "complexity"), min_length=1)
    """Kinds of mutation that are drawn from."""
    category: str = Field("coding", min_length=1)
    """The prompts' category in the release."""
    sampling: SamplingOptions = SamplingOptions()
    """How the writer samples new problems."""
    solution_sampling: SamplingOptions = SamplingOptions(temperature=0.0)
    """How the responder samples the solution that is judged."""
    judge_sampling: SamplingOptions = SamplingOptions(max_tokens=256, temperature=0.0)
    """How the judge samples."""

    @model_validator(mode="after")
    def _has_enough_parents(self) -> "Options":
        if self.parents > self.population:
            raise ValueError(f"parents is {self.parents}, more than the {self.population} of population")
        return self


@dataclass(frozen=True, slots=True)
class _Member:
    """One problem of a colony."""

    text: str
    seeds: tuple[str, ...]
    """The problems of the file that it descends from."""

    @property
    def id(self) -> str:
        return prompt_id(NAME, as_request(self.text))


@dataclass(frozen=True, slots=True)
class _Birth:
    """One offspring to be had."""

    generation: int
    nth: int
    operator: str
    parents: tuple[_Member, ...]

    @property
    def label(self) -> str:
        return f"{self.generation}/{self.nth}"


@dataclass
class _Colony:
    item: WorkItem
    options: Options
    ask: Ask
    members: list[_Member]
    prompts: list[Prompt] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)


def items(options: Options, folder: Path) -> int:
    """Check the file, and count the colonies."""
    there = count_texts(options, folder)
    if options.population > there:
        raise RecipeError(f"population is {options.population}, but {options.path} has {there} problems")
    return options.colonies


def start(options: Options, opening: Opening) -> Iterator[WorkItem]:
    """Give a work item for each colony: its value is what it starts from."""
    texts = list(read_texts(options, opening.folder))
    for colony in range(options.colonies):
        drawn: list[SeedText] = random.Random(derive_seed(NAME, opening.seed, colony)).sample(texts, options.population)
        value = json.dumps([[f"{options.source}:{one.name}", one.text] for one in drawn], ensure_ascii=False)
        plain = seed_item(NAME, options, opening, name=f"colony {colony}", value=value)
        lineage = Lineage(seeds=tuple(f"{options.source}:{one.name}" for one in drawn), colony=colony)
        yield replace(plain, item_id=item_id(NAME, 0, value, lineage), lineage=lineage)


async def evolve_colony(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Let a colony evolve, generation by generation; the offspring of one generation are had side by side."""
    colony = _Colony(item, options, ask, [_Member(text, (name,)) for name, text in json.loads(item.value)])
    for generation in range(1, options.generations + 1):
        births = [_draw_birth(colony, generation, nth) for nth in range(options.offspring)]
        # Gathered in the order of birth, whichever answer comes first: who is whose parent must not depend on an engine's pace.
        for birth, born in zip(births, await asyncio.gather(*(_bear(colony, birth) for birth in births)), strict=True):
            _settle(colony, birth, born)
    return Made(tuple(colony.prompts), tuple(colony.drops))


def _draw_birth(colony: _Colony, generation: int, nth: int) -> _Birth:
    draw = random.Random(derive_seed(NAME, colony.item.item_id, generation, nth))
    if draw.random() < colony.options.crossover:
        return _Birth(generation, nth, "crossover", tuple(draw.sample(colony.members, colony.options.parents)))
    return _Birth(generation, nth, draw.choice(colony.options.mutations), (draw.choice(colony.members),))


async def _bear(colony: _Colony, birth: _Birth) -> Prompt | Drop:
    """Write one offspring and have it judged."""
    try:
        told = await colony.ask("writer", as_request(_request(birth, colony.options)), colony.options.sampling.sampling(), label=f"bear/{birth.label}")
        text = told.completion.text.strip()
        fault = fault_in_text(told) or fault_in_request(text)
        if fault:
            return _lose(colony, birth, fault, told, detail="the new problem")
        return await _judge(colony, birth, text, told.use)
    except EngineError as error:
        if error.fault.drop_reason is None:
            raise
        return _lose(colony, birth, error.fault.drop_reason, None, detail=str(error))


async def _judge(colony: _Colony, birth: _Birth, text: str, writer: ModelUse) -> Prompt | Drop:
    """Have a problem solved, and problem and solution judged."""
    options = colony.options
    request = f"Solve this programming problem in {options.language}. Give the code in one fenced block.\n{between_marks(text)}"
    solved = await colony.ask("responder", as_request(request), options.solution_sampling.sampling(), label=f"solve/{birth.label}")
    if options.language.casefold() == "python" and find_code(solved.completion.text) is None:
        return _lose(colony, birth, "solution_does_not_compile", solved, detail=text)
    told = await colony.ask(JUDGE, as_request(_fitness(text, solved.completion.text)), options.judge_sampling.sampling(), label=f"judge/{birth.label}")
    verdicts = _VERDICT.findall(told.completion.text)
    if len({one.casefold() for one in verdicts}) != 1:
        return _lose(colony, birth, "no_verdict", told, detail=text)
    if verdicts[0].casefold() == "unfit":
        return _lose(colony, birth, "unfit", told, detail=text)
    item = replace(colony.item, lineage=_lineage(colony, birth))
    return derive_prompt(item, as_request(text), category=options.category, uses=(writer, solved.use, told.use))


def _settle(colony: _Colony, birth: _Birth, born: Prompt | Drop) -> None:
    """Let what was born join the colony, unless it is there already."""
    if isinstance(born, Drop):
        colony.drops.append(born)
        return
    member = _Member(born.messages[0].content, born.lineage.seeds)
    known = {" ".join(one.text.split()).casefold() for one in colony.members}
    if " ".join(member.text.split()).casefold() in known:
        colony.drops.append(_lose(colony, birth, "not_evolved", None, detail=member.text))
    else:
        colony.prompts.append(born)
        colony.members.append(member)


def _lineage(colony: _Colony, birth: _Birth) -> Lineage:
    seeds = tuple(dict.fromkeys(seed for parent in birth.parents for seed in parent.seeds))
    parents = tuple(parent.id for parent in birth.parents)
    single = parents[0] if len(parents) == 1 else None
    topics = (colony.options.language, birth.operator)
    return replace(colony.item.lineage, seeds=seeds, topics=topics, parent=single, parents=parents, operator=birth.operator, generation=birth.generation)


def _lose(colony: _Colony, birth: _Birth, reason: str, told: Told | None, *, detail: str) -> Drop:
    item = replace(colony.item, lineage=_lineage(colony, birth))
    raw = told.completion.text if told else None
    return drop_record(item, stage="prompts", reason=reason, detail=f"{birth.operator} in generation {birth.generation}: {detail}", raw=raw, nth=birth.label)


def _request(birth: _Birth, options: Options) -> str:
    if birth.operator == "crossover":
        shown = "\n".join(between_marks(parent.text) for parent in birth.parents)
        return (
            f"Below are {len(birth.parents)} programming problems. Write one new problem of the same kind for {options.language}: on another subject than "
            f"any of them, complete in itself, with what goes in and what comes out. Answer with the problem and nothing else.\n{shown}"
        )
    return (
        f"Make this programming problem harder. {_MUTATIONS[birth.operator]} It must stay solvable in {options.language} and complete in itself. "
        f"Answer with the new problem and nothing else.\n{between_marks(birth.parents[0].text)}"
    )


def _fitness(problem: str, solution: str) -> str:
    return (
        "Judge whether this programming problem and its solution are fit to teach from. The problem must be clear, complete and solvable; the solution must be "
        "correct and answer all that is asked. Give your reason in a sentence, then a last line that says either `Verdict: fit` or `Verdict: unfit`.\n"
        f"Problem:\n{between_marks(problem)}\nSolution:\n{between_marks(solution)}"
    )


def _births(options: Options) -> int:
    return options.generations * options.offspring


def _besides(options: Options) -> tuple[StepCalls, ...]:
    births = _births(options)
    return (
        StepCalls("responder", births, options.solution_sampling.sampling()),
        StepCalls(JUDGE, births, options.judge_sampling.sampling()),
    )


def _sampling(options: Options) -> Sampling:
    return options.sampling.sampling()


STEPS = (Step("evolve", evolve_colony, _births, _births, _sampling, besides=_besides),)
