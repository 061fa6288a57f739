"""Numbers for people."""

import pytest

from cli.figures import clock, share, short


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (9_999, "9,999"), (10_000, "10.0k"), (123_456, "123.5k"), (4_500_000, "4.5M"), (2 * 10**9, "2.0G")], ids=str
)
def test_short_writes_few_characters(number: float, text: str) -> None:
    assert short(number) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3_723, "1:02:03"), (90_061, "1 d 1:01:01")], ids=str)
def test_clock_writes_durations(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_share_of_nothing_is_no_number() -> None:
    assert share(0, 0) == "–"
    assert share(1, 3) == "33.3 %"
