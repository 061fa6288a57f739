from hypothesis import given
from hypothesis import strategies as st

from infra.triton.rehearsal_language.tokens import count_tokens, cut_tokens, split_words

TEXTS = st.text(st.sampled_from("ab ,.!\n\t<>_é漢1") | st.characters(), max_size=200)


def test_count_tokens_counts_words_marks_and_control_tokens() -> None:
    assert count_tokens("Don't stop, please. <extra_id_1>") == 8


@given(TEXTS, st.integers(0, 50))
def test_cut_tokens_keeps_a_beginning_of_at_most_so_many_tokens(text: str, most: int) -> None:
    cut = cut_tokens(text, most)
    assert text.startswith(cut)
    assert count_tokens(cut) == min(most, count_tokens(text))


@given(TEXTS)
def test_cut_tokens_leaves_a_short_text_as_it_is(text: str) -> None:
    assert cut_tokens(text, count_tokens(text)) == text


@given(TEXTS, st.integers(1, 10))
def test_split_words_loses_nothing(text: str, words: int) -> None:
    assert "".join(split_words(text, words)) == text
