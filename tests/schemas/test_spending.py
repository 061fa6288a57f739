"""Spending adds up, and prices are read or refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.engine import Completion, Reward
from schemas.errors import SettingsError
from schemas.spending import Price, PriceTable, Spent, add_spent, read_prices, total_spent

NAMES = st.sampled_from(["a", "b"])
SPENT = st.builds(
    Spent, NAMES, NAMES, NAMES, st.sampled_from(["", "1"]), *[st.integers(0, 10**6)] * 4, st.just(0.5), st.one_of(st.none(), st.integers(0, 99).map(float))
)


@given(st.lists(SPENT, max_size=12), st.integers(0, 12))
def test_adding_parts_of_parts_gives_the_same(parts: list[Spent], at: int) -> None:
    assert add_spent([*add_spent(parts[:at]), *add_spent(parts[at:])]) == add_spent(parts)


@given(st.lists(SPENT, max_size=12))
def test_totals_lose_no_call(parts: list[Spent]) -> None:
    whole = total_spent(parts)
    assert (whole.calls, whole.reused) == (sum(one.calls for one in parts), sum(one.reused for one in parts))
    assert (whole.cost is None) == any(one.cost is None and one.calls for one in parts)


def test_a_price_counts_calls_tokens_and_gpu_time() -> None:
    answer = Completion("x", "stop", False, 2_000_000, 1_000_000, False)
    assert Price(gpus=8, gpu_hour=3.0, input_mtok=0.5, output_mtok=2.0, call=0.25).of(answer, 7200.0) == 0.25 + 1.0 + 2.0 + 6.0
    assert Price(call=0.25, input_mtok=9).of(Reward({"reward": 1.0}), 0.0) == 0.25


def test_a_table_is_read_and_known_by_its_prices(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("version: 2026-11-01\ncurrency: USD\nmodels: {m: {gpus: 8, gpu_hour: 3.2}}\n", encoding="utf-8")
    table = read_prices(path)
    assert table is not None
    assert (table.version, table.models["m"].gpus) == ("2026-11-01", 8)
    assert table.digest == PriceTable(version="2026-11-01", currency="USD", models={"m": Price(gpus=8, gpu_hour=3.2)}).digest
    assert table.digest != PriceTable(version="2026-11-01", currency="USD", models={"m": Price(gpus=8, gpu_hour=3.3)}).digest
    assert read_prices(None) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("currency: USD\nmodels: {}", "version: missing"),
        ("version: 1\ncurrency: dollars\nmodels: {}", "currency"),
        ("version: 1\ncurrency: USD\nmodels: {m: {gpu_hours: 3}}", r"models\.m\.gpu_hours: unknown key"),
        ("version: 1\ncurrency: USD\nmodels: {m: {gpu_hour: -3}}", r"models\.m\.gpu_hour.*given: -3"),
        ("[", "can't read"),
    ],
)
def test_a_wrong_table_is_refused_by_key_and_value(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=f"GRISTMILL_PRICES.*(?s:.)*{told}"):
        read_prices(tmp_path / "prices.yaml")


def test_an_absent_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="absent"):
        read_prices(tmp_path / "absent.yaml")
