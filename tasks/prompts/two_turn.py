"""Prompts of three turns: a user's first message from a file, an answer and the user's next message from models; the last answer is wanted.

Courtesies are taken out of the simulated message. What would not fit into the token budget is dropped, never cut.
"""

import json
from collections.abc import Iterator

from pydantic import Field

from schemas.engine import Sampling
from schemas.recipe import SamplingOptions
from schemas.records import Message, WorkItem, drop_record
from tasks.craft.courtesies import strip_courtesies
from tasks.craft.made import as_request, derive_item, derive_prompt
from tasks.craft.seedtexts import SeedTexts, count_texts, text_files, text_items
from tasks.craft.turns import between_marks, estimate_tokens, show_turns
from tasks.craft.wording import drop_text, fault_in_text
from tasks.technique import Ask, Made, Opening, Step

NAME = "two_turn"

files = text_files
items = count_texts


class Options(SeedTexts):
    """Which first messages, and how the talk goes on."""

    max_tokens: int = Field(3000, ge=1)
    """Most tokens of the three turns together, by estimate; with the answer they must fit into the models' context."""
    category: str = Field("two_turn", min_length=1)
    """The prompts' category in the release."""
    sampling: SamplingOptions = SamplingOptions()
    """How the responder samples the answer in the middle."""
    user_sampling: SamplingOptions = SamplingOptions(max_tokens=256)
    """How the user's model samples the next message."""


def start(options: Options, opening: Opening) -> Iterator[WorkItem]:
    """Give a work item for each first message."""
    return text_items(NAME, options, opening)


async def answer_first(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Answer the first message."""
    told = await ask("responder", as_request(item.value), options.sampling.sampling(), label="answer")
    fault = fault_in_text(told)
    if fault:
        return Made(drops=(drop_text(item, fault, told, detail="the answer to the first message"),))
    value = json.dumps([item.value, told.completion.text.strip()], ensure_ascii=False)
    return Made((derive_item(item, value, topics=item.lineage.topics, uses=(told.use,)),))


async def ask_on(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Let a model that plays the user speak next, and make a prompt of the three turns."""
    first, answer = json.loads(item.value)
    talk = (Message("user", first), Message("assistant", answer))
    told = await ask("user", as_request(_next_message(talk)), options.user_sampling.sampling(), label="next")
    text = strip_courtesies(told.completion.text)
    fault = fault_in_text(told) or (None if text else "empty_user_turn")
    if fault:
        return Made(drops=(drop_text(item, fault, told, detail="the user's next message"),))
    messages = (*talk, Message("user", text))
    tokens = sum(estimate_tokens(turn.content) for turn in messages)
    if tokens > options.max_tokens:
        detail = f"about {tokens} tokens, more than the {options.max_tokens} of max_tokens"
        return Made(drops=(drop_record(item, stage="prompts", reason="over_token_budget", detail=detail),))
    return Made((derive_prompt(item, messages, category=options.category, uses=(told.use,)),))


def _next_message(talk: tuple[Message, ...]) -> str:
    return (
        "You see a conversation of a user with an assistant between marks. Write the user's next message: one that needs what was said so far, "
        "asks for a change or goes further. No thanks, no praise. Answer with the message and nothing else.\n" + between_marks(show_turns(talk))
    )


def _answer_sampling(options: Options) -> Sampling:
    return options.sampling.sampling()


def _user_sampling(options: Options) -> Sampling:
    return options.user_sampling.sampling()


STEPS = (
    Step("answer", answer_first, lambda o: 1, lambda o: 1, _answer_sampling, role="responder"),
    Step("next", ask_on, lambda o: 1, lambda o: 1, _user_sampling, role="user"),
)
