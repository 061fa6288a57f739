"""What a preview has to show: of every record, how it was made, what became of it, and each call word for word."""

from dataclasses import dataclass

from schemas.records import Conversation, Drop, Preference, Prompt


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call to a model: what it was sent, word for word, and what it said."""

    model: str
    prompt: str
    answer: str
    reused: bool
    """Known from an earlier run or preview."""


@dataclass(frozen=True, slots=True)
class PreviewedStep:
    """One step of a prompt technique."""

    technique: str
    step: str
    exchanges: tuple[Exchange, ...]
    out: tuple[str, ...]
    """What it made: items' values, prompts' last turns."""


@dataclass(frozen=True, slots=True)
class PreviewedAnswer:
    """One conversation, as far as it came."""

    conversation: Conversation
    exchanges: tuple[Exchange, ...]
    fate: str
    """`sft`, `chosen`, `rejected`, several of these joined by ` + `, or the reason of its drop."""

    @property
    def published(self) -> bool:
        """Whether a run would publish it, in whatever role."""
        return self.fate.split(" + ")[0] in ("sft", "chosen", "rejected")


@dataclass(frozen=True, slots=True)
class PreviewedPrompt:
    """One prompt and what became of its answers."""

    prompt: Prompt
    answers: tuple[PreviewedAnswer, ...]
    preferences: tuple[Preference, ...]


@dataclass(frozen=True, slots=True)
class PreviewResult:
    """All that a preview has to show."""

    name: str
    rehearsal: bool
    steps: tuple[PreviewedStep, ...]
    prompts: tuple[PreviewedPrompt, ...]
    drops: tuple[Drop, ...]
    """Of all stages, in their order."""
