"""Names out of a file (of an encyclopaedia's articles, say): the writer says of each whether it belongs to a subject, and poses problems about those that do.

So the Nemotron-4 340B report came to many of its 17,000 keywords of mathematics and 12,000 of Python (§3.2.1).
"""

from collections.abc import Iterator

from pydantic import Field

from schemas.engine import Sampling
from schemas.recipe import SamplingOptions
from schemas.records import WorkItem
from tasks.craft.branching import branch_item
from tasks.craft.listing import ListRequest, ask_for_list, list_shortfall
from tasks.craft.made import as_request, derive_item, derive_prompt
from tasks.craft.problems import mathematical, programming
from tasks.craft.seedtexts import SeedTexts, count_texts, text_files, text_items
from tasks.craft.turns import in_quotes
from tasks.craft.wording import drop_text, fault_in_text, read_yes_no
from tasks.technique import Ask, Made, Opening, Step

NAME = "entities"
SORTED_OUT = frozenset({"foreign_to_subject"})

files = text_files
items = count_texts


class Options(SeedTexts):
    """Which names, of what subject, and how many problems."""

    subject: str = Field("mathematics", min_length=1)
    """`mathematics`, or a programming language such as `Python`."""
    levels: tuple[str, ...] = ("",)
    """For whom the problems are; each goes with each name. An empty one sets no level."""
    problems: int = Field(1, ge=1)
    """Problems about each name at each level."""
    category: str = Field("entities", min_length=1)
    """The prompts' category in the release."""
    sampling: SamplingOptions = SamplingOptions()
    """How the writer samples problems."""
    classify_sampling: SamplingOptions = SamplingOptions(max_tokens=8, temperature=0.0)
    """How the writer says yes or no."""


def start(options: Options, opening: Opening) -> Iterator[WorkItem]:
    """Give a work item for each name."""
    return text_items(NAME, options, opening)


async def classify(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Keep a name that belongs to the subject."""
    request = f"Is {in_quotes(item.value)} a notion of {options.subject} that problems can be posed about? Answer yes or no."
    told = await ask("writer", as_request(request), options.classify_sampling.sampling(), label="classify")
    belongs = read_yes_no(told.completion.text)
    if belongs:
        return Made((derive_item(item, item.value, topics=(options.subject, item.value), uses=(told.use,)),))
    reason = fault_in_text(told) if not told.completion.text.strip() else "no_verdict" if belongs is None else "foreign_to_subject"
    return Made(drops=(drop_text(item, reason or "no_verdict", told, detail=f"{item.value}: {options.subject}?", rows=_rows(options)),))


async def write_problems(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Write problems about a name, at every level."""
    made = [await _write_at(item, level, options, ask) for level in options.levels]
    return Made(tuple(one for each in made for one in each.out), tuple(drop for each in made for drop in each.drops))


async def _write_at(item: WorkItem, level: str, options: Options, ask: Ask) -> Made:
    n = options.problems
    what = mathematical(item.value, n, level) if options.subject == "mathematics" else programming(item.value, n, level, options.subject)
    request = ListRequest(what, n, f"problems/{level}" if level else "problems", options.sampling.sampling())
    listing = await ask_for_list(ask, request)
    branch = branch_item(item, level) if level else item
    written = tuple(derive_prompt(branch, as_request(one), category=options.category, uses=listing.uses) for one in listing.items)
    return Made(written, list_shortfall(branch, request, listing, rows=1))


def _rows(options: Options) -> int:
    return len(options.levels) * options.problems


def _sampling(options: Options) -> Sampling:
    return options.sampling.sampling()


STEPS = (
    Step("classify", classify, lambda o: 1, lambda o: 1, lambda o: o.classify_sampling.sampling()),
    Step("problems", write_problems, _rows, lambda o: len(o.levels), _sampling),
)
