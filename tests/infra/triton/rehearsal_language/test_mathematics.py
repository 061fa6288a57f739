import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.triton.rehearsal_language.draw import Draw
from infra.triton.rehearsal_language.mathematics import looks_mathematical, solve, write_solution
from infra.triton.rehearsal_language.pattern import Pattern
from infra.triton.rehearsal_language.problems import PATTERNS, pose_problems, solve_problem


@pytest.mark.parametrize("pattern", PATTERNS, ids=[pattern.about.split()[0] + str(number) for number, pattern in enumerate(PATTERNS)])
@given(seed=st.integers(0, 10**9))
def test_every_problem_is_solved_by_its_own_pattern(pattern: Pattern, seed: int) -> None:
    problem = pattern.pose(Draw(seed))
    solution = solve_problem(f"Please solve this. {problem} Explain each step.")
    assert solution == pattern.solve(problem)
    assert solution is not None
    assert solution.answer >= 0
    assert solution.steps[-1].find(f"= {solution.answer}") > 0


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("What is 12 * (3 + 4)?", 84),
        ("Calculate 100 - 58.", 42),
        ("How much is 84 ÷ 7?", 12),
        ("Compute 7 × -6", -42),
        ("What is the largest of these numbers: 3, 91, 20?", 91),
        ("Give the sum of: 10, 20 and 30.", 60),
        ("Emil is 10 years old and has a sister who is 4 years older. What will be the sum of their ages in 3 years?", 30),
    ],
)
def test_solve_finds_the_number(text: str, answer: int) -> None:
    solution = solve(text)
    assert solution is not None
    assert solution.answer == answer


@pytest.mark.parametrize("text", ["What is love?", "What is 1 / 3?", "What is 5 / 0?", "What is 2 ** 9999999?", "Why do glaciers move?", "What is ((((1?", ""])
def test_solve_leaves_alone_what_it_can_not_solve(text: str) -> None:
    assert solve(text) is None


@given(st.text(max_size=300))
def test_solve_never_fails(text: str) -> None:
    solve(text)
    looks_mathematical(text)


def test_looks_mathematical_knows_a_word_problem_of_others() -> None:
    question = "Natalia sold clips to 48 of her friends in April, and then 24 in May. How many clips did Natalia sell altogether?"
    assert looks_mathematical(question)
    assert write_solution(question, Draw(1), wrong_rate=0).rsplit("\n", 1)[-1].startswith("The answer is ")


def test_pose_problems_prefers_the_topic() -> None:
    assert all("percent" in problem for problem in pose_problems("Discounts and percentages", 1, Draw(3)))
    assert len(set(pose_problems("anything", 20, Draw(3)))) == 20
