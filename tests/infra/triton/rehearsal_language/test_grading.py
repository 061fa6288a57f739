from statistics import mean

import pytest

from infra.triton.rehearsal_language.grading import ATTRIBUTES, grade
from infra.triton.rehearsal_language.speak import Asked, Temper, speak
from tests.infra.triton.wire import a_conversation, a_prompt

QUESTION = "Why do glaciers matter to hydrologists?"
GOOD = (
    "Glaciers matter to hydrologists because they store winter snow and release it as water in summer. For example, rivers below glaciers keep flowing "
    "in dry months. Without glaciers, hydrologists would have to plan larger reservoirs, and farms downstream would suffer first."
)


def grades(question: str, answer: str) -> dict[str, float]:
    return dict(zip(ATTRIBUTES, grade(a_conversation(question, answer)), strict=True))


@pytest.mark.parametrize(
    ("worse", "attribute"),
    [
        ("I'm sorry, but I can't help with that request.", "helpfulness"),
        ("My aunt collects porcelain owls and sells them at fairs. They are small, white and popular with children everywhere.", "correctness"),
        (" ".join(["Glaciers move slowly down the valley."] * 12), "coherence"),
        ("Glaciers do.", "complexity"),
        ("Glaciers give water.", "verbosity"),
        ("Diese Frage lässt sich nicht in einem Satz beantworten, denn es kommt auf die Umstände an, und zwar auf viele davon.", "coherence"),
        ("", "helpfulness"),
    ],
    ids=["refusal", "off topic", "repetition", "simple", "short", "language", "empty"],
)
def test_grade_gives_less_for(worse: str, attribute: str) -> None:
    assert grades(QUESTION, worse)[attribute] + 0.5 < grades(QUESTION, GOOD)[attribute]


def test_grade_checks_arithmetic() -> None:
    question = "What is 12 * 12?"
    right, wrong = (grades(question, f"12 * 12 = {number}.\nThe answer is {number}.") for number in (144, 142))
    assert right["correctness"] > wrong["correctness"] + 2
    assert right["helpfulness"] > wrong["helpfulness"] + 0.5


def test_grade_checks_equations_in_solutions_to_problems_that_it_can_not_solve() -> None:
    question = "Natalia sold 48 clips in April and half as many in May. How many clips did Natalia sell?"
    right = grades(question, "Natalia sold 48 / 2 = 24 clips in May, so 48 + 24 = 72 clips in all.")
    wrong = grades(question, "Natalia sold 48 / 2 = 26 clips in May, so 48 + 26 = 79 clips in all.")
    assert right["correctness"] > wrong["correctness"] + 1


def test_grade_stays_within_the_scale_and_depends_on_the_content_alone() -> None:
    for seed in range(60):
        answer = speak(Asked(a_prompt(QUESTION), 400, seed=seed), Temper(0, 0.2, 0.3, 0.2, 0.2)).text
        given = grade(a_conversation(QUESTION, answer))
        assert all(0 <= score <= 4.25 for score in given)
        assert given == grade(a_conversation(QUESTION, answer))


def test_grade_spreads_the_samples_of_one_prompt() -> None:
    scores = sorted(grade(a_conversation(QUESTION, speak(Asked(a_prompt(QUESTION), 400, seed=seed), Temper()).text))[0] for seed in range(80))
    assert mean(scores[-20:]) > mean(scores[:20]) + 1


def test_grade_knows_no_question_in_a_raw_text() -> None:
    assert len(grade("Just some words.")) == len(ATTRIBUTES)
