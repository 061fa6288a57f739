"""The rehearsal model as one function: what is asked in, what is said out."""

from dataclasses import dataclass

from infra.triton.rehearsal_language.chat import last_user_text
from infra.triton.rehearsal_language.tokens import count_tokens, cut_tokens


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for text, whatever dialect it came in."""

    prompt: str
    max_tokens: int
    temperature: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """The answer, before a dialect puts it on the wire."""

    text: str
    finish_reason: str
    """stop or length."""
    stop_reason: str | None
    """The stop string that ended it, if one did."""
    prompt_tokens: int
    completion_tokens: int


def speak(asked: Asked) -> Said:
    text = f"You asked about {last_user_text(asked.prompt)[:200]}. It is a good question. The short answer is number {asked.seed % 7}."
    return finish(text, asked)


def finish(text: str, asked: Asked) -> Said:
    """End a text where its first stop string or max_tokens ends it."""
    found = min(((text.index(stop), stop) for stop in asked.stop if stop and stop in text), default=None)
    if found:
        text = text[: found[0]]
    cut = cut_tokens(text, asked.max_tokens)
    whole = len(cut) == len(text)
    return Said(cut, "stop" if whole else "length", found[1] if found and whole else None, count_tokens(asked.prompt), count_tokens(cut))
