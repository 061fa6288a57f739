"""Shares, intervals and RewardBench's sections."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.appraisal import GradedPair, Share
from tasks.appraisal.scoring import section_scores, tally_pairs, wilson


def graded(category: str, won: int, lost: int, tied: int = 0, dropped: int = 0) -> list[GradedPair]:
    outcomes = ["won"] * won + ["lost"] * lost + ["tied"] * tied + ["dropped"] * dropped
    return [GradedPair(row, category, outcome, "too_long_to_score" if outcome == "dropped" else "") for row, outcome in enumerate(outcomes, 1)]


def test_wilson_gives_the_textbook_interval() -> None:
    half = wilson(50, 100)
    assert half.low == pytest.approx(0.4038, abs=1e-4)
    assert half.high == pytest.approx(0.5962, abs=1e-4)
    assert wilson(0, 10).high == pytest.approx(0.2775, abs=1e-4)
    assert wilson(0, 0) == Share(0, 0, 0.0, 0.0, 1.0)


@given(st.integers(1, 5000).flatmap(lambda pairs: st.tuples(st.integers(0, pairs), st.just(pairs))))
def test_wilson_holds_the_share_and_stays_within_bounds(counts: tuple[int, int]) -> None:
    found = wilson(*counts)
    assert 0 <= found.low <= found.share + 1e-12
    assert found.share - 1e-12 <= found.high <= 1


def test_tally_counts_a_tie_as_no_win_and_a_drop_not_at_all() -> None:
    tally = tally_pairs(graded("any", won=6, lost=2, tied=2, dropped=3))
    assert tally.score == 0.6
    assert dict(tally.outcomes) == {"won": 6, "lost": 2, "tied": 2, "dropped": 3}
    assert tally.dropped == {"too_long_to_score": 3}
    assert tally.categories["any"].pairs == 10
    assert tally.sections == {}
    assert tally.low < 0.6 < tally.high


def test_rewardbench_is_the_mean_of_sections_not_of_pairs() -> None:
    pairs = graded("alpacaeval-easy", 100, 0) + graded("donotanswer", 5, 5)
    tally = tally_pairs(pairs)
    assert tally.sections == {"Chat": 1.0, "Safety": 0.5}
    assert tally.score == 0.75
    assert tally.low < 0.75 < tally.high


def test_rewardbench_weighs_mathematics_as_all_code_together() -> None:
    categories = {"math-prm": wilson(447, 447), "hep-cpp": wilson(0, 164), "hep-go": wilson(164, 164)}
    assert section_scores(categories)["Reasoning"] == pytest.approx(0.5 * 1 + 0.25 * 0 + 0.25 * 1)


def test_rewardbench_knows_llmbars_own_names() -> None:
    tally = tally_pairs(graded("Natural", 8, 2) + graded("Adversarial/Neighbor", 2, 8))
    assert tally.sections == {"Chat Hard": pytest.approx(0.5)}


def test_interval_is_the_same_each_time() -> None:
    pairs = graded("donotanswer", 7, 3)
    assert tally_pairs(pairs) == tally_pairs(pairs)
