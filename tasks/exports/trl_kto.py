"""TRL's KTOTrainer: `prompt`, `completion`, and a `label` that says whether it is a wanted one; two rows for each pair."""

from schemas.records import Preference
from tasks.release.export_rows import LeftOut, Rows, metadata, turns


def from_preferences(row: Preference) -> Rows | LeftOut:
    """Write a pair as a wanted and an unwanted completion, the wanted one first."""
    sides = ((row.chosen, True), (row.rejected, False))
    return [{"prompt": turns(row.prompt), "completion": turns(side), "label": wanted, "metadata": metadata(row)} for side, wanted in sides]
