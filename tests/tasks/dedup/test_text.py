import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dedup.sketch import Sketches, sketch
from tests.tasks.dedup.reference import normalised, shingles

LETTERS = "abcXYZ019 \n\t.,;!?'\"+-*/=()<>$_éÉßÖñøλДж한국漢字仮名カナｶﾞไทยสวัสดีهذاहिन्दी²½ﬁ€…—“”\u00a0\u00ad\u200b\u0301\u3000😀𝒳𠀀"

texts = st.text(alphabet=LETTERS, max_size=40)


def digests_of(*given: str | None) -> list[tuple[int, int]]:
    return [(int(high), int(low)) for high, low in sketch_of(*given).digests]


def sketch_of(*given: str | None) -> Sketches:
    return sketch(pa.array(given, pa.string()), shingle=3, permutations=16)


@given(texts)
def test_sketch_counts_the_shingles_that_the_rules_make(text: str) -> None:
    assert sketch_of(text).counts.tolist() == [len(shingles(text, 3))]


@given(texts, texts)
def test_sketch_gives_equal_digests_to_texts_equal_after_normalisation_only(one: str, other: str) -> None:
    first, second = digests_of(one, other)
    assert (first == second) == (normalised(one) == normalised(other))


@given(texts)
def test_sketch_gives_a_text_and_its_normal_form_the_same_digest_and_signature(text: str) -> None:
    made = sketch_of(text, normalised(text))
    assert made.digests[0].tolist() == made.digests[1].tolist()
    assert made.signatures[0].tolist() == made.signatures[1].tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("Hello  World", " hello\nworld ", id="case and white space"),
        pytest.param("ﬁne ½ ＡＢＣ", "fine 1⁄2 abc", id="compatibility forms"),
        pytest.param("cafe\u0301", "CAFÉ", id="combining accent"),
        pytest.param("co\u00adop", "coop", id="soft hyphen"),
        pytest.param("ｶﾞｽ", "ガス", id="half-width kana with its mark"),
        pytest.param("\u1112\u1161\u11ab", "한", id="Hangul by letters"),
    ],
)
def test_normalisation_sees_no_difference_in(one: str, other: str) -> None:
    first, second = digests_of(one, other)
    assert first == second


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("What is 3 + 4?", "What is 3 - 4?", id="operators"),
        pytest.param("(3 + 4) * 5", "3 + (4 * 5)", id="brackets"),
        pytest.param("x < y", "x > y", id="relations"),
        pytest.param("it costs 5 €", "it costs 5 $", id="currencies"),
        pytest.param("12 apples", "13 apples", id="numbers"),
    ],
)
def test_tokens_tell_apart_texts_that_differ_in(one: str, other: str) -> None:
    made = sketch_of(one, other)
    assert made.signatures[0].tolist() != made.signatures[1].tolist()


def test_tokens_leave_out_punctuation_of_prose() -> None:
    made = sketch_of("Well, yes: no! “Why?” — because…", "well yes no why because")
    assert made.signatures[0].tolist() == made.signatures[1].tolist()
    assert made.digests[0].tolist() != made.digests[1].tolist()


def test_scripts_without_spaces_are_shingled_by_characters() -> None:
    assert sketch_of("机器学习是人工智能", "สวัสดีครับ").counts.tolist() == [9 - 3 + 1, 10 - 3 + 1]


def test_a_code_point_beyond_the_table_is_a_word() -> None:
    assert sketch_of("\U0010fffd a \U000e0100").counts.tolist() == [1]
