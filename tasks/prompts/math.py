"""Mathematics: topics, at a school level where one is given, and problems about each.

Nothing is known of the right answers, so such prompts are judged by the reward model alone.
"""

from pydantic import Field

from schemas.engine import Sampling
from schemas.recipe import SamplingOptions, Strict
from schemas.records import WorkItem
from tasks.craft.listing import ListRequest, ask_for_list, list_shortfall
from tasks.craft.made import as_request, derive_item, derive_prompt, first_item
from tasks.craft.turns import in_quotes
from tasks.technique import Ask, Made, Opening, Step

NAME = "math"


class Options(Strict):
    """How many of what."""

    topics: int = Field(10, ge=1)
    """Topics in mathematics that the writer names."""
    level: str = ""
    """A school level for topics and problems, for example `middle school`; empty for mathematics at large."""
    problems: int = Field(5, ge=1)
    """Problems about each topic."""
    category: str = Field("math", min_length=1)
    """The prompts' category in the release."""
    sampling: SamplingOptions = SamplingOptions()
    """How the writer samples."""


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
    return Made(named, list_shortfall(item, request, listing, rows=options.problems))


async def write_problems(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Write problems about a topic."""
    n = options.problems
    level = f" They should suit {options.level}." if options.level else ""
    what = f"Write {n} math problems about {in_quotes(item.value)}.{level} Each states everything that is needed and has one answer. Give no solutions."
    request = ListRequest(what, n, "problems", _sampling(options))
    listing = await ask_for_list(ask, request)
    written = tuple(derive_prompt(item, as_request(one), category=options.category, uses=listing.uses) for one in listing.items)
    return Made(written, list_shortfall(item, request, listing, rows=1))


def _sampling(options: Options) -> Sampling:
    return options.sampling.sampling()


STEPS = (
    Step("topics", name_topics, lambda o: o.topics, lambda o: 1, _sampling),
    Step("problems", write_problems, lambda o: o.problems, lambda o: 1, _sampling),
)
