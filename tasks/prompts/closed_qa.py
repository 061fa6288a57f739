"""Closed questions: instructions about a document that is given with them, so that the answer can be found in the prompt.

A document that would not fit into the token budget is dropped before any call is paid for it, never cut.
"""

from collections.abc import Iterator

from pydantic import Field

from schemas.engine import Sampling
from schemas.identity import derive_seed
from schemas.recipe import SamplingOptions
from schemas.records import Drop, WorkItem, drop_record
from tasks.craft.listing import ListRequest, ask_for_list, list_shortfall
from tasks.craft.made import as_request, derive_prompt
from tasks.craft.seedtexts import SeedTexts, count_texts, text_files, text_items
from tasks.craft.turns import between_marks, estimate_tokens
from tasks.technique import Ask, Made, Opening, Step

NAME = "closed_qa"

_JOINED = (
    "{document}\n\n{instruction}",
    "{instruction}\n\n{document}",
    "Here is a text:\n\n{document}\n\nGoing by this text alone: {instruction}",
    "Read the text below, then do what follows it.\n\n---\n{document}\n---\n\n{instruction}",
    "{instruction}\n\nUse nothing but this text:\n\n{document}",
)
"""How a document and an instruction become one prompt; drawn for each."""

files = text_files
items = count_texts


class Options(SeedTexts):
    """Which documents, and how many instructions about each."""

    instructions: int = Field(2, ge=1)
    """Instructions about each document."""
    max_tokens: int = Field(3000, ge=1)
    """Most tokens of document and instruction together, by estimate; with the answer they must fit into the models' context."""
    category: str = Field("closed_qa", min_length=1)
    """The prompts' category in the release."""
    sampling: SamplingOptions = SamplingOptions()
    """How the writer samples."""


def start(options: Options, opening: Opening) -> Iterator[WorkItem]:
    """Give a work item for each document."""
    return text_items(NAME, options, opening)


async def write_instructions(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Write instructions about a document, and join each to it."""
    n = options.instructions
    if estimate_tokens(item.value) > options.max_tokens:
        return Made(drops=tuple(_too_long(item, item.value, options, nth) for nth in range(n)))
    what = (
        f"Write {n} instructions about the document below that can be followed by somebody who has read nothing else: questions about what it says, "
        f"something to find, to compare, to sum up or to put into another form.\n{between_marks(item.value)}"
    )
    request = ListRequest(what, n, "instructions", _sampling(options))
    listing = await ask_for_list(ask, request)
    made = [_join(item, one, nth, options) for nth, one in enumerate(listing.items)]
    fitting = tuple(derive_prompt(item, as_request(text), category=options.category, uses=listing.uses) for text, long in made if not long)
    too_long = tuple(_too_long(item, text, options, nth) for nth, (text, long) in enumerate(made) if long)
    return Made(fitting, (*too_long, *list_shortfall(item, request, listing, rows=1)))


def _join(item: WorkItem, instruction: str, nth: int, options: Options) -> tuple[str, bool]:
    """Join a document and an instruction; say, too, whether they are beyond the budget."""
    form = _JOINED[derive_seed(NAME, item.item_id, nth) % len(_JOINED)]
    text = form.format(document=item.value, instruction=instruction)
    return text, estimate_tokens(text) > options.max_tokens


def _too_long(item: WorkItem, text: str, options: Options, nth: int) -> Drop:
    detail = f"about {estimate_tokens(text)} tokens, more than the {options.max_tokens} of max_tokens"
    return drop_record(item, stage="prompts", reason="over_token_budget", detail=detail, nth=nth)


def _sampling(options: Options) -> Sampling:
    return options.sampling.sampling()


STEPS = (Step("instructions", write_instructions, lambda o: o.instructions, lambda o: 1, _sampling),)
