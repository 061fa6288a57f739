"""Requests by persons: who asks is drawn from a small grammar or listed in the recipe, and the writer says what each would ask.

A person is an occupation, a situation and a manner; a recipe's own list takes the grammar's place.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

from pydantic import Field, model_validator

from schemas.engine import Sampling
from schemas.identity import derive_seed
from schemas.recipe import SamplingOptions, Strict
from schemas.records import Lineage, WorkItem, item_id
from tasks.craft.listing import ListRequest, ask_for_list, list_shortfall
from tasks.craft.made import as_request, derive_prompt, first_item
from tasks.craft.turns import between_marks
from tasks.technique import Ask, Made, Opening, Step

NAME = "personas"

_WHO = (
    "a nurse on night shifts",
    "a retired bus driver",
    "a student of law in the first year",
    "a carpenter with a workshop of their own",
    "a teacher at a village school",
    "a programmer between two jobs",
    "a farmer with forty sheep",
    "a parent of three small children",
    "a clerk in a town hall",
    "an amateur astronomer",
    "a cook in a canteen",
    "a librarian who runs a reading circle",
)
_SITUATION = (
    "has just moved to another country",
    "has little money to spare",
    "must decide something by tomorrow",
    "is learning a new trade",
    "looks after an ill relative",
    "plans a journey for the first time in years",
    "wants to settle a quarrel",
    "prepares a talk before strangers",
)
_MANNER = (
    "writes briefly and to the point",
    "tells the whole story before asking",
    "doubts what experts say",
    "wants every step explained",
    "likes numbers and comparisons",
    "asks with a dry humour",
)
_ALL = len(_WHO) * len(_SITUATION) * len(_MANNER)


class Options(Strict):
    """How many persons, and how many requests by each."""

    count: int = Field(20, ge=1, le=_ALL)
    """Persons drawn from the grammar; of no meaning beside `personas`."""
    personas: tuple[str, ...] = ()
    """Persons of your own, a sentence each, in place of drawn ones."""
    requests: int = Field(3, ge=1)
    """Requests by each person."""
    category: str = Field("personas", min_length=1)
    """The prompts' category in the release."""
    sampling: SamplingOptions = SamplingOptions()
    """How the writer samples."""

    @model_validator(mode="after")
    def _has_distinct_personas(self) -> "Options":
        if len({one.strip().casefold() for one in self.personas}) < len(self.personas) or not all(one.strip() for one in self.personas):
            raise ValueError("personas names one twice, or an empty one")
        return self


def items(options: Options, folder: object) -> int:
    """Count the persons."""
    return len(options.personas) or options.count


def start(options: Options, opening: Opening) -> Iterator[WorkItem]:
    """Give a work item for each person."""
    plain = first_item(NAME, opening)
    for persona in options.personas or draw_personas(options.count, opening.seed):
        lineage = Lineage(topics=(persona,))
        yield replace(plain, item_id=item_id(NAME, 0, persona, lineage), value=persona, lineage=lineage)


def draw_personas(count: int, seed: int) -> tuple[str, ...]:
    """Draw different persons; the same ones for the same seed."""
    chosen = random.Random(derive_seed(NAME, seed)).sample(range(_ALL), count)
    return tuple(_persona(number) for number in chosen)


def _persona(number: int) -> str:
    rest, manner = divmod(number, len(_MANNER))
    who, situation = divmod(rest, len(_SITUATION))
    return f"{_WHO[who].capitalize()} who {_SITUATION[situation]} and {_MANNER[manner]}."


async def write_requests(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Write what a person would ask."""
    n = options.requests
    what = (
        f"Write {n} requests that this person would make to an assistant, in the person's own words. They should differ in kind and show where the person "
        f"stands, without naming it.\n{between_marks(item.value)}"
    )
    request = ListRequest(what, n, "requests", _sampling(options))
    listing = await ask_for_list(ask, request)
    written = tuple(derive_prompt(item, as_request(one), category=options.category, uses=listing.uses) for one in listing.items)
    return Made(written, list_shortfall(item, request, listing, rows=1))


def _sampling(options: Options) -> Sampling:
    return options.sampling.sampling()


STEPS = (Step("requests", write_requests, lambda o: o.requests, lambda o: 1, _sampling),)
