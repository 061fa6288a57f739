"""Programs: new problems, solutions to ours that run, and a verdict on a solution by looking at its code."""

import ast
import re

from infra.triton.rehearsal_language.draw import Draw
from infra.triton.rehearsal_language.requests import programming_keywords, programming_problems

_SOLUTIONS: tuple[tuple[str, str], ...] = (
    (
        "largest three",
        "def largest_three(numbers):\n    if not numbers:\n        raise ValueError('the list is empty')\n    return sorted(numbers, reverse=True)[:3]",
    ),
    (
        "count its words",
        "from collections import Counter\n\n\ndef count_words(text):\n    return Counter(text.lower().split()).most_common()",
    ),
    (
        "add, find and remove",
        "class Entries:\n    def __init__(self):\n        self._found = {}\n\n    def add(self, key, value):\n        self._found[key] = value\n\n"
        "    def find(self, key):\n        return self._found.get(key)\n\n    def remove(self, key):\n        self._found.pop(key, None)",
    ),
    (
        "sum for each name",
        "def sum_by_name(lines):\n    sums = {}\n    for line in lines:\n        name, _, number = line.partition(',')\n        try:\n"
        "            sums[name] = sums.get(name, 0) + float(number)\n        except ValueError:\n            continue\n    return sums",
    ),
    (
        "brackets",
        "def first_fault(text):\n    pairs, opened = {')': '(', ']': '[', '}': '{'}, []\n    for place, char in enumerate(text):\n        if char in '([{':\n"
        "            opened.append((char, place))\n        elif char in pairs and (not opened or opened.pop()[0] != pairs[char]):\n            return place\n"
        "    return opened[-1][1] if opened else None",
    ),
    ("two sorted lists", "from heapq import merge\n\n\ndef merged(first, second):\n    return list(merge(first, second))"),
    (
        "last ten results",
        "from functools import lru_cache\n\n\n@lru_cache(maxsize=10)\ndef compute(value):\n    return sum(number * number for number in range(value))",
    ),
    ("splits a path", "def split_path(path):\n    return [part for part in path.split('/') if part]"),
)
"""Words of a problem that this model poses, and a program that solves it."""

_OTHER = "def solve(values):\n    result = []\n    for value in values:\n        if value not in result:\n            result.append(value)\n    return result"
_CODE = re.compile(r"```\w*\n(.*?)```", re.DOTALL)


def new_problem(draw: Draw) -> str:
    """Pose a problem about a keyword."""
    (keyword,) = programming_keywords(1, draw)
    (problem,) = programming_problems(keyword, 1, draw)
    return problem


def is_known(text: str) -> bool:
    """Say whether a text asks for a Python function that this model can write."""
    return "python function" in text.lower() and any(words in text for words, _ in _SOLUTIONS)


def solve(problem: str, draw: Draw, *, wrong_rate: float) -> str:
    """Solve a problem that this model could have posed; any other with code that runs and does something else. At the wrong rate it breaks off."""
    code = next((code for words, code in _SOLUTIONS if words in problem), _OTHER)
    if draw.chance(wrong_rate):
        code = code[: len(code) * 2 // 3] + " ("
    return f"{draw.pick(('Here is a solution.', 'One way is this:', ''))}\n\n```python\n{code}\n```\n".lstrip()


def judge(judged: str, draw: Draw, *, malformed_rate: float) -> str:
    """Say whether a solution compiles and is more than the stopgap; at the malformed rate, nothing that could be taken for a verdict."""
    if draw.chance(malformed_rate):
        return "It depends on what the problem is to be used for."
    found = _CODE.search(judged)
    if not found or not _compiles(found[1]):
        return "The code does not compile.\nVerdict: unfit"
    if found[1].strip() == _OTHER:
        return "The code runs, but does not do what the problem asks for.\nVerdict: unfit"
    return "The problem is clear, and the code does what it asks for.\nVerdict: fit"


def _compiles(code: str) -> bool:
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True
