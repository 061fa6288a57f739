"""Hashes and seeds are stable and spread."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import canonical_json, content_id, derive_seed, stable_share

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), json_values))
def test_canonical_json_ignores_the_order_of_keys(value: dict[str, object]) -> None:
    assert canonical_json(value) == canonical_json(dict(reversed(value.items())))


def test_canonical_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


def test_content_id_never_changes() -> None:
    # A changed id would make every journalled call be paid for again.
    assert content_id("prompt", ["a", 1]) == "a52d9f0b1f26fa501283c95ec142f65f"


@given(st.lists(st.text(st.characters(codec="utf-8")) | st.integers(), min_size=1))
def test_derived_seed_fits_every_wire(parts: list[str | int]) -> None:
    assert 0 <= derive_seed(*parts) < 2**63
    assert 0 <= stable_share(*parts) < 1
