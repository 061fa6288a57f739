"""From a reward model's numbers to a row's scores: the reduction to one number, and what becomes of a conversation that has no usable grade."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from schemas.engine import Reward
from schemas.errors import RecipeError
from schemas.model_card import ModelCard, RewardFacts
from schemas.recipe import ScoreOptions
from schemas.records import ATTRIBUTES, Conversation, Drop, Scores, drop_record
from tasks.rollout import Refused


@dataclass(frozen=True, slots=True)
class Reduction:
    """How attributes become one number: their weighted sum, or by how much the weakest clears its mark."""

    weights: Mapping[str, float]
    """Empty where marks reduce."""
    marks: Mapping[str, float]
    source: str
    """Whose choice it was: `recipe`, or the id of the model whose publisher gives the weights."""

    @property
    def formula(self) -> str:
        """The reduction as a row tells it."""
        if self.marks:
            return f"least({', '.join(f'{name}-{mark:g}' for name, mark in self.marks.items())})"
        return " ".join(f"{weight:+g}*{name}" for name, weight in self.weights.items())

    def reduce(self, reward: Reward) -> Scores:
        """Make the one number, and keep all attributes beside it."""
        given = reward.attributes
        if self.marks:
            number = min(given[name] - mark for name, mark in self.marks.items())
        else:
            number = sum(weight * given[name] for name, weight in self.weights.items())
        return Scores(number, self.formula, **{name: given.get(name) for name in ATTRIBUTES})

    def to_json(self) -> dict[str, object]:
        """Write machine-readably, for the manifest."""
        return {"formula": self.formula, "weights": dict(self.weights), "marks": dict(self.marks), "source": self.source}


def reduction_of(score: ScoreOptions, card: ModelCard) -> Reduction:
    """Give the recipe's reduction, else the published one of the card. Raises RecipeError where there is neither, or where it asks for what isn't given."""
    facts = card.reward
    if facts is None:
        raise TypeError(f"{card.id} is no reward model")
    chosen = {"weights": score.weights, "attribute": {score.attribute: 1.0} if score.attribute else None, "marks": score.marks}
    for key, named in chosen.items():
        unknown = sorted(set(named or ()) - set(facts.attributes))
        if unknown:
            raise RecipeError(f"{card.id} gives no {', '.join(unknown)}: it gives {', '.join(facts.attributes)} (score.{key})")
    if score.marks:
        return Reduction({}, dict(score.marks), "recipe")
    weights = score.weights or chosen["attribute"]
    if weights:
        return Reduction(dict(weights), {}, "recipe")
    if facts.weights is None and len(facts.attributes) > 1:
        raise RecipeError(f"{card.id} gives {len(facts.attributes)} numbers and its card no weights: give score.weights, score.attribute or score.marks")
    return Reduction(dict(facts.weights or {facts.attributes[0]: 1.0}), {}, card.id)


def settle_grade(conversation: Conversation, reward: Reward | Refused, reduction: Reduction, facts: RewardFacts) -> Conversation | Drop:
    """Put a grade on its conversation, or drop the conversation that has none.

    Reasons: `engine_refused`; `garbled_answer`; `reward_not_finite`; `too_long_to_score`; `reward_out_of_range`.
    """
    fault = find_fault(reward, facts)
    if fault:
        return drop_record(conversation, stage="score", reason=fault.reason, detail=fault.detail)
    assert isinstance(reward, Reward)
    return replace(conversation, scores=reduction.reduce(reward))


class Ungraded(NamedTuple):
    """Why a conversation has no usable grade."""

    reason: str
    detail: str


def find_fault(reward: Reward | Refused, facts: RewardFacts) -> Ungraded | None:
    """Say what is wrong with a grade, if anything is."""
    if isinstance(reward, Refused):
        return Ungraded(reward.reason, reward.detail)
    if reward.exceeded:
        return Ungraded("too_long_to_score", "the reward model saw, or would have seen, only a part of it")
    beyond = _beyond(reward, facts)
    return Ungraded("reward_out_of_range", beyond) if beyond else None


def _beyond(reward: Reward, facts: RewardFacts) -> str:
    low, high = facts.limits or (-_LARGEST, _LARGEST)
    return ", ".join(f"{name} is {value:g}, not {low:g} to {high:g}" for name, value in reward.attributes.items() if not low <= value <= high)


_LARGEST = 1e30
"""Where a card states no limits: what a weighted sum still holds as a 32-bit float."""
