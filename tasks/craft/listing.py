"""Gets a list of n items out of a model: asks, reads what came, asks again where it must, and says what is still missing."""

from dataclasses import dataclass
from typing import Any

from schemas.engine import Sampling
from schemas.records import Drop, Message, Messages, ModelUse, WorkItem, drop_record
from tasks.craft.lists import parse_list
from tasks.craft.turns import between_marks
from tasks.technique import Ask, Told

_NEWLINE = "\n"

NUMBERED = "Answer with a numbered list, one item a line."
"""What every request for a list ends with."""

TOP_UPS = 2
"""Extra asks for what is still missing after the repair turn; a model that gave nothing new twice has nothing more to give."""


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A list that is wanted."""

    what: str
    """The request in words."""
    n: int
    label: str
    """Prefix of the labels of all its calls."""
    sampling: Sampling
    besides: tuple[str, ...] = ()
    """Items there are already: not wanted again."""
    role: str = "writer"

    @property
    def messages(self) -> Messages:
        """The first ask."""
        more = f"Leave out the following, which we have already:\n{between_marks(_NEWLINE.join(self.besides))}\n" if self.besides else ""
        return (Message("user", f"{self.what}\n{more}{NUMBERED}"),)


@dataclass(frozen=True, slots=True)
class Listing:
    """What came of asking for a list."""

    items: tuple[str, ...]
    """At most as many as were asked for."""
    uses: tuple[ModelUse, ...]
    """One a call."""
    raw: str
    """The answers word for word."""


async def ask_for_list(ask: Ask, request: ListRequest) -> Listing:
    """Ask for n items; a short answer is asked for once more in a repair turn, then topped up with what is still missing.

    What is beyond n is cut off; fewer than n come back where the model gave no more.
    """
    told = await ask(request.role, request.messages, request.sampling, label=request.label)
    answers = [told]
    items = _join(request, (), told)
    if len(items) < request.n:
        told = await ask(request.role, _repair(request, told), request.sampling, label=f"{request.label}/repair")
        answers.append(told)
        items = _join(request, items, told)
    for nth in range(TOP_UPS):
        if len(items) >= request.n:
            break
        told = await ask(request.role, _top_up(request, items), request.sampling, label=f"{request.label}/more/{nth}")
        answers.append(told)
        items = _join(request, items, told)
    return Listing(items[: request.n], tuple(one.use for one in answers), "\n\n".join(one.completion.text for one in answers))


def list_shortfall(item: WorkItem, request: ListRequest, listing: Listing, *, rows: int) -> tuple[Drop, ...]:
    """Make a drop of each item that is missing, each standing for the `rows` prompts that would have come of it."""
    have = len(listing.items)
    detail = f"{request.label}: asked for {request.n}, got {have} in {len(listing.uses)} calls"
    why: dict[str, Any] = {"reason": "list_shortfall", "detail": detail, "raw": listing.raw, "attempts": len(listing.uses)}
    return tuple(drop_record(item, stage="prompts", rows=rows, nth=nth, **why) for nth in range(request.n - have))


def _join(request: ListRequest, items: tuple[str, ...], told: Told) -> tuple[str, ...]:
    """Add what is new in an answer."""
    more = parse_list(told.completion.text)
    if told.completion.finish_reason == "length":
        more = more[:-1]  # it ran out of tokens in the middle of its last item
    known = {item.casefold() for item in (*items, *request.besides)}
    return (*items, *(item for item in more if item.casefold() not in known))


def _repair(request: ListRequest, told: Told) -> Messages:
    said = Message("assistant", told.completion.text.strip() or "(nothing)")
    again = Message("user", f"Give the list again, with all {request.n} items and nothing else. {NUMBERED}")
    return (*request.messages, said, again)


def _top_up(request: ListRequest, items: tuple[str, ...]) -> Messages:
    return ListRequest(request.what, request.n, request.label, request.sampling, (*request.besides, *items)).messages
