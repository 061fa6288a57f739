from hypothesis import given
from hypothesis import strategies as st

from tasks.browse.differences import Part, mark_differences

TEXTS = st.text(alphabet="ab .,\n", max_size=60)


@given(TEXTS, TEXTS)
def test_parts_are_the_texts_themselves(first: str, second: str) -> None:
    sides = mark_differences(first, second)

    assert "".join(part.text for part in sides.first) == first
    assert "".join(part.text for part in sides.second) == second


@given(TEXTS)
def test_equal_texts_do_not_differ(text: str) -> None:
    sides = mark_differences(text, text)

    assert not any(part.differs for part in (*sides.first, *sides.second))


def test_what_only_one_says_is_marked() -> None:
    sides = mark_differences("The answer is 12.", "The answer is 13.")

    assert sides.first == (Part("The answer is ", False), Part("12", True), Part(".", False))
    assert [part.text for part in sides.second if part.differs] == ["13"]


def test_a_word_shared_by_chance_between_long_texts_is_no_agreement() -> None:
    first = " ".join(f"alpha{number}" for number in range(40)) + " the end"
    second = " ".join(f"beta{number}" for number in range(40)) + " the other"

    assert [part.differs for part in mark_differences(first, second).first] == [True]


def test_very_long_texts_are_compared_by_lines() -> None:
    lines = [f"line {number} of it\n" for number in range(3000)]
    changed = [*lines[:1500], "another line\n", *lines[1501:]]
    sides = mark_differences("".join(lines), "".join(changed))

    assert [part.text for part in sides.first if part.differs] == ["line 1500 of it\n"]
