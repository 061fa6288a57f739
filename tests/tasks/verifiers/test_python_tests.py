import ast
import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Task:
    """One task of a benchmark."""

    solution: str
    expected: str

    @property
    def broken(self) -> str:
        """The solution with every function of it made to give what no test can want."""
        return self.solution + "".join(f"\n\ndef {name}(*given, **named):\n    return object()\n" for name in self.functions)

    def put_to(self, other: "Task") -> str:
        """The solution, under the name that another task's tests call."""
        return self.solution + "".join(f"\n\n{name} = {self.functions[-1]}\n" for name in other.functions[-1:] if self.functions)

    @property
    def functions(self) -> list[str]:
        with warnings.catch_warnings(action="ignore"):  # of escapes in the benchmark's own code
            return [node.name for node in ast.parse(self.solution).body if isinstance(node, ast.FunctionDef)]


def human_eval() -> list[Task]:
    return [Task(row["prompt"] + row["canonical_solution"], expect(row["test"], entry_point=row["entry_point"])) for row in rows("humaneval.jsonl")]


def mbpp() -> list[Task]:
    passing = [row for row in rows("mbpp.jsonl") if row["reference_result"] == "pass"]
    return [Task(row["code"], expect("\n".join(row["test_list"]), setup=row["test_setup_code"])) for row in passing]


@pytest.mark.slow
@pytest.mark.parametrize(("tasks", "count", "same"), [(human_eval, 102, []), (mbpp, 456, ["add_list = sum_list"])], ids=["humaneval", "mbpp"])
def test_verify_passes_every_reference_solution_and_fails_every_broken_or_crossed_one(tasks: Any, count: int, same: list[str]) -> None:
    """Each solution whole, broken on purpose, and put to the tests of the task after it under the name that those call.

    Once, two neighbours ask for the same: to add two lists, item by item.
    """
    given: list[Task] = tasks()
    whole = [(f"```python\n{one.solution}\n```", one.expected) for one in given]
    broken = [(one.broken, one.expected) for one in given]
    crossed = [(one.put_to(other), other.expected) for one, other in zip(given, [*given[1:], given[0]], strict=True)]
    with ThreadPoolExecutor(2) as pool:
        good = list(pool.map(lambda case: verify(*case), whole))
        bad = list(pool.map(lambda case: verify(*case), broken + crossed))
    assert [verdict.detail for verdict in good if not verdict.passed] == []
    assert [(verdict.found or "").splitlines()[-1] for verdict in bad if verdict.passed] == same
    assert len(given) == count
