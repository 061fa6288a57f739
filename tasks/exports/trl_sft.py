"""TRL's SFTTrainer: a conversation in `messages`."""

from schemas.records import Conversation
from tasks.release.export_rows import LeftOut, Rows, metadata, turns


def from_sft(row: Conversation) -> Rows | LeftOut:
    """Write a conversation whole."""
    return [{"messages": turns(row.messages), "metadata": metadata(row)}]
