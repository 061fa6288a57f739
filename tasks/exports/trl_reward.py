"""TRL's RewardTrainer: `chosen` and `rejected` as whole conversations, with the prompt in both."""

from schemas.records import Preference
from tasks.release.export_rows import LeftOut, Rows, metadata, turns


def from_preferences(row: Preference) -> Rows | LeftOut:
    """Write a pair as two conversations with the same beginning."""
    return [{"chosen": turns(row.prompt + row.chosen), "rejected": turns(row.prompt + row.rejected), "metadata": metadata(row)}]
