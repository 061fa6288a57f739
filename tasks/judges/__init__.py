"""Judges: which of two answers is better; one module each, asked in the recipe's order until one has an opinion.

A judge offers

    Options                       a `Strict` class: its keys in a recipe
    READS_REWARD                  optional, True: needs scores
    prefer(options, a, b)         -> Preferred, or None where it has no opinion

of two conversations that differ in their last answer alone. Who may never be chosen (a gated row, one cut off, one that its verifier
found wrong) is the business of tasks/pairing.py, not of a judge.
"""

from dataclasses import dataclass

from schemas.records import Conversation


@dataclass(frozen=True, slots=True)
class Preferred:
    """A judge's opinion."""

    chosen: Conversation
    rejected: Conversation


def reward_margin_of(chosen: Conversation, rejected: Conversation) -> float | None:
    """Say by how much the chosen one's reward is the higher; None where one was not scored."""
    if chosen.scores is None or rejected.scores is None:
        return None
    return chosen.scores.reward - rejected.scores.reward
