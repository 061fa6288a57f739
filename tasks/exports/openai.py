"""OpenAI's fine-tuning files: `messages` for supervised tuning, `input` with a preferred and a non-preferred output for preferences.

The service refuses keys that it does not know, so where a row comes from stands in the export's manifest alone.
"""

from schemas.records import Conversation, Preference
from tasks.release.export_rows import LeftOut, Rows, turns


def from_sft(row: Conversation) -> Rows | LeftOut:
    """Write a conversation."""
    return [{"messages": turns(row.messages)}]


def from_preferences(row: Preference) -> Rows | LeftOut:
    """Write a pair of single answers."""
    if len(row.chosen) > 1 or len(row.rejected) > 1:
        return LeftOut("several_turns_in_answer")
    return [{"input": {"messages": turns(row.prompt)}, "preferred_output": turns(row.chosen), "non_preferred_output": turns(row.rejected)}]
