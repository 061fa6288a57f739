"""Programming: keywords of a language or of programming at large, and problems about each at several levels.

Nothing is known of the right answers, so such prompts are judged by the reward model alone.
"""

from pydantic import Field, model_validator

from schemas.engine import Sampling
from schemas.recipe import SamplingOptions, Strict
from schemas.records import WorkItem
from tasks.craft.branching import branch_item
from tasks.craft.listing import ListRequest, ask_for_list, list_shortfall
from tasks.craft.made import as_request, derive_item, derive_prompt, first_item
from tasks.craft.problems import ANY_LANGUAGE, programming
from tasks.craft.topics import how_many, name_subtopics_of
from tasks.craft.turns import in_quotes
from tasks.technique import Ask, Made, Opening, Step

NAME = "coding"


class Options(Strict):
    """How many of what."""

    language: str = Field("Python", min_length=1)
    """The programming language; `any` for programming at large."""
    keywords: int = Field(10, ge=0)
    """Topics and keywords of the language that the writer names."""
    extra_keywords: tuple[str, ...] = ()
    """Keywords of your own, beside those that the writer names."""
    subtopics: int = Field(0, ge=0)
    """Narrower keywords of each; 0 goes from keywords straight to problems."""
    levels: tuple[str, ...] = Field(("a beginner", "a programmer with some experience", "an expert"), min_length=1)
    """For whom the problems are; each goes with each keyword."""
    problems: int = Field(2, ge=1)
    """Problems about each keyword at each level."""
    category: str = Field("coding", min_length=1)
    """The prompts' category in the release."""
    sampling: SamplingOptions = SamplingOptions()
    """How the writer samples."""

    @model_validator(mode="after")
    def _has_distinct_keywords_and_levels(self) -> "Options":
        if not self.keywords and not self.extra_keywords:
            raise ValueError("no keywords: give `keywords`, `extra_keywords` or both")
        for name, values in (("extra_keywords", self.extra_keywords), ("levels", self.levels)):
            if len({value.casefold() for value in values}) < len(values):
                raise ValueError(f"{name} names one twice")
        return self


def start(options: Options, opening: Opening) -> tuple[WorkItem, ...]:
    """Start from nothing."""
    return (first_item(NAME, opening),)


async def name_keywords(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Name topics and keywords of the language."""
    n = options.keywords
    language = options.language if options.language != ANY_LANGUAGE else "programming"
    own = tuple(derive_item(item, one, topics=(language, one)) for one in options.extra_keywords)
    if not n:
        return Made(own)
    what = f"Name {n} programming keywords of {in_quotes(language)}: what its programs deal with, its libraries, data structures and methods. A few words each."
    request = ListRequest(what, n, "keywords", _sampling(options), besides=options.extra_keywords)
    listing = await ask_for_list(ask, request)
    named = tuple(derive_item(item, one, topics=(language, one), uses=listing.uses) for one in listing.items)
    return Made((*own, *named), list_shortfall(item, request, listing, rows=how_many(options.subtopics) * len(options.levels) * options.problems))


async def name_narrower(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Name a keyword's narrower ones, where there are to be any."""
    return await name_subtopics_of(item, options.subtopics, _sampling(options), ask, rows=len(options.levels) * options.problems)


async def write_problems(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Write problems about a keyword at every level."""
    made = [await _write_at(item, level, options, ask) for level in options.levels]
    return Made(tuple(one for each in made for one in each.out), tuple(drop for each in made for drop in each.drops))


async def _write_at(item: WorkItem, level: str, options: Options, ask: Ask) -> Made:
    what = programming(item.value, options.problems, level, options.language)
    request = ListRequest(what, options.problems, f"problems/{level}", _sampling(options))
    listing = await ask_for_list(ask, request)
    branch = branch_item(item, level)
    written = tuple(derive_prompt(branch, as_request(one), category=options.category, uses=listing.uses) for one in listing.items)
    return Made(written, list_shortfall(branch, request, listing, rows=1))


def _sampling(options: Options) -> Sampling:
    return options.sampling.sampling()


STEPS = (
    Step("keywords", name_keywords, lambda o: o.keywords + len(o.extra_keywords), lambda o: int(o.keywords > 0), _sampling),
    Step("narrower", name_narrower, lambda o: how_many(o.subtopics), lambda o: int(o.subtopics > 0), _sampling),
    Step("problems", write_problems, lambda o: len(o.levels) * o.problems, lambda o: len(o.levels), _sampling),
)
