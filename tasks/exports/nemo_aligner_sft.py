"""NeMo-Aligner's chat SFT, attribute-conditioned where scores are known: `system`, `mask`, `type`, `conversations`.

A score by attribute becomes the label of the last assistant turn, which is the one that was graded, in whole numbers from 0 to 4.
"""

from typing import Any

from schemas.records import Conversation, Message
from tasks.release.export_rows import LeftOut, Rows, attributes_of, metadata, whole_grade

_NAMES = {"user": "User", "assistant": "Assistant"}


def from_sft(row: Conversation) -> Rows | LeftOut:
    """Write a conversation with its system turn apart."""
    system = row.messages[0].content if row.messages[0].role == "system" else ""
    spoken = [turn for turn in row.messages if turn.role != "system"]
    said = [_turn(turn, None) for turn in spoken[:-1]] + [_turn(spoken[-1], _label(row))]
    return [{"system": system, "mask": "User", "type": "VALUE_TO_TEXT", "conversations": said, "metadata": metadata(row)}]


def _turn(turn: Message, label: str | None) -> dict[str, Any]:
    return {"from": _NAMES[turn.role], "value": turn.content, "label": label}


def _label(row: Conversation) -> str | None:
    grades = attributes_of(row.scores)
    return ",".join(f"{name}:{whole_grade(value)}" for name, value in grades.items() if value is not None) or None
