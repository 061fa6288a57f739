import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import SettingsError
from tasks.sandbox.jail import run_program
from tasks.verifiers.python_tests import find_code, verify

DATA = Path(os.environ.get("GRISTMILL_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
Case = tuple[str, str, bool]

pytestmark = pytest.mark.usefixtures("sandbox")


@pytest.fixture(scope="module")
def sandbox() -> None:
    try:
        run_program("pass")
    except SettingsError as error:
        pytest.skip(str(error))


def expect(tests: str, **others: str) -> str:
    return json.dumps({"tests": tests, **others})


def test_verify_passes_code_that_passes_its_tests() -> None:
    answer = "Sure:\n```python\ndef double(x):\n    return 2 * x\n```\nUse it so:\n```\n>>> double(2)\n4\n```\n"
    verdict = verify(answer, expect("assert double(4) == 8"))
    assert (verdict.passed, verdict.detail) == (True, "all tests passed")
    assert verdict.found == "def double(x):\n    return 2 * x\n"


def test_verify_calls_check_with_the_entry_point_after_the_setup() -> None:
    tests = "def check(candidate):\n    assert candidate(LIMIT) == 6"
    assert verify("def twice(x):\n    return 2 * x", expect(tests, entry_point="twice", setup="LIMIT = 3")).passed
    assert not verify("def twice(x):\n    return x", expect(tests, entry_point="twice", setup="LIMIT = 3")).passed


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ("def double(x):\n    return x", "AssertionError"),
        ("I can't write code.", "no Python that compiles"),
        ("", "no Python that compiles"),
        ("import os; os._exit(0)", "ended before its last line"),
        ("raise SystemExit", "SystemExit"),
        ("```python\nimport unknown_library\n```", "ModuleNotFoundError"),
    ],
)
def test_verify_fails_other_code_and_says_why(answer: str, detail: str) -> None:
    verdict = verify(answer, expect("assert double(4) == 8"))
    assert not verdict.passed
    assert detail in verdict.detail


@pytest.mark.parametrize("expected", ["", "{}", expect(""), expect("pass", entry_point="a b")])
def test_verify_says_that_a_reference_cannot_be_read(expected: str) -> None:
    assert "the reference can't be read" in verify("pass", expected).detail


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("x = 1", "x = 1"),
        ("```py\nx = 1\n```\n~~~python\ny = 2\n~~~", "x = 1\n\n\ny = 2\n"),
        ("```python\nx = 1", "x = 1"),
        ("```bash\npip install x\n```\n```python\nx = 1\n```", "x = 1\n"),
        ("```python\nx = = 1\n```", None),
        ("Just words, no code.", None),
    ],
)
def test_find_code_joins_the_blocks_that_compile(answer: str, code: str | None) -> None:
    assert find_code(answer) == code


def rows(name: str) -> list[dict[str, Any]]:
    if not (DATA / name).exists():
        pytest.skip(f"no {name} in {DATA}: set GRISTMILL_SHARED_DATA")
    return [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]


def human_eval() -> list[tuple[str, str, str]]:
    """Answer, an answer broken on purpose, and expected value."""
    return [
        (
            row["prompt"] + row["canonical_solution"],
            row["prompt"] + "    return object()\n",
            expect(row["test"], entry_point=row["entry_point"]),
        )
        for row in rows("humaneval.jsonl")
    ]


def mbpp() -> list[tuple[str, str, str]]:
    """Answer, another task's answer, and expected value."""
    tasks = rows("mbpp.jsonl")
    return [
        (f"```python\n{row['code']}\n```", tasks[at - 1]["code"], expect("\n".join(row["test_list"]), setup=row["test_setup_code"]))
        for at, row in enumerate(tasks)
        if row["reference_result"] == "pass"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("cases", "count"), [(human_eval, 102), (mbpp, 456)])
def test_verify_passes_every_reference_solution_and_fails_every_broken_one(cases: Any, count: int) -> None:
    given = cases()
    with ThreadPoolExecutor(2) as pool:
        good = list(pool.map(lambda case: verify(case[0], case[2]), given))
        bad = list(pool.map(lambda case: verify(case[1], case[2]), given))
    assert [verdict.detail for verdict in good if not verdict.passed] == []
    assert [verdict.found for verdict in bad if verdict.passed] == []
    assert len(given) == count
