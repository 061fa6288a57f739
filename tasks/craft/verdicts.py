r"""Reads what a language model said as judge: which of two answers is better, or a rating for each of several.

Models are asked for a last line `Verdict: A`, and answer in other ways as well: `[[B]]`, `Output (a) is better.`, a bare `B`. The most reliable form
that occurs counts, of that form the last one. What can't be read is no opinion.
"""

import re
from typing import Literal

Better = Literal["first", "second", "tie"]

_THING = r"(?:output|answer|response|assistant|option|candidate|text|model)"
_WHICH = r"[\[(]{0,2}(?P<which>[abAB12])[\])]{0,2}(?!\w)"
_MARKED = re.compile(rf"\bverdict\W{{0,6}}(?:is\W{{1,3}})?(?:{_THING}\s+)?(?:{_WHICH}|(?P<tie>tie|equal|both|neither|draw|C)\b)", re.IGNORECASE)
_BRACKETED = re.compile(r"\[\[\s*(?:(?P<which>[ABab])|(?P<tie>C|c|tie))\s*\]\]")
_STATED = re.compile(
    rf"\b{_THING}\s+{_WHICH}[\"'*`]{{0,3}}\s+(?:is|was)\s+(?:clearly\s+|much\s+|slightly\s+|overall\s+|also\s+|therefore\s+)?(?:the\s+)?(?:better|winner|best)\b"
    r"|\b(?P<tie>equally\s+good|it\s+is\s+a\s+tie|a\s+tie\s+between)\b",
    re.IGNORECASE,
)
_BARE = re.compile(rf"\W{{0,4}}(?:{_THING}\s+)?{_WHICH}\W{{0,4}}", re.IGNORECASE)
_FIRST = frozenset("aA1")

_SCORE = r"(?P<rating>\d{1,3}(?:\.\d{1,3})?)(?:\s*/\s*\d{1,3}|\s+out\s+of\s+\d{1,3})?(?![\d%])"
_RATED = re.compile(
    rf"^[\s*#\->|\"']*(?:{_THING}\s*|no\.?\s*)?[\[(#]?(?P<number>\d{{1,2}})[\])\"'*]*\s*(?:[:=|]|\s-|\.(?=\s+[\d.]+\s*/))[\s*\[(]*(?:(?:score|rating)\W{{1,3}})?{_SCORE}",
    re.IGNORECASE | re.MULTILINE,
)


def read_verdict(text: str) -> Better | None:
    """Read which of two answers, the first or the second, a judge found better."""
    for form in (_MARKED, _BRACKETED, _STATED):
        found = list(form.finditer(text))
        if found:
            return _meaning(found[-1])
    bare = _BARE.fullmatch(text.strip())
    return _meaning(bare) if bare else None


def read_ratings(text: str, answers: int, *, low: float, high: float) -> tuple[float, ...] | None:
    """Read a rating for each of so many answers, in their order; None unless each has one within the bounds.

    Of an answer that was rated more than once the last rating counts, as judges weigh in their text and sum up at its end.
    """
    found = {int(one["number"]): float(one["rating"]) for one in _RATED.finditer(text)}
    ratings = [found.get(number) for number in range(1, answers + 1)]
    whole = tuple(one for one in ratings if one is not None and low <= one <= high)
    return whole if len(whole) == answers else None


def _meaning(match: "re.Match[str]") -> Better:
    which = match["which"]
    if which is None:
        return "tie"
    return "first" if which in _FIRST else "second"
