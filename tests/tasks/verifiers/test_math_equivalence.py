import gzip
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tasks.sandbox.guarded import close_comparers
from tasks.verifiers.math_equivalence import verify

DATA = Path(os.environ.get("GRISTMILL_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture(autouse=True, scope="module")
def comparers() -> Iterator[None]:
    yield
    close_comparers()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (r"So it is $\boxed{\frac{1}{2}}$.", "0.5"),
        (r"\boxed{2\sqrt{2}}", r"\sqrt{8}"),
        (r"First $3$, then $\boxed{7}$ of $9$", "7"),
        (r"\boxed{\{2, 1\}}", r"\{1, 2\}"),
        (r"\boxed{224, -176}", "224, -176"),
        (r"\framebox{204}", "204"),
        (r"\boxed{\textbf{(019)}}", "19"),
        (r"$x^2 + 2x + 1$", "(x+1)^2"),
        ("The answer is 42.", r"Worked: $40 + 2 = \boxed{42}$"),
        (r"\boxed{1,234}", "1234"),
    ],
)
def test_verify_passes_what_is_mathematically_equal(answer: str, expected: str) -> None:
    verdict = verify(answer, expected)
    assert verdict.passed, verdict
    assert verdict.found


@pytest.mark.parametrize(
    ("answer", "expected", "detail"),
    [
        (r"\boxed{3}", "4", "not equivalent"),
        (r"\boxed{-176}", "224, -176", "not equivalent"),
        ("", "4", "no expression in the answer"),
        (r"\boxed{4}", "", "no expression in the reference"),
        (r"\boxed{" + "{" * 3000, "4", ""),
        (r"\boxed{9^{9^{9^{9^{9}}}}}", "4", ""),
        ("\ud800\x00 4", "5", ""),
    ],
    ids=["other", "one-of-two", "empty", "no-reference", "braces", "tower", "garbage"],
)
def test_verify_fails_everything_else_without_raising(answer: str, expected: str, detail: str) -> None:
    verdict = verify(answer, expected)
    assert not verdict.passed
    assert detail in verdict.detail


def test_verify_works_in_threads() -> None:
    with ThreadPoolExecutor(2) as pool:
        verdicts = list(pool.map(lambda number: verify(rf"\boxed{{\frac{{{2 * number}}}{{2}}}}", str(number)), range(1, 21)))
    assert all(verdict.passed for verdict in verdicts)


def rows(name: str) -> list[dict[str, Any]]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no {name} in {DATA}: set GRISTMILL_SHARED_DATA")
    raw = path.read_bytes()
    return [json.loads(line) for line in (gzip.decompress(raw) if name.endswith(".gz") else raw).splitlines()]


def test_verify_agrees_with_the_answers_of_competitions() -> None:
    tasks = rows("comp_math_24_25.jsonl")
    solved = [task for task in tasks if task["reference_solution"]]
    assert [task["id"] for task in tasks if not verify(rf"\boxed{{{task['expected_answer']}}}", task["expected_answer"]).passed] == []
    differing = [task["id"] for task in solved if not verify(task["reference_solution"], task["expected_answer"]).passed]
    assert (len(tasks), len(solved), differing) == (116, 32, [])


def test_verify_fails_the_answer_to_another_problem() -> None:
    answers = list(dict.fromkeys(task["expected_answer"] for task in rows("comp_math_24_25.jsonl")))
    passed = [(one, other) for one, other in pairwise(answers) if verify(rf"\boxed{{{one}}}", other).passed]
    assert passed == []


@pytest.mark.slow
def test_verify_agrees_with_the_recorded_verdicts_on_marked_answers() -> None:
    solutions = rows("gsm8k_model_solutions.jsonl.gz")
    judged = [verify(f"${row['marked_answer']}$" if row["marked_answer"] else "", row["gold"]).passed for row in solutions]
    assert [row["row"] for row, passed in zip(solutions, judged, strict=True) if passed != row["is_correct"]] == []
    assert len(solutions) == 2736
