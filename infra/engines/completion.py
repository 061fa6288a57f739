"""From an engine's raw text to a Completion: the same rules for every wire.

What the engine does not tell is inferred here, and marked so.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.engine import Completion, GenerateRequest
from schemas.errors import EngineError, EngineFault
from schemas.records import FinishReason

_CUT_OFF = {
    "timeout": EngineFault.DEADLINE,
    "cancelled": EngineFault.CANCELLED,
    "abort": EngineFault.CANCELLED,
    "error": EngineFault.UNHEALTHY,
}
"""Finish reasons of an answer that is not whole: asked again, it may be."""

_LONGEST_TOKEN = 128
"""Bytes: runs of blanks, in the vocabularies of Llama 3 and its kin. An answer longer than all of its tokens can be is something else's."""

_BYTES_PER_TOKEN = 4
"""English text under the usual 32k to 256k vocabularies: 3.5 to 4.5 bytes."""


@dataclass(frozen=True, slots=True)
class Said:
    """An engine's answer as it came, None for what it did not tell."""

    text: str
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


def as_completion(said: Said, request: GenerateRequest) -> Completion:
    """Tidy an answer: no trailing stop string, a reason, token counts. Raises EngineError for an answer that the engine broke off."""
    if said.finish_reason in _CUT_OFF:
        raise EngineError(f"the engine broke the answer off: {said.finish_reason}", fault=_CUT_OFF[said.finish_reason])
    if len(said.text) > _LONGEST_TOKEN * request.sampling.max_tokens:
        raise EngineError(f"{len(said.text):,} characters can't be an answer of at most {request.sampling.max_tokens} tokens", fault=EngineFault.GARBLED)
    text = strip_stop(said.text, request.sampling.stop)
    stopped = len(text) < len(said.text)
    prompt_tokens = estimate_tokens(request.prompt) if said.prompt_tokens is None else said.prompt_tokens
    completion_tokens = estimate_tokens(text) if said.completion_tokens is None else said.completion_tokens
    return Completion(
        text=text,
        finish_reason=_told(said.finish_reason) or _inferred(stopped, completion_tokens, request.sampling.max_tokens),
        finish_reason_inferred=said.finish_reason is None,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        tokens_inferred=said.prompt_tokens is None or said.completion_tokens is None,
    )


def strip_stop(text: str, stops: Iterable[str]) -> str:
    """Take off the stop string that ended the answer: some engines leave it in."""
    found = [stop for stop in stops if stop and text.endswith(stop)]
    return text[: -len(max(found, key=len))] if found else text


def strip_echo(text: str, prompt: str, control_tokens: Iterable[str]) -> str:
    """Take the prompt off the front, as sent or as a tokenizer that skips its control tokens gives it back."""
    if text.startswith(prompt):
        return text[len(prompt) :]
    plain = prompt
    for token in control_tokens:
        plain = plain.replace(token, "")
    return text[len(plain) :] if plain and text.startswith(plain) else text


def estimate_tokens(text: str) -> int:
    """Estimate a text's tokens for engines that don't count."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)


def _told(reason: str | None) -> FinishReason | None:
    if reason is None:
        return None
    return "length" if reason == "length" else "stop"


def _inferred(stopped: bool, tokens: int, most: int) -> FinishReason:
    return "length" if tokens >= most and not stopped else "stop"
