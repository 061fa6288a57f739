import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.triton.rehearsal_language.embedding import DIMENSIONS, embed


def likeness(first: str, second: str) -> float:
    return sum(a * b for a, b in zip(embed(first), embed(second), strict=True))


@given(st.text(max_size=200))
def test_embed_gives_length_one_or_nothing(text: str) -> None:
    vector = embed(text)
    assert len(vector) == DIMENSIONS
    assert math.isclose(math.hypot(*vector), 1) or not any(vector)


def test_embed_puts_texts_with_common_words_closer() -> None:
    assert (
        likeness("bird migration across the sea", "birds that migrate over the sea")
        > likeness("bird migration across the sea", "household budgets and rent") + 0.2
    )


@pytest.mark.parametrize(("first", "second"), [("Glaciers move slowly.", "glaciers MOVE slowly!"), ("the sea and the wind", "wind, sea")])
def test_embed_sees_no_difference_in_form(first: str, second: str) -> None:
    assert math.isclose(likeness(first, second), 1)
