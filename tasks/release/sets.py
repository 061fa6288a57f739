"""The prompts of instruction data and of preferences: how many each has, and that none is in both where the recipe keeps them apart."""

from schemas.errors import AccountingError
from tasks.release.inputs import ReleaseInputs
from tasks.release.record_ids import count_distinct_ids


def count_sets(inputs: ReleaseInputs) -> dict[str, int]:
    """Count the prompts of each data set and those that are in both. Raises AccountingError where these should be apart and are not."""
    sft, preferences = ([(path, "prompt_id") for path in inputs.parts.get(name, ())] for name in ("sft", "preferences"))
    counted = {"sft": count_distinct_ids(sft) if sft else 0, "preferences": count_distinct_ids(preferences) if preferences else 0}
    together = count_distinct_ids([*sft, *preferences]) if sft or preferences else 0
    counted["both"] = counted["sft"] + counted["preferences"] - together
    if inputs.recipe.split is not None and counted["both"]:
        raise AccountingError(f"{counted['both']} prompts are in sft and in preferences, which `split` keeps apart; nothing was published")
    return counted
