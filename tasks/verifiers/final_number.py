r"""Compares the final number of an answer with the expected one: GSM8K's convention.

Where the answer marks its result (`#### 42`, `\boxed{42}`, `The answer is 42`, a line `A: 42`), the mark counts, else the last number.
Thousands commas, currency, percent signs and units are put aside; fractions, decimals and mixed numbers are compared exactly.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from schemas.records import Verdict

NAME = "final_number"

# Digits are bounded so that a model can't make us compute with a number of a million digits.
_DIGITS = r"(?:\d{1,3}(?:,\d{2,3})*,\d{3}(?!\d)|\d{1,80})"
_NUMBER = re.compile(
    rf"""(?<![\w.])(?P<sign>(?<![\d)\]%])[-+])?[$€£¥]?(?P<minus>-)?
    (?:(?P<mixed>\d{{1,9}})[ ](?P<top>\d{{1,9}})/(?P<bottom>\d{{1,9}})(?![\d/])
    |(?P<whole>{_DIGITS})?(?P<decimals>(?:\.\d{{1,80}}))?(?:[eE](?P<power>[-+]?\d{{1,2}})(?!\w))?(?:[ ]?/[ ]?(?P<under>{_DIGITS})(?![\d/]))?)
    (?![\d])""",
    re.VERBOSE,
)
_SENTENCE_END = re.compile(r"\n|[.!?](?:\s|$)")
_SPOKEN = re.compile(
    r"\banswer(?:\s{1,9}(?:is|was|equals|would\s{1,9}be|=)|\s{0,9}[:=])[\s:*_]{0,20}|^[ \t*_>]{0,20}A(?:nswer)?[*_]*[ \t]*:[ \t*_]*",
    re.IGNORECASE | re.MULTILINE,
)
_MARKS = (("after ####", re.compile(r"####")), ("in a box", re.compile(r"\\boxed[ ]?\{")), ("after 'answer'", _SPOKEN))
_MOST_MARKS = 3
_LONGEST_PIECE = 500
_CALCULATION = re.compile(r"<<[^<>\n]*>>")
_LATEX = (
    (re.compile(r"(-)?\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r" \1\2/\3 "),
    (re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\{,\}|\\,(?=\d{3})"), ","),
    (re.compile(r"\\[,;:! ]|\\(?:left|right)\b"), ""),
    (re.compile(r"\\([$%#_&])"), r"\1"),
)
_PLAIN = str.maketrans({"\u2212": "-", "\u2013": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\uff0c": ",", "\u2044": "/"})


@dataclass(frozen=True, slots=True)
class Found:
    """A number as it was read."""

    value: Fraction
    text: str
    where: str


def verify(answer: str, expected: str) -> Verdict:
    """Compare an answer's final number with the expected one, which may itself be a worked solution."""
    wanted = find_final_number(expected)
    found = find_final_number(answer)
    if wanted is None:
        return Verdict(NAME, False, expected, found.text if found else None, "no number in the reference")
    if found is None:
        return Verdict(NAME, False, wanted.text, None, "no number in the answer")
    return Verdict(NAME, found.value == wanted.value, wanted.text, found.text, found.where)


def read(answer: str) -> str | None:
    """Read an answer's final number, written plainly."""
    found = find_final_number(answer)
    return str(found.value) if found else None


def find_final_number(text: str) -> Found | None:
    """Read the number that a text ends up with."""
    text = _simplify(text)
    for where, piece in _marked(text):
        found = _first_number(piece, where)
        if found:
            return found
    numbers = list(_numbers(text, "the last number"))
    return numbers[-1] if numbers else None


def _simplify(text: str) -> str:
    text = _CALCULATION.sub("", text.translate(_PLAIN))
    for pattern, plain in _LATEX:
        text = pattern.sub(plain, text)
    return text


def _marked(text: str) -> Iterator[tuple[str, str]]:
    """Give the pieces of text that are marked as the result, the most reliable kind first, later ones before earlier ones."""
    for where, mark in _MARKS:
        for match in list(mark.finditer(text))[: -_MOST_MARKS - 1 : -1]:
            yield where, text[match.end() : match.end() + _LONGEST_PIECE]


def _first_number(piece: str, where: str) -> Found | None:
    """Read the first number of a marked piece's first sentence with a number in it, or what its calculation comes to."""
    if where == "after ####":
        piece = piece.partition("\n")[0]
    elif where == "in a box":
        piece = piece.partition("}")[0]
    first = next(_numbers(piece, where), None)
    if first is None:
        return None
    begin = piece.find(first.text)
    end = _SENTENCE_END.search(piece, begin + len(first.text))
    sentence = piece[begin : end.start() if end else None]
    results = [number for part in sentence.split("=")[1:] for number in _numbers(part, where)]
    return results[-1] if results else first


def _numbers(text: str, where: str) -> Iterator[Found]:
    for match in _NUMBER.finditer(text):
        value = _value(match)
        if value is not None:
            yield Found(value, match.group().strip(), where)


def _value(match: re.Match[str]) -> Fraction | None:
    if match["mixed"]:
        if not int(match["bottom"]):
            return None
        size = int(match["mixed"]) + Fraction(int(match["top"]), int(match["bottom"]))
    elif match["whole"] or match["decimals"]:
        size = Fraction(f"{_digits(match['whole'])}{match['decimals'] or ''}") * Fraction(10) ** int(match["power"] or 0)
        under = int(_digits(match["under"] or "1"))
        if not under:
            return None
        size /= under
    else:
        return None
    negative = match["sign"] == "-" or match["minus"] is not None
    return -size if negative else size


def _digits(text: str | None) -> str:
    return (text or "0").replace(",", "")
