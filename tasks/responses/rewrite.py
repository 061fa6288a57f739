"""Rewrites, made of the answers to `rephrase` as Nemotron-CC makes them: opening lines off, pairs and lists parsed, segments joined, rests dropped.

Of questions with answers a drawn number is kept, shuffled; the draw follows from the prompt's id, where the original's was another each time. (The paper
appends them to the text: here the text is the user's turn already.) The paper samples at temperature 0.5 and top-p 0.9.
"""

from dataclasses import replace

from schemas.engine import Sampling
from schemas.identity import derive_seed
from schemas.recipe import SamplingOptions, Strict
from schemas.records import Conversation, Drop, Message, Prompt
from tasks.craft.conversing import lose_sample, make_conversation
from tasks.craft.made import as_request
from tasks.craft.rewrites import REWRITES, Answered, Rewritten, read_request, tidy
from tasks.craft.segments import segment_document
from tasks.craft.turns import estimate_tokens
from tasks.technique import Ask, Told

NAME = "rewrite"


class Options(Strict):
    """How rewrites are sampled."""

    sampling: SamplingOptions = SamplingOptions(max_tokens=1600, temperature=0.5, top_p=0.9)
    """How the responder samples; each kind has its own limit on tokens below `max_tokens`: 600 for questions and lists, 1600, 1400, 512."""


def calls(options: Options) -> int:
    """One call a segment: a joined encyclopaedic prompt costs as many as it holds, which no plan can know."""
    return 1


def samplings(options: Options) -> tuple[tuple[str, Sampling], ...]:
    """Say which roles are asked, and how they sample."""
    return (("responder", options.sampling.sampling()),)


async def respond(prompt: Prompt, sample_index: int, options: Options, ask: Ask) -> Conversation | Drop:
    """Rewrite what a prompt holds."""
    asked = read_request(prompt.messages[-1].content)
    if asked is None:
        return lose_sample(prompt, NAME, sample_index, "no_rewrite_asked", detail=f"{prompt.technique} asks for no rewrite: name `rephrase` alone in `only`")
    kind, text = asked
    told: list[Told] = []
    parts: list[str] = []
    for nth, segment in enumerate(_segments(kind, text)):
        one = await ask("responder", as_request(REWRITES[kind].ask(segment)), _sampling(kind, options), label=_label(sample_index, nth))
        made = _tidy(prompt, sample_index, kind, segment, one)
        if made.fault:
            return lose_sample(prompt, NAME, sample_index, made.fault, detail=f"{kind}, segment {nth + 1}", raw=one.completion.text)
        told.append(one)
        parts.append(made.text)
    return _conversation(prompt, sample_index, kind, "\n".join(parts), tuple(told))


def _conversation(prompt: Prompt, sample_index: int, kind: str, text: str, told: tuple[Told, ...]) -> Conversation | Drop:
    tokens = estimate_tokens(text)
    if tokens < REWRITES[kind].least:
        detail = f"{kind}: about {tokens} tokens, fewer than {REWRITES[kind].least}"
        return lose_sample(prompt, NAME, sample_index, "rewrite_too_short", detail=detail, raw=told[-1].completion.text)
    whole = (*prompt.messages, Message("assistant", text))
    made = make_conversation(prompt, whole, told, response=NAME, sample_index=sample_index)
    # What ran out of tokens was cut back to its last whole pair or fact: what stands here ends where it should.
    return replace(made, finish_reason="stop", completion_tokens=sum(one.completion.completion_tokens for one in told))


def _segments(kind: str, text: str) -> list[str]:
    if kind != "encyclopaedic":
        return [text]
    return [segment.text for segment in segment_document(text, REWRITES[kind].room())]


def _tidy(prompt: Prompt, sample_index: int, kind: str, segment: str, told: Told) -> Rewritten:
    answered = Answered(
        text=told.completion.text,
        cut_off=told.completion.finish_reason == "length",
        source_tokens=estimate_tokens(segment),
        seed=derive_seed(NAME, prompt.prompt_id, sample_index),
    )
    return tidy(kind, answered)


def _sampling(kind: str, options: Options) -> Sampling:
    sampling = options.sampling.sampling()
    return replace(sampling, max_tokens=min(sampling.max_tokens, REWRITES[kind].max_tokens))


def _label(sample_index: int, segment: int) -> str:
    return f"sample/{sample_index}" + (f"/{segment}" if segment else "")
