import pytest

from tasks.judges import ground_truth, reward_margin, reward_margin_of
from tests.tasks.builders import a_conversation, rewarded, verified

A, B = a_conversation("a"), a_conversation("b")


def test_ground_truth_prefers_the_right_answer_from_either_side() -> None:
    right, wrong = verified(A, passed=True), verified(B, passed=False)
    for pair in ((right, wrong), (wrong, right)):
        opinion = ground_truth.prefer(ground_truth.Options(), *pair)
        assert opinion is not None
        assert (opinion.chosen, opinion.rejected) == (right, wrong)


@pytest.mark.parametrize("passed", [True, False])
def test_ground_truth_has_no_opinion_on_equal_or_missing_verdicts(passed: bool) -> None:
    assert ground_truth.prefer(ground_truth.Options(), verified(A, passed=passed), verified(B, passed=passed)) is None
    assert ground_truth.prefer(ground_truth.Options(), verified(A, passed=passed), B) is None


def test_reward_margin_prefers_the_higher_reward_from_either_side() -> None:
    high, low = rewarded(A, 3.0), rewarded(B, 2.5)
    for pair in ((high, low), (low, high)):
        opinion = reward_margin.prefer(reward_margin.Options(min_margin=0.5), *pair)
        assert opinion is not None
        assert (opinion.chosen, opinion.rejected) == (high, low)


def test_reward_margin_has_no_opinion_within_the_margin_or_without_scores() -> None:
    assert reward_margin.prefer(reward_margin.Options(min_margin=0.6), rewarded(A, 3.0), rewarded(B, 2.5)) is None
    assert reward_margin.prefer(reward_margin.Options(), rewarded(A, 3.0), rewarded(B, 3.0)) is None
    assert reward_margin.prefer(reward_margin.Options(), rewarded(A, 3.0), B) is None
    assert reward_margin_of(A, rewarded(B, 1.0)) is None
