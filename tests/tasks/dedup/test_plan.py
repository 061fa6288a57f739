import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.recipe import NearOptions
from tasks.dedup.plan import Bands, bands_of, least_agreement, plan_bands, s_curve


def test_plan_bands_gives_the_usual_cut_at_the_default_threshold() -> None:
    assert plan_bands(0.8, 112) == Bands(bands=14, rows=8)


@given(st.floats(0.05, 0.95), st.integers(8, 256))
def test_plan_bands_fits_the_signature(threshold: float, permutations: int) -> None:
    shape = plan_bands(threshold, permutations)
    assert 1 <= shape.bands * shape.rows <= permutations


def test_plan_bands_asks_for_more_rows_the_higher_the_threshold() -> None:
    rows = [plan_bands(threshold / 100, 128).rows for threshold in range(10, 100, 5)]
    assert rows == sorted(rows)


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_plan_bands_misses_little_above_the_threshold(threshold: float) -> None:
    shape = plan_bands(threshold, 112)
    above = [shape.chance(threshold + (1 - threshold) * step / 100) for step in range(101)]
    assert sum(above) / len(above) > 0.97


def test_s_curve_rises_from_nothing_to_certainty() -> None:
    curve = s_curve(14, 8)
    chances = [chance for _, chance in curve]
    assert curve[0] == (0, 0)
    assert curve[-1] == (1, 1)
    assert chances == sorted(chances)
    assert dict(curve)[0.8] == pytest.approx(0.9236, abs=1e-4)


def test_bands_of_prefers_what_the_recipe_gives() -> None:
    assert bands_of(NearOptions(bands=20, rows=5)) == Bands(20, 5)
    assert bands_of(NearOptions(threshold=0.5)) == plan_bands(0.5, 112)


def test_least_agreement_lies_two_standard_errors_below_the_threshold() -> None:
    assert least_agreement(0.8, 112) == pytest.approx(0.7244, abs=1e-4)
    assert least_agreement(0.8, 1024) == pytest.approx(0.775, abs=1e-4)
