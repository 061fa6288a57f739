"""What a prompt's answers may become: instruction data, preferences, or both.

The Nemotron-4 340B report keeps the two sets of prompts apart, and prompts flagged as unsafe for preferences alone (§3.2.1): a model should learn to
prefer the safe answer, not to imitate what such prompts call forth.
"""

from typing import Literal

from schemas.identity import stable_share
from schemas.recipe import SplitOptions
from schemas.records import Conversation, Prompt

Purpose = Literal["sft", "preferences", "both"]


def purpose_of(one: Prompt | Conversation, split: SplitOptions | None) -> Purpose:
    """Say what a prompt, or that of a conversation, is for; the same in every run, however many prompts there are beside it."""
    if one.lineage.unsafe:
        return "preferences"
    if split is None:
        return "both"
    # A hash of its own: that of the validation split must not tell which set a prompt is in.
    return "preferences" if stable_share("split", one.prompt_id) < preference_share(one.technique, split) else "sft"


def preference_share(technique: str, split: SplitOptions) -> float:
    """Say which share of a technique's prompts is for preferences."""
    return 0.0 if technique in split.sft else 1.0 if technique in split.preferences else split.preference_share


def share_of(purpose: str | None, technique: str, split: SplitOptions | None) -> float:
    """Say which share of a technique's prompts is expected to be for a purpose; None asks for all."""
    if purpose in (None, "both") or split is None:
        return 1.0
    preferences = preference_share(technique, split)
    return preferences if purpose == "preferences" else 1 - preferences
