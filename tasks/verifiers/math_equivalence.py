r"""Compares the final expression of an answer with the expected one by their mathematics: math-verify's verdict.

A `\boxed{}` counts before other LaTeX, LaTeX before a bare expression; `\frac12`, `0.5` and `1/2` are equal, as are sets in any order. The
comparison is done in a process apart with limits on time and memory; what can't be compared within them did not pass, and says so.
"""

from schemas.records import Verdict
from tasks.sandbox.guarded import compare_expressions

NAME = "math_equivalence"

# The result stands at the end; reading LaTeX takes time that grows with its length.
_LONGEST_ANSWER = 10_000
_LONGEST_EXPECTED = 5_000
_BOX = r"\boxed{"


def verify(answer: str, expected: str) -> Verdict:
    """Compare an answer's final expression with the expected one, which may itself be a worked solution."""
    reply = compare_expressions(answer[-_LONGEST_ANSWER:], expected[-_LONGEST_EXPECTED:])
    if reply is None:
        return Verdict(NAME, False, expected, None, "took too long to compare, or too much memory")
    return Verdict(NAME, reply["passed"], expected, reply["found"], reply["detail"])


def read(answer: str) -> str | None:
    """Read what an answer puts in its last box; an answer without a box has no result that can be told from its working."""
    start = answer.rfind(_BOX)
    if start < 0:
        return None
    inside = answer[start + len(_BOX) :][:_LONGEST_EXPECTED]
    depth = 1
    for at, char in enumerate(inside):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if not depth:
            return inside[:at].strip() or None
    return None
