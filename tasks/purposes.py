"""What a prompt's answers may become: instruction data, preferences, or both.

The Nemotron-4 340B report keeps the two sets of prompts apart, and prompts flagged as unsafe for preferences alone (§3.2.1): a model should learn to
prefer the safe answer, not to imitate what such prompts call forth.
"""

from typing import Literal

from schemas.identity import stable_share
from schemas.recipe import Recipe, SplitOptions
from schemas.records import Lineage

Purpose = Literal["sft", "preferences", "both"]


def purpose_of(prompt_id: str, lineage: Lineage, split: SplitOptions | None) -> Purpose:
    """Say what a prompt is for; the same in every run, however many prompts there are beside it."""
    if lineage.unsafe:
        return "preferences"
    if split is None:
        return "both"
    # A hash of its own: that of the validation split must not tell which set a prompt is in.
    return "preferences" if stable_share("split", prompt_id) < split.preference_share else "sft"


def share_of(purpose: str | None, recipe: Recipe) -> float:
    """Say which share of prompts is expected to be for a purpose; None asks for all."""
    if purpose in (None, "both") or recipe.split is None:
        return 1.0
    return recipe.split.preference_share if purpose == "preferences" else 1 - recipe.split.preference_share
