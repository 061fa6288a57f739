"""Builders of records with plain defaults, and an `Ask` that answers from a script."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from schemas.engine import Completion, Sampling
from schemas.records import (
    Conversation,
    FinishReason,
    Lineage,
    Message,
    Messages,
    ModelUse,
    Prompt,
    Provenance,
    Reference,
    Scores,
    Verdict,
    conversation_id,
    prompt_id,
)
from tasks.technique import Question, Told

A_RUN = Provenance("fingerprint", rehearsal=True)


def a_use(role: str = "responder", seed: int = 0) -> ModelUse:
    return ModelUse(role, "some-model", "1", "apache-2.0", "fake/script", max_tokens=64, temperature=1.0, top_p=1.0, seed=seed)


def a_completion(text: str, finish_reason: FinishReason = "stop", *, prompt_tokens: int = 10) -> Completion:
    return Completion(text, finish_reason, False, prompt_tokens, len(text) // 4, True)


def a_prompt(text: str = "What is 2 + 2?", *, reference: str | None = None) -> Prompt:
    messages = (Message("user", text),)
    known = Reference("final_number", reference) if reference else None
    return Prompt(prompt_id("seeds", messages), "seeds", "math", messages, known, Lineage(seeds=("file:1",)), A_RUN)


def a_conversation(answer: str = "It is 4.", *, prompt: Prompt | None = None, sample_index: int = 0) -> Conversation:
    asked = prompt or a_prompt()
    messages = (*asked.messages, Message("assistant", answer))
    return Conversation(
        conversation_id=conversation_id(asked.prompt_id, "answer", sample_index, messages),
        prompt_id=asked.prompt_id,
        technique=asked.technique,
        category=asked.category,
        response="answer",
        sample_index=sample_index,
        prompt_turns=len(asked.messages),
        messages=messages,
        finish_reason="stop",
        finish_reason_inferred=False,
        prompt_tokens=10,
        completion_tokens=5,
        tokens_inferred=False,
        scores=None,
        verdict=None,
        reference=asked.reference,
        lineage=asked.lineage,
        provenance=replace(asked.provenance, models=(a_use(seed=sample_index),)),
    )


def rewarded(conversation: Conversation, reward: float, **attributes: float) -> Conversation:
    return replace(conversation, scores=Scores(reward, "test", **attributes))


def verified(conversation: Conversation, *, passed: bool) -> Conversation:
    return replace(conversation, verdict=Verdict("final_number", passed, "4", "4" if passed else "5"))


@dataclass
class ScriptedAsk:
    """Answers each call by what `script` makes of its label and its last message; remembers what was asked."""

    script: Callable[[str, str], str | Completion]
    asked: list[tuple[str, str, Messages]] = field(default_factory=list)
    """(role, label, messages) of each call."""

    async def __call__(self, role: str, question: Question, sampling: Sampling, *, label: str) -> Told:
        messages = question if isinstance(question, tuple) else (Message("user", question.text),)
        self.asked.append((role, label, messages))
        answer = self.script(label, messages[-1].content)
        completion = a_completion(answer) if isinstance(answer, str) else answer
        return Told(completion, a_use(role, seed=len(self.asked)))

    @property
    def labels(self) -> list[str]:
        return [label for _, label, _ in self.asked]


def answering(*answers: str | Completion) -> ScriptedAsk:
    """Give these answers in order."""
    left = list(answers)
    return ScriptedAsk(lambda label, text: left.pop(0))


def numbered(*items: str) -> str:
    return "\n".join(f"{number}. {item}" for number, item in enumerate(items, 1))
