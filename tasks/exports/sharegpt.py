"""ShareGPT's form, as Axolotl and LLaMA-Factory read it: `conversations` of `from` and `value`; pairs with `chosen` and `rejected`."""

from schemas.records import Conversation, Message, Preference
from tasks.release.export_rows import LeftOut, Rows, metadata

_NAMES = {"system": "system", "user": "human", "assistant": "gpt"}


def from_sft(row: Conversation) -> Rows | LeftOut:
    """Write a conversation."""
    return [{"conversations": [_turn(turn) for turn in row.messages], "metadata": metadata(row)}]


def from_preferences(row: Preference) -> Rows | LeftOut:
    """Write a pair of single answers: LLaMA-Factory takes one turn a side."""
    if len(row.chosen) > 1 or len(row.rejected) > 1:
        return LeftOut("several_turns_in_answer")
    asked = [_turn(turn) for turn in row.prompt]
    return [{"conversations": asked, "chosen": _turn(row.chosen[0]), "rejected": _turn(row.rejected[0]), "metadata": metadata(row)}]


def _turn(turn: Message) -> dict[str, str]:
    return {"from": _NAMES[turn.role], "value": turn.content}
