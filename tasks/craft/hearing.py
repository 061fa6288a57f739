"""What judges who ask a language model share: how the matter is put to it, whether it fits, and what a lost question comes to."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.engine import Sampling
from schemas.errors import EngineError
from schemas.records import Conversation, Hearing, Message, ModelUse
from tasks.craft.turns import between_marks, estimate_tokens, show_turns
from tasks.technique import Ask

JUDGE = "judge"
"""The role that is asked."""
_FRAME_TOKENS = 32
"""Tokens of a chat template's marks around one request, by generous estimate."""


@dataclass(frozen=True, slots=True)
class Told:
    """A judge's words, and the note of its hand."""

    text: str
    use: ModelUse


@dataclass(frozen=True, slots=True)
class Unheard:
    """A question that was not answered: `over_context` before it was asked, `engine_refused` or `garbled_answer` after."""

    why: str


@dataclass(frozen=True, slots=True)
class Bench:
    """How a judge may be asked."""

    ask: Ask
    sampling: Sampling
    context_tokens: int

    async def hear(self, request: str, *, label: str) -> Told | Unheard:
        """Put one question to the judge. One that would not fit is not asked: cut, it would be another question."""
        if estimate_tokens(request) + _FRAME_TOKENS + self.sampling.max_tokens > self.context_tokens:
            return Unheard("over_context")
        try:
            told = await self.ask(JUDGE, (Message("user", request),), self.sampling, label=label)
        except EngineError as error:
            if error.fault.drop_reason is None:
                raise
            return Unheard(error.fault.drop_reason)
        return Told(told.completion.text, told.use)


def show_case(answers: Sequence[Conversation], names: Sequence[str]) -> str:
    """Write down what was asked and the answers to it, each between marks: nothing in them can speak to the judge in our name."""
    before = answers[0].messages[:-1]
    asked = before[0].content if len(before) == 1 else show_turns(before)
    shown = [f"{name}:\n{between_marks(one.messages[-1].content)}" for name, one in zip(names, answers, strict=True)]
    return "\n\n".join([f"What was asked:\n{between_marks(asked)}", *shown])


def record_hearing(answers: Sequence[Conversation], verdict: str, raw: str) -> Hearing:
    """Note one answer of a judge as evidence."""
    return Hearing(tuple(one.conversation_id for one in answers), verdict, raw)
