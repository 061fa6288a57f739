import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.craft.rewrites import REWRITES, Answered, read_bullets, read_pairs, read_request, sample_pairs, strip_markup, strip_opening, tidy

LINE = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=40).map(str.strip).filter(str.isalnum)


def answered(text: str, *, cut_off: bool = False, tokens: int = 300, seed: int = 1) -> Answered:
    return Answered(text, cut_off, tokens, seed)


@pytest.mark.parametrize("kind", REWRITES)
def test_a_request_for_a_rewrite_is_read_back(kind: str) -> None:
    text = "Bees warm <<<their>>> queen.\n\nIn winter."
    assert read_request(REWRITES[kind].ask(text)) == (kind, text.replace("<<<", "<").replace(">>>", ">"))
    assert read_request("What do bees do?") is None


@pytest.mark.parametrize("kind", REWRITES)
def test_the_request_and_the_longest_segment_are_within_the_papers_input(kind: str) -> None:
    rewrite = REWRITES[kind]
    assert 0 < rewrite.room().longest < rewrite.limits.longest
    assert (rewrite.room().document, rewrite.room().segment) == (rewrite.limits.document, rewrite.limits.segment)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("The text, shortened:\nBees warm.", "Bees warm."),
        ("**The text, shortened:**\n\nBees warm.", "Bees warm."),
        ("Sure, here is the shorter text:\n\nBees warm.", "Bees warm."),
        ("Bees warm: they shiver.", "Bees warm: they shiver."),
        ("Bees: warm\nand so on.", "Bees: warm\nand so on."),
    ],
)
def test_an_opening_line_is_taken_off_and_nothing_else(text: str, left: str) -> None:
    assert strip_opening(text, "The text, shortened:") == left


@pytest.mark.parametrize(
    ("text", "left"),
    [('"Bees warm."', "Bees warm."), ("## Bees\n**Warm** _things_.", "Bees\nWarm things."), ("snake_case_name", "snake_case_name"), ("2 * 3 * 4", "2 * 3 * 4")],
)
def test_markup_is_taken_off(text: str, left: str) -> None:
    assert strip_markup(text) == left


@given(
    st.lists(st.tuples(LINE, LINE), min_size=1, max_size=8),
    st.sampled_from(["Question: {}\nAnswer: {}", "**Question 1:** {}\n**Answer:** {}", "- Question: {}\n\n- Answer: {}", "QUESTION: {}\n  Answer: {}"]),
)
def test_read_pairs_reads_what_was_written(pairs: list[tuple[str, str]], form: str) -> None:
    assert read_pairs("\n\n".join(form.format(*pair) for pair in pairs)) == tuple(pairs)


@given(st.text(max_size=300))
def test_read_pairs_and_bullets_invent_nothing(text: str) -> None:
    for question, reply in read_pairs(text):
        assert question in text
        assert reply in text
    flat = " ".join(text.split())
    assert all(bullet in flat for bullet in read_bullets(text))


def test_read_pairs_leaves_out_a_question_without_an_answer() -> None:
    assert read_pairs("Question: Why?\nQuestion: How?\nAnswer: So.") == (("How?", "So."),)
    assert read_pairs("Question: Why?\nAnswer: So.\nAnswer: Or not.") == ()


@given(st.integers(0, 2**32), st.integers(1, 2000), st.integers(1, 8))
def test_sample_pairs_keeps_some_of_them_and_the_same_for_a_seed(seed: int, tokens: int, count: int) -> None:
    pairs = tuple((f"q{number}", f"a{number}") for number in range(count))
    state = random.getstate()
    kept = sample_pairs(pairs, source_tokens=tokens, seed=seed)
    assert kept == sample_pairs(pairs, source_tokens=tokens, seed=seed)
    assert random.getstate() == state
    assert 1 <= len(kept) <= max(1, 8 * tokens // 150)
    assert len(set(kept)) == len(kept)
    assert set(kept) <= set(pairs)


def test_a_list_of_facts_loses_its_lead_and_its_marks() -> None:
    assert (
        tidy("knowledge_list", answered("These are the facts:\n- Bees warm.\n- They shiver\n  in turns.\n\nThat is all.")).text
        == "Bees warm.\nThey shiver in turns."
    )


def test_what_ran_out_of_tokens_loses_its_last_piece_and_prose_is_lost_whole() -> None:
    assert tidy("knowledge_list", answered("- Bees warm.\n- They shi", cut_off=True)).text == "Bees warm."
    assert tidy("diverse_qa", answered("Question: Why?\nAnswer: So.\nQuestion: How?\nAnswer: By shi", cut_off=True)).text == "Question: Why?\nAnswer: So."
    assert tidy("distil", answered("Bees wa", cut_off=True)).fault == "truncated_rewrite"


@pytest.mark.parametrize(
    ("kind", "text", "fault"),
    [("diverse_qa", "Bees warm.", "no_question_with_answer"), ("knowledge_list", "Bees.", "no_list"), ("distil", " ", "empty_answer")],
)
def test_an_answer_of_another_form_is_named(kind: str, text: str, fault: str) -> None:
    assert tidy(kind, answered(text)).fault == fault
