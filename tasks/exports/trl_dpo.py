"""TRL's DPOTrainer: `prompt`, `chosen` and `rejected`, each a list of turns."""

from schemas.records import Preference
from tasks.release.export_rows import LeftOut, Rows, metadata, turns


def from_preferences(row: Preference) -> Rows | LeftOut:
    """Write a pair with its prompt apart."""
    return [{"prompt": turns(row.prompt), "chosen": turns(row.chosen), "rejected": turns(row.rejected), "metadata": metadata(row)}]
