"""Mathematics: topics, at a school level where one is given, problems about each, and from each problem a similar and a harder one.

Nothing is known of the right answers, so such prompts are judged by the reward model alone.
"""

from dataclasses import replace
from typing import Literal

from pydantic import Field, field_validator

from schemas.engine import Sampling
from schemas.recipe import SamplingOptions, Strict
from schemas.records import Drop, Prompt, WorkItem, prompt_id
from tasks.craft.listing import ListRequest, ask_for_list, list_shortfall
from tasks.craft.made import as_request, derive_item, derive_prompt, first_item
from tasks.craft.problems import mathematical
from tasks.craft.topics import how_many, name_subtopics_of
from tasks.craft.turns import between_marks
from tasks.craft.wording import drop_text, fault_in_request, fault_in_text
from tasks.technique import Ask, Made, Opening, Step

NAME = "math"

Variant = Literal["similar", "harder"]

_VARIANTS: dict[str, str] = {
    "similar": "Write a math problem like this one: of the same kind and as hard, with another story and other numbers.",
    "harder": "Write a math problem that goes further than this one: of the same field and clearly harder, by a step more or a condition more.",
}


class Options(Strict):
    """How many of what."""

    topics: int = Field(10, ge=1)
    """Topics in mathematics that the writer names."""
    subtopics: int = Field(0, ge=0)
    """Subtopics of each topic; 0 goes from topics straight to problems."""
    level: str = ""
    """A school level for topics and problems, for example `middle school`; empty for mathematics at large."""
    problems: int = Field(5, ge=1)
    """Problems about each topic, or subtopic."""
    variants: tuple[Variant, ...] = ()
    """Problems made of each problem, beside it: one `similar`, one `harder`."""
    category: str = Field("math", min_length=1)
    """The prompts' category in the release."""
    sampling: SamplingOptions = SamplingOptions()
    """How the writer samples."""

    @field_validator("variants")
    @classmethod
    def _are_distinct(cls, variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
        if len(set(variants)) < len(variants):
            raise ValueError("variants names one twice")
        return variants


def start(options: Options, opening: Opening) -> tuple[WorkItem, ...]:
    """Start from nothing."""
    return (first_item(NAME, opening),)


async def name_topics(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Name topics in mathematics."""
    n = options.topics
    scope = f" as taught in {options.level}" if options.level else ", from arithmetic to what a university teaches"
    request = ListRequest(f"Name {n} topics in mathematics{scope}. A few words each.", n, "topics", _sampling(options))
    listing = await ask_for_list(ask, request)
    named = tuple(derive_item(item, topic, topics=("mathematics", topic), uses=listing.uses) for topic in listing.items)
    return Made(named, list_shortfall(item, request, listing, rows=how_many(options.subtopics) * options.problems * _made_of_each(options)))


async def name_subtopics(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Name a topic's subtopics, where there are to be any."""
    return await name_subtopics_of(item, options.subtopics, _sampling(options), ask, rows=options.problems * _made_of_each(options))


async def write_problems(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Write problems about a topic."""
    n = options.problems
    request = ListRequest(mathematical(item.value, n, options.level), n, "problems", _sampling(options))
    listing = await ask_for_list(ask, request)
    written = tuple(derive_item(item, one, topics=item.lineage.topics, uses=listing.uses) for one in listing.items)
    return Made(written, list_shortfall(item, request, listing, rows=_made_of_each(options)))


async def vary_problem(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Make a prompt of a problem, and of each of its variants."""
    made = [derive_prompt(item, as_request(item.value), category=options.category), *[await _vary(item, one, options, ask) for one in options.variants]]
    return Made(tuple(one for one in made if isinstance(one, Prompt)), tuple(one for one in made if isinstance(one, Drop)))


async def _vary(item: WorkItem, variant: Variant, options: Options, ask: Ask) -> Prompt | Drop:
    request = (
        f"{_VARIANTS[variant]} It states everything that is needed and has one answer. Answer with the problem and nothing else.\n{between_marks(item.value)}"
    )
    told = await ask("writer", as_request(request), _sampling(options), label=f"vary/{variant}")
    text = told.completion.text.strip()
    lineage = replace(item.lineage, parent=prompt_id(NAME, as_request(item.value)), operator=variant, generation=1)
    child = replace(item, lineage=lineage)
    same = " ".join(text.split()).casefold() == " ".join(item.value.split()).casefold()
    fault = fault_in_text(told) or ("not_evolved" if same else fault_in_request(text))
    if fault:
        return drop_text(child, fault, told, detail=f"a {variant} problem", nth=options.variants.index(variant))
    return derive_prompt(child, as_request(text), category=options.category, uses=(told.use,))


def _made_of_each(options: Options) -> int:
    return 1 + len(options.variants)


def _sampling(options: Options) -> Sampling:
    return options.sampling.sampling()


STEPS = (
    Step("topics", name_topics, lambda o: o.topics, lambda o: 1, _sampling),
    Step("subtopics", name_subtopics, lambda o: how_many(o.subtopics), lambda o: int(o.subtopics > 0), _sampling),
    Step("problems", write_problems, lambda o: o.problems, lambda o: 1, _sampling),
    Step("vary", vary_problem, _made_of_each, lambda o: len(o.variants), _sampling),
)
