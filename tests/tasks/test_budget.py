"""When a run is let go on, and when it is not."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.purse import Caps
from schemas.errors import BudgetReachedError, TooManyFailuresError
from schemas.recipe import BudgetOptions
from tasks.budget import LEAST, WINDOW, Allowance, Gate, Window, lower_bound
from tasks.budgeting import Share, cap_stage


def a_window(outcomes: list[bool]) -> Window:
    window = Window()
    for failed in outcomes:
        window.add("fault" if failed else "")
    return window


@given(st.lists(st.booleans(), max_size=WINDOW + 50))
def test_a_window_counts_the_latest_outcomes(outcomes: list[bool]) -> None:
    assert a_window(outcomes).failed == sum(outcomes[-WINDOW:])


@given(st.integers(1, WINDOW), st.data())
def test_the_bound_is_below_what_was_seen_and_rises_with_it(of: int, data: st.DataObject) -> None:
    failed = data.draw(st.integers(0, of))
    assert -1e-12 <= lower_bound(failed, of) <= failed / of + 1e-12
    assert failed == of or lower_bound(failed, of) < lower_bound(failed + 1, of)


@pytest.mark.parametrize("rate", [0.041, 0.2, 0.4])
def test_a_rate_below_the_limit_stops_no_run_of_a_hundred_thousand_records(rate: float) -> None:
    chance, window = random.Random(7), Window()
    for _ in range(100_000):
        window.add("fault" if chance.random() < rate else "")
        assert not window.surely_above(0.5)


def test_a_burst_at_the_start_stops_nothing() -> None:
    assert not a_window([True] * (LEAST - 1)).surely_above(0.5)
    assert not a_window([True] * 20 + [False] * 60).surely_above(0.5)


def test_a_fault_that_begins_late_is_not_hidden_by_what_went_before() -> None:
    chance, window = random.Random(7), Window()
    for _ in range(50_000):
        window.add("")
    for _ in range(300):
        window.add("fault" if chance.random() < 0.9 else "")
    assert window.surely_above(0.5)


def test_a_gate_says_the_three_commonest_causes_and_of_which_technique() -> None:
    gate = Gate(Allowance(failures=0.5))
    for number in range(LEAST):
        gate.note("open_qa/topics", ("refused", "truncated", "refused", "empty", "odd", "truncated", "refused")[number % 7] if number % 10 else "")
        gate.note("math", "")
    with pytest.raises(TooManyFailuresError, match=r"last 64 records of open_qa/topics, 57 came to nothing.*: refused 25, truncated 16, empty 8\."):
        gate.admit()


def test_a_gate_without_a_limit_never_stops() -> None:
    gate = Gate(Allowance(failures=None))
    for _ in range(1000):
        gate.note("math", "refused")
    gate.admit()


def test_a_gate_at_its_cap_says_what_to_raise(tmp_path: Path) -> None:
    gate = Gate(Allowance(tmp_path / "spent", Caps(calls=1), publish=True))
    gate.admit()
    assert not gate.publishes
    for _ in range(2):
        with pytest.raises(BudgetReachedError, match=r"cap of 1 calls is reached.*raise budget\.calls"):
            gate.admit()
    assert gate.publishes


def test_a_stage_may_spend_its_share() -> None:
    options = BudgetOptions(calls=1001, tokens=500, hours=2.0, money=10.0)
    assert cap_stage(options, Share(0.5, 0.25)) == Caps(501, 125, 3600.0, 2.5)
    assert cap_stage(BudgetOptions(), Share(0.5, 0.25)) == Caps()
