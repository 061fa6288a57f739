"""Shares of an engine's working time add up to that time, however its calls overlap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.engines.receipt import Busy

SPANS = st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 500)), min_size=1, max_size=30)


@given(SPANS)
def test_shares_add_up_to_the_time_in_which_any_call_was_at_work(spans: list[tuple[int, int]]) -> None:
    busy, entered, shares = Busy(), dict[int, float](), 0.0
    moments = sorted(
        [(start, 1, number) for number, (start, _) in enumerate(spans)] + [(start + took, 0, number) for number, (start, took) in enumerate(spans)]
    )
    for now, begins, number in moments:
        if begins:
            entered[number] = busy.enter(now)
        else:
            shares += busy.leave(now, entered[number])
    at_work = len({second for start, took in spans for second in range(start, start + took)})
    assert shares == pytest.approx(at_work)


def test_calls_side_by_side_share_alike() -> None:
    busy = Busy()
    first, second = busy.enter(0.0), busy.enter(2.0)
    assert busy.leave(6.0, first) == 2 + 4 / 2
    assert busy.leave(7.0, second) == 4 / 2 + 1
    third = busy.enter(100.0)
    assert busy.leave(101.0, third) == 1
