"""Solve: our own word problems, plain arithmetic, small list puzzles; and guess at other word problems."""

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction

from infra.triton.rehearsal_language.draw import Draw
from infra.triton.rehearsal_language.pattern import Solution
from infra.triton.rehearsal_language.problems import solve_problem

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_EXPRESSION = re.compile(r"(?:what is|calculate|compute|evaluate|work out|how much is)\s+([-+*/×÷x().\d\s^]*\d[-+*/×÷x().\d\s^]*)", re.IGNORECASE)
_PUZZLE = re.compile(r"\b(largest|smallest|sum|sort|order|count)\b[^:]*:\s*((?:-?\d+\s*(?:,|and)?\s*){2,})", re.IGNORECASE)
_ASKS_NUMBER = re.compile(r"\b(how (?:many|much|long|far|old|tall)|what (?:is|was|will be) the (?:total|sum|average|number|price|cost))\b", re.IGNORECASE)
_HINTS: tuple[tuple[str, str], ...] = (
    (r"\b(left|remain|fewer|change|difference|spent|lost)\b", "-"),
    (r"\b(each|every|per|times|twice|dozen)\b", "*"),
    (r"\b(share|split|divide|half)\b", "/"),
)
_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_LONGEST_EXPRESSION = 80


def looks_mathematical(text: str) -> bool:
    """Tell whether a question wants a number out of numbers."""
    return solve(text) is not None or bool(_ASKS_NUMBER.search(text) and len(_NUMBER.findall(text)) > 1)


def solve(text: str) -> Solution | None:
    """Solve what can really be solved; None for anything else."""
    return solve_problem(text) or _solve_expression(text) or _solve_puzzle(text)


def write_solution(question: str, draw: Draw, *, wrong_rate: float) -> str:
    """Answer a mathematical question in steps, ending with its number; at the wrong rate with a plausible wrong one."""
    solution = solve(question) or _guess(question, draw)
    if draw.chance(wrong_rate):
        solution = _spoil(solution, draw)
    lead = draw.pick(("Let us go step by step.", "", "We work it out in order.", "Here is the calculation."))
    steps = "\n".join(solution.steps)
    return f"{lead}\n{steps}\nThe answer is {solution.answer}.".strip()


def _spoil(solution: Solution, draw: Draw) -> Solution:
    wrong = solution.answer + draw.pick((-10, -2, -1, 1, 2, 10, max(1, abs(solution.answer))))
    last = re.sub(rf"(= ){solution.answer}\b", rf"\g<1>{wrong}", solution.steps[-1]) if solution.steps else ""
    return Solution((*solution.steps[:-1], last), wrong)


def _solve_expression(text: str) -> Solution | None:
    found = _EXPRESSION.search(text)
    if not found or len(found[1]) > _LONGEST_EXPRESSION:
        return None
    written = found[1].strip().rstrip(".")
    try:
        value = _evaluate(ast.parse(written.translate({0xD7: "*", 0xF7: "/", ord("x"): "*"}), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError):
        return None
    return Solution((f"{written} = {value.numerator}.",), value.numerator) if value.denominator == 1 else None


def _evaluate(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return Fraction(str(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_evaluate(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_evaluate(node.left), _evaluate(node.right))
    raise ValueError("not plain arithmetic")


def _solve_puzzle(text: str) -> Solution | None:
    found = _PUZZLE.search(text)
    if not found:
        return None
    numbers = [int(one) for one in re.findall(r"-?\d+", found[2])]
    ordered = sorted(numbers)
    in_order = f"In order the numbers are {', '.join(map(str, ordered))}."
    match found[1].lower():
        case "largest":
            return Solution((in_order,), ordered[-1])
        case "smallest" | "sort" | "order":
            return Solution((in_order,), ordered[0])
        case "count":
            return Solution((in_order,), len(numbers))
        case _:
            return Solution((f"{' + '.join(map(str, numbers))} = {sum(numbers)}.",), sum(numbers))


def _guess(text: str, draw: Draw) -> Solution:
    """Do what a weak model does with a problem that it does not understand: take two numbers and the operation that the words suggest."""
    numbers = [int(float(one.replace(",", ""))) for one in _NUMBER.findall(text)] or [draw.number(2, 20)]
    first, second = numbers[0], draw.pick(numbers[1:] or [draw.number(2, 9)])
    sign = next((sign for hint, sign in _HINTS if re.search(hint, text, re.IGNORECASE)), "+")
    result = {"+": first + second, "-": abs(first - second), "*": first * second, "/": first // second if second else first}[sign]
    low, high = sorted((first, second))
    shown = f"{high} - {low}" if sign == "-" else f"{first} {sign} {second}"
    return Solution((f"From the text we take {first} and {second}.", f"Then {shown} = {result}."), result)
