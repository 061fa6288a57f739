"""Runs the Python of an answer against tests, in a sandbox.

The expected value is JSON, `{"tests": "…", "entry_point": "…", "setup": "…"}`, of which the last two may be left out: the function that the
tests' `check(candidate)` is called with (HumanEval's form; MBPP's is plain asserts), and code that runs before the tests, beside them. The answer's
code is all its fenced blocks of Python that compile, in their order, or the whole answer where nothing is fenced. Only Python's own library
can be imported. What the sandbox bounds is told in tasks/sandbox/jail.py.
"""

import ast
import re
import warnings

from pydantic import Field, ValidationError

from schemas.recipe import Strict
from schemas.records import Verdict
from tasks.sandbox.jail import run_tests

NAME = "python_tests"

_FENCED = re.compile(r"^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<tag>[\w+-]*)[^\n]*\n(?P<body>.*?)(?:^[ \t]*(?P=fence)|\Z)", re.MULTILINE | re.DOTALL)
_TAGS = frozenset({"", "python", "python3", "py"})
_LONGEST_FOUND = 4000
_LONGEST_ANSWER = 200_000
_CHECKED = re.compile(r"^def check\(", re.MULTILINE)


class Expected(Strict):
    """What the reference holds."""

    tests: str = Field(min_length=1)
    entry_point: str | None = Field(None, pattern=r"^[A-Za-z_]\w*$")
    setup: str = ""


def verify(answer: str, expected: str) -> Verdict:
    """Run an answer's code and then its tests. Raises SettingsError where this machine allows no sandbox."""
    try:
        wanted = Expected.model_validate_json(expected)
    except ValidationError as error:
        return Verdict(NAME, False, expected, None, f"the reference can't be read: {error.errors()[0]['msg']}")
    code = find_code(answer[:_LONGEST_ANSWER])
    if code is None:
        return Verdict(NAME, False, expected, None, "no Python that compiles in the answer")
    outcome = run_tests(code, _tests(wanted))
    detail = "all tests passed" if outcome.finished else outcome.error
    return Verdict(NAME, outcome.finished, expected, code[:_LONGEST_FOUND], detail)


def find_code(answer: str) -> str | None:
    """Find the Python of an answer."""
    blocks = [block["body"] for block in _FENCED.finditer(answer) if block["tag"].lower() in _TAGS]
    good = [block for block in blocks or [answer] if block.strip() and _compiles(block)]
    return "\n\n".join(good) if good else None


def _compiles(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _tests(wanted: Expected) -> str:
    call = f"check({wanted.entry_point})" if wanted.entry_point and _CHECKED.search(wanted.tests) else ""
    return "\n\n".join((wanted.setup, wanted.tests, call))
