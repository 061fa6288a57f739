"""Magpie: an aligned model completes an empty user turn, and so says what it was taught that users ask. Raw-prompt engines only.

After Xu et al. (arXiv 2406.08464). The text before the user's words is the model card's own template; the turn's end stops the answer. What
is no request (a refusal, an assistant's words, marks of a template) is dropped with that reason.
"""

from collections.abc import Iterator
from dataclasses import replace

from pydantic import Field

from schemas.engine import Sampling
from schemas.recipe import SamplingOptions, Strict
from schemas.records import Lineage, WorkItem, item_id
from tasks.craft.made import as_request, derive_prompt, first_item
from tasks.craft.wording import drop_text, fault_in_request, fault_in_text
from tasks.technique import Ask, Made, Opening, Step, UserTurn

NAME = "magpie"


class Options(Strict):
    """How many, and steered how."""

    count: int = Field(20, ge=1)
    """Empty user turns to be completed, each by a call of its own."""
    systems: tuple[str, ...] = ()
    """System messages before the empty turn, which steer what is asked; they take turns. None: no system message."""
    words: int = Field(3, ge=1)
    """Fewest words of a request; shorter ones are dropped."""
    category: str = Field("magpie", min_length=1)
    """The prompts' category in the release."""
    sampling: SamplingOptions = SamplingOptions(max_tokens=512)
    """How the writer samples; at temperature 0 all completions are the same one."""


def items(options: Options, folder: object) -> int:
    """Count the empty turns."""
    return options.count


def start(options: Options, opening: Opening) -> Iterator[WorkItem]:
    """Give a work item for each empty turn; its value is the system message."""
    plain = first_item(NAME, opening)
    for number in range(options.count):
        lineage = Lineage(seeds=(f"turn:{number}",))
        system = options.systems[number % len(options.systems)] if options.systems else ""
        yield replace(plain, item_id=item_id(NAME, 0, system, lineage), value=system, lineage=lineage)


async def complete_turn(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Let the model speak in the user's place."""
    told = await ask("writer", UserTurn(item.value), _sampling(options), label="turn")
    text = told.completion.text.strip()
    fault = fault_in_text(told) or fault_in_request(text) or ("too_few_words" if len(text.split()) < options.words else None)
    if fault:
        return Made(drops=(drop_text(item, fault, told, detail="a completed user turn"),))
    return Made((derive_prompt(item, as_request(text), category=options.category, uses=(told.use,)),))


def _sampling(options: Options) -> Sampling:
    return options.sampling.sampling()


STEPS = (Step("turn", complete_turn, lambda o: 1, lambda o: 1, _sampling, raw=True),)
