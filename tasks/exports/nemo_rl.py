"""NeMo-RL: conversations in OpenAI's form for SFT, and ranked completions of a context for DPO and reward models."""

from schemas.records import Conversation, Preference
from tasks.release.export_rows import LeftOut, Rows, metadata, turns


def from_sft(row: Conversation) -> Rows | LeftOut:
    """Write a conversation for NeMo-RL's `openai_format` data set."""
    return [{"messages": turns(row.messages), "metadata": metadata(row)}]


def from_preferences(row: Preference) -> Rows | LeftOut:
    """Write a pair for its `PreferenceDataset`: the lower rank is the better one."""
    ranked = [{"rank": rank, "completion": turns(side)} for rank, side in enumerate((row.chosen, row.rejected))]
    return [{"context": turns(row.prompt), "completions": ranked, "metadata": metadata(row)}]
