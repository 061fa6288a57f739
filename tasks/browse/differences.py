"""Two texts beside each other, with what only one of them has marked."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_WORD = re.compile(r"\w+")
_LONGEST = 4_000
"""Words up to which texts are compared word by word; comparing takes the product of both lengths. Longer ones are compared by lines."""
_LEAST = 3
"""Words in a row that two long texts share by more than chance."""
_SHORT = 30
"""Words and signs of a text in which a single shared word says something: a sum, a name, a short answer."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a text."""

    text: str
    differs: bool


@dataclass(frozen=True, slots=True)
class Sides:
    """Both texts, cut where they begin or cease to differ."""

    first: tuple[Part, ...]
    second: tuple[Part, ...]


def mark_differences(first: str, second: str) -> Sides:
    """Cut two texts into what both have, in the same order, and what only one has."""
    a, b = _cut(first, second)
    parts: tuple[list[Part], list[Part]] = ([], [])
    for tag, start, end, other_start, other_end in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        differs = tag != "equal" or _is_chance(a[start:end], len(a), len(b))
        for side, words in ((parts[0], a[start:end]), (parts[1], b[other_start:other_end])):
            _add(side, "".join(words), differs)
    return Sides(tuple(parts[0]), tuple(parts[1]))


def _add(side: list[Part], text: str, differs: bool) -> None:
    if side and side[-1].differs == differs:
        text = side.pop().text + text
    if text:
        side.append(Part(text, differs))


def _is_chance(shared: list[str], *lengths: int) -> bool:
    """Say whether two texts share a stretch by chance: a word or two amid much else, such as an article or a full stop."""
    return len(_WORD.findall("".join(shared))) < _LEAST and max(lengths) > _SHORT


def _cut(first: str, second: str) -> tuple[list[str], list[str]]:
    words = _WORDS.findall(first), _WORDS.findall(second)
    if max(map(len, words)) <= _LONGEST:
        return words
    return first.splitlines(keepends=True), second.splitlines(keepends=True)
