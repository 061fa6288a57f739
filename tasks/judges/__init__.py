"""Judges: which of two answers is better; one module each, asked in the recipe's order until one has an opinion.

A judge that finds what it needs on the rows offers

    Options                       a `Strict` class: its keys in a recipe
    READS_REWARD                  optional, True: needs scores
    prefer(options, a, b)         -> Preferred, or None where it has no opinion
    convene(options, answers)     optional: all samples of one prompt before any is filtered out; gives them back with what it found

of two conversations that differ in their last answer alone. A judge that asks a language model offers, in the place of `prefer`,

    samplings(options)            which roles it asks, and how they sample
    calls(options, answers)       most calls for one prompt with so many answers, for planning
    async consult(options, pairs, ask)      -> one Heard a pair, in the pairs' order

and is asked only about pairs on which no earlier judge has an opinion (tasks/judging.py). Who may never be chosen (a gated row, one cut off,
one that its verifier found wrong) is the business of tasks/pairing.py, not of a judge.
"""

from dataclasses import dataclass

from schemas.records import Conversation, Hearing, ModelUse


@dataclass(frozen=True, slots=True)
class Preferred:
    """A judge's opinion."""

    chosen: Conversation
    rejected: Conversation
    hearings: tuple[Hearing, ...] = ()
    uses: tuple[ModelUse, ...] = ()
    """The hand that a language model had in it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a language model said of two answers."""

    preferred: Preferred | None
    """None where it had no opinion, or none that can be relied on."""
    outcome: str
    """`decided`, or why there is no opinion: `inconsistent`, `tie`, `unreadable`, `over_context`, `engine_refused`, `garbled_answer`, `not_asked`."""


def reward_margin_of(chosen: Conversation, rejected: Conversation) -> float | None:
    """Say by how much the chosen one's reward is the higher; None where one was not scored."""
    if chosen.scores is None or rejected.scores is None:
        return None
    return chosen.scores.reward - rejected.scores.reward


def is_by_majority(one: Conversation) -> bool:
    """Say whether an answer was judged by what most samples said, not by a known reference."""
    return one.reference is not None and one.reference.origin == "majority"
