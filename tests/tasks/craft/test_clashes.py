from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.craft.clashes import clash, clashes_with_prompt, fits
from tasks.craft.constraints import CONSTRAINTS, Constraint, draw_constraint

PLAIN = "Why is the sky blue?"


def a(kind: str, **arguments: Any) -> Constraint:
    return Constraint(kind, "…", arguments)


@pytest.mark.parametrize(
    ("constraint", "prompt"),
    [
        (a("keywords:forbidden_words", forbidden_words=["always", "never"]), "Why do cats always land on their feet?"),
        (a("length_constraints:number_words", relation="at least", num_words=300), "Say in two sentences why the sky is blue."),
        (a("length_constraints:number_paragraphs", num_paragraphs=4), "Write a short note to my neighbour."),
        (a("detectable_format:json_format"), "Write a poem about rain."),
        (a("detectable_format:number_bullet_lists", num_bullets=4), "Compare both in a table."),
        (a("change_case:english_lowercase"), "Write a Python function that sorts."),
        (a("change_case:english_capital"), "なぜ空は青いのですか"),
        (a("punctuation:no_comma"), "List the seven wonders, separated by commas."),
    ],
    ids=lambda one: one.kind if isinstance(one, Constraint) else None,
)
def test_a_constraint_clashes_with_a_prompt_that_sets_it_otherwise(constraint: Constraint, prompt: str) -> None:
    assert clashes_with_prompt(constraint, prompt)
    assert not clashes_with_prompt(constraint, PLAIN)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (a("change_case:english_capital"), a("change_case:english_lowercase")),
        (a("startend:quotation"), a("startend:end_checker", end_phrase="Now it is your turn.")),
        (a("detectable_format:json_format"), a("detectable_format:title")),
        (a("combination:two_responses"), a("length_constraints:number_paragraphs", num_paragraphs=3)),
        (
            a("length_constraints:number_words", relation="less than", num_words=40),
            a("length_constraints:number_sentences", relation="at least", num_sentences=12),
        ),
        (a("length_constraints:number_sentences", relation="less than", num_sentences=4), a("length_constraints:number_paragraphs", num_paragraphs=5)),
        (
            a("keywords:letter_frequency", let_relation="less than", letter="w", let_frequency=4),
            a("keywords:frequency", relation="at least", keyword="however", frequency=4),
        ),
    ],
    ids=lambda one: one.kind,
)
def test_constraints_clash_whichever_comes_first(first: Constraint, second: Constraint) -> None:
    assert clash(first, second)
    assert clash(second, first)


def test_constraints_of_different_matters_go_together() -> None:
    assert not clash(a("punctuation:no_comma"), a("length_constraints:number_words", relation="at least", num_words=100))
    assert not clash(a("keywords:existence", keywords=["balance"]), a("detectable_format:title"))


@given(st.sampled_from(CONSTRAINTS), st.sampled_from(CONSTRAINTS), st.integers(0, 1000))
def test_whether_two_constraints_clash_is_always_known_and_symmetric(first: str, second: str, seed: int) -> None:
    one, other = draw_constraint(first, seed), draw_constraint(second, seed + 1)
    assert clash(one, other) == clash(other, one)
    assert fits(one, PLAIN, []) == (not clashes_with_prompt(one, PLAIN))
    assert first != second or clash(one, other)
