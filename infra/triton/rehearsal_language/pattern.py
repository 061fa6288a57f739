"""A pattern of word problems: one text that is both written from and read back by.

Its braces are variables: one upper-case letter is a number, a lower-case word is drawn from a vocabulary.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from infra.triton.rehearsal_language.draw import Draw

Numbers = dict[str, int]

_WORDS: dict[str, tuple[str, ...]] = {
    "name": (
        "Amara",
        "Björn",
        "Chen",
        "Dalia",
        "Emil",
        "Farah",
        "Goran",
        "Hana",
        "Imani",
        "Jonas",
        "Keiko",
        "Luis",
        "Mira",
        "Nadia",
        "Omar",
        "Priya",
        "Quentin",
        "Rosa",
        "Sven",
        "Tariq",
        "Uma",
        "Viktor",
        "Wanda",
        "Yusuf",
        "Zoe",
    ),
    "things": (
        "apples",
        "notebooks",
        "tickets",
        "candles",
        "marbles",
        "stamps",
        "buttons",
        "flower pots",
        "postcards",
        "light bulbs",
        "seed packets",
        "tennis balls",
        "loaves of bread",
    ),
    "box": ("box", "crate", "bag", "basket", "carton", "drawer"),
    "vehicle": ("train", "bus", "ferry", "cyclist", "lorry", "tram"),
    "place": ("garden", "playground", "car park", "field", "courtyard", "hall"),
    "group": ("class", "club", "choir", "team", "workshop", "village fair"),
    "job": ("a baker", "a printer", "a machine", "a potter", "a weaver", "a carpenter"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
}


@dataclass(frozen=True)
class Pattern:
    """One kind of problem."""

    about: str
    """Words of the topics that it belongs to."""
    text: str
    draw: Callable[[Draw], Numbers]
    """Numbers for which the answer is a whole one."""
    working: tuple[str, ...]
    """The steps, in which `{X}` is a number of the problem or of `results`."""
    results: Callable[[Numbers], Numbers]
    """What the steps compute; `ANSWER` among it."""

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The pattern as it is recognised in a text."""
        parts = re.split(r"\{(\w+)\}", self.text)
        seen: set[str] = set()
        return re.compile("".join(_piece(part, seen) if index % 2 else re.escape(part) for index, part in enumerate(parts)))

    def pose(self, draw: Draw) -> str:
        """Write a problem."""
        words = {kind: draw.pick(items) for kind, items in _WORDS.items()}
        return self.text.format(**words, **self.draw(draw))

    def solve(self, text: str) -> "Solution | None":
        """Solve the problem if the text holds it."""
        found = self.regex.search(text)
        if not found:
            return None
        numbers = {name: int(value) for name, value in found.groupdict().items()}
        numbers |= self.results(numbers)
        return Solution(tuple(step.format(**numbers) for step in self.working), numbers["ANSWER"])


@dataclass(frozen=True, slots=True)
class Solution:
    """Steps in words, and the number."""

    steps: tuple[str, ...]
    answer: int


def _piece(name: str, seen: set[str]) -> str:
    if name not in _WORDS:
        again = name in seen
        seen.add(name)
        return f"(?P={name})" if again else rf"(?P<{name}>\d+)"
    return f"(?:{'|'.join(map(re.escape, _WORDS[name]))})"
