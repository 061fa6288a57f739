"""From a reward model's numbers to scores, or to a drop that says why there are none."""

import math
from typing import Any

import pytest

from schemas.engine import Reward
from schemas.errors import RecipeError
from schemas.model_card import ModelCard, RewardFacts, load_card
from schemas.recipe import ScoreOptions
from schemas.records import ATTRIBUTES, Conversation, Drop
from tasks.grading import reduction_of, settle_grade
from tasks.rollout import Refused
from tests.tasks.release_builders import a_conversation

BIG = load_card("nemotron-4-340b-reward")
STEERLM = load_card("llama3-70b-steerlm-rm")
ONE = load_card("llama-3.1-nemotron-70b-reward")
FIVE = Reward(dict(zip(ATTRIBUTES, (3.0, 2.0, 4.0, 1.0, 2.0), strict=True)))


def number(card: ModelCard, reward: Reward = FIVE, **score: Any) -> float:
    return reduction_of(ScoreOptions(**score), card).reduce(reward).reward


def facts(card: ModelCard) -> RewardFacts:
    assert card.reward is not None
    return card.reward


def test_default_reduction_is_the_published_one_by_model_id() -> None:
    assert number(BIG) == pytest.approx(0.30 * 3 + 0.74 * 2 + 0.46 * 4 + 0.47 * 1 - 0.33 * 2)
    assert number(STEERLM) == pytest.approx(0.65 * 3 + 0.80 * 2 + 0.45 * 4 + 0.55 * 1 - 0.40 * 2)
    assert reduction_of(ScoreOptions(), BIG).to_json()["source"] == BIG.id


def test_one_number_models_number_counts_as_it_is() -> None:
    assert number(ONE, Reward({"reward": -3.28})) == -3.28
    assert reduction_of(ScoreOptions(), ONE).reduce(Reward({"reward": 1.0})).helpfulness is None


def test_recipe_reduces_by_weights_an_attribute_or_marks() -> None:
    assert number(BIG, weights={"helpfulness": 2.0, "verbosity": -1.0}) == 4.0
    assert number(BIG, attribute="coherence") == 4.0
    assert number(BIG, marks={"helpfulness": 2.5, "correctness": 3.0}) == -1.0
    scores = reduction_of(ScoreOptions(marks={"helpfulness": 2.5, "correctness": 3.0}), BIG).reduce(FIVE)
    assert (scores.reduction, scores.helpfulness, scores.verbosity) == ("least(helpfulness-2.5, correctness-3)", 3.0, 2.0)


def test_five_numbers_without_published_weights_must_be_reduced_by_the_recipe() -> None:
    bare = BIG.model_copy(update={"reward": facts(BIG).model_copy(update={"weights": None})})
    with pytest.raises(RecipeError, match=r"gives 5 numbers and its card no weights: give score\.weights"):
        reduction_of(ScoreOptions(), bare)


@pytest.mark.parametrize(
    ("reward", "reason", "detail"),
    [
        (Refused("prompt too long"), "engine_refused", "prompt too long"),
        (Refused("gave nan for coherence", "reward_not_finite"), "reward_not_finite", "gave nan for coherence"),
        (Reward({}, exceeded=True), "too_long_to_score", "only a part of it"),
        (Reward({**FIVE.attributes, "coherence": 99.0}), "reward_out_of_range", "coherence is 99, not -4 to 8"),
    ],
    ids=["refused", "not finite", "too long", "out of range"],
)
def test_conversation_without_a_usable_grade_is_dropped_with_the_reason(reward: Any, reason: str, detail: str) -> None:
    settled = settle_grade(a_conversation(), reward, reduction_of(ScoreOptions(), BIG), facts(BIG))
    assert isinstance(settled, Drop)
    assert (settled.stage, settled.reason) == ("score", reason)
    assert detail in settled.detail


def test_grade_a_little_over_the_scale_is_kept() -> None:
    settled = settle_grade(a_conversation(), Reward({**FIVE.attributes, "coherence": 4.25}), reduction_of(ScoreOptions(), BIG), facts(BIG))
    assert isinstance(settled, Conversation)
    assert settled.scores is not None
    assert settled.scores.coherence == 4.25


def test_number_that_a_float32_cannot_hold_is_out_of_range() -> None:
    settled = settle_grade(a_conversation(), Reward({"reward": -1e300}), reduction_of(ScoreOptions(), ONE), facts(ONE))
    assert isinstance(settled, Drop)
    assert settled.reason == "reward_out_of_range"
    assert math.isfinite(-1e300)
