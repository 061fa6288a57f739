"""Nemotron-CC's five rewrites of a document (arXiv 2412.02595): what is asked, within which limits, and what is made of the answer.

The limits are the paper's; the words are ours. A rewrite's request can be read back from its prompt, so that whoever answers it knows what was asked.
"""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from tasks.craft.segments import Limits
from tasks.craft.turns import between_marks, estimate_tokens

Kind = Literal["diverse_qa", "distil", "extract_knowledge", "knowledge_list", "encyclopaedic"]

MOST_PAIRS = 8
"""Questions that are asked for."""
_TOKENS_PER_PAIRS = 150
"""Up to eight pairs are kept for each 150 tokens of text; a short text keeps fewer."""
_MARKS = 8
"""Tokens of the marks around the text, and of the blank lines."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model answered to a request for a rewrite."""

    text: str
    cut_off: bool
    """It ran out of tokens."""
    source_tokens: int
    """Of the text that was to be rewritten, by estimate."""
    seed: int


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What is left of an answer, or why nothing is."""

    text: str = ""
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One kind."""

    request: str
    limits: Limits
    """Least document, least segment and longest input; the input holds the request as well."""
    max_tokens: int
    """Longest answer."""
    tidy: Callable[[Answered], Rewritten]
    opening: str = ""
    """The line that answers are asked to begin with; it is taken off."""
    least: int = 1
    """Shorter rewrites, in tokens, are dropped."""

    def ask(self, text: str) -> str:
        """Ask for a rewrite of a text."""
        opening = f" Begin with the line `{self.opening}`" if self.opening else ""
        return f"{self.request}{opening}\n{between_marks(text)}"

    def room(self) -> Limits:
        """The limits of the text alone."""
        request = self.ask("").partition("<<<")[0]
        return Limits(self.limits.document, self.limits.segment, self.limits.longest - estimate_tokens(request) - _MARKS)


_BULLET = re.compile(r"^[ \t]*(?:[-*•–]|\d{1,3}[.)])[ \t]+(?=\S)", re.MULTILINE)
_QUESTION, _ANSWER = (re.compile(rf"^[\W_]*{word}\W*(?:\d+\W*)?:", re.IGNORECASE | re.MULTILINE) for word in ("question", "answer"))
_LEAD = re.compile(r"\A[^\n]{1,90}:[ \t*_]*\n+(?=\S)")
_HEADING = re.compile(r"^#{1,6}[ \t]+", re.MULTILINE)
_EMPHASIS = re.compile(r"(?<!\w)(\*\*|__|\*|_)(?=\S)([^\n*_]{1,400}?)(?<=\S)\1(?!\w)")
_QUOTES = {'"': '"', "“": "”", "«": "»", "'": "'"}


def strip_opening(text: str, opening: str = "") -> str:
    """Take off the line that an answer was asked to begin with, or another short one that ends in a colon."""
    text = text.strip()
    if opening and text.lstrip("*_#` ").casefold().startswith(opening.casefold()):
        return text.lstrip("*_#` ")[len(opening) :].lstrip("*_`: \n\t")
    return _LEAD.sub("", text, count=1).strip()


def strip_markup(text: str) -> str:
    """Take off headings, emphasis, and quotation marks around the whole."""
    text = _EMPHASIS.sub(r"\2", _HEADING.sub("", text)).strip()
    closing = _QUOTES.get(text[:1])
    if closing and len(text) > 2 and text.endswith(closing) and closing not in text[1:-1]:
        return text[1:-1].strip()
    return text


def read_pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Read questions with their answers, in order; one without the other is left out."""
    pieces = (_ANSWER.split(piece) for piece in _QUESTION.split(text)[1:])
    pairs = ((piece[0].strip(" \t\n*_-"), piece[1].strip(" \t\n*_-")) for piece in pieces if len(piece) == 2)
    return tuple((question, answer) for question, answer in pairs if question and answer)


def sample_pairs(pairs: tuple[tuple[str, str], ...], *, source_tokens: int, seed: int) -> tuple[tuple[str, str], ...]:
    """Shuffle the pairs and keep a drawn number of them: at most as many as the text's length bears, at least one; the same ones for the same seed."""
    draw = random.Random(seed)
    most = max(1, MOST_PAIRS * source_tokens // _TOKENS_PER_PAIRS)
    shuffled = draw.sample(pairs, len(pairs))
    return tuple(shuffled[: draw.randint(1, most)])


def read_bullets(text: str) -> tuple[str, ...]:
    """Read the items of a bulleted list, each on one line; what stands before the first bullet is left out."""
    pieces = _BULLET.split(text)[1:]
    return tuple(one for one in (" ".join(piece.split("\n\n", 1)[0].split()) for piece in pieces) if one)


def _tidy_pairs(answered: Answered) -> Rewritten:
    pairs = read_pairs(answered.text)
    pairs = pairs[:-1] if answered.cut_off else pairs
    if not pairs:
        return Rewritten(fault="no_question_with_answer")
    kept = sample_pairs(pairs, source_tokens=answered.source_tokens, seed=answered.seed)
    return Rewritten("\n\n".join(f"Question: {question}\nAnswer: {answer}" for question, answer in kept))


def _tidy_facts(answered: Answered) -> Rewritten:
    facts = read_bullets(answered.text)
    facts = facts[:-1] if answered.cut_off else facts
    return Rewritten("\n".join(facts)) if facts else Rewritten(fault="no_list")


def _tidy_prose(answered: Answered) -> Rewritten:
    if answered.cut_off:
        return Rewritten(fault="truncated_rewrite")
    return Rewritten(answered.text) if answered.text else Rewritten(fault="empty_answer")


def _tidy_plain(answered: Answered) -> Rewritten:
    prose = _tidy_prose(answered)
    return Rewritten(strip_markup(prose.text), prose.fault)


REWRITES: Mapping[str, Rewrite] = MappingProxyType(
    {
        "diverse_qa": Rewrite(
            "Write up to eight questions that the text between the marks answers, each with its answer. Let them differ in kind: yes or no, a choice of "
            "several, open, comparing, why and how. Write each as a line `Question: …` and a line `Answer: …`.",
            Limits(30, 30, 1000),
            600,
            _tidy_pairs,
            opening="Questions on the text, with answers:",
        ),
        "distil": Rewrite(
            "Write a shorter text that keeps every fact, name, number and argument of the text between the marks, and none of its padding. Add nothing.",
            Limits(30, 10, 2000),
            1600,
            _tidy_prose,
            opening="The text, shortened:",
        ),
        "extract_knowledge": Rewrite(
            "Take out of the text between the marks what is worth knowing about the world, and write it as connected prose, in the manner of a textbook. "
            "Leave out what is only of interest to the text's own readers, such as offers and adverts.",
            Limits(30, 30, 1400),
            1400,
            _tidy_prose,
        ),
        "knowledge_list": Rewrite(
            "List the facts that the text between the marks tells, each as one full sentence on a line that begins with a hyphen and a blank.",
            Limits(30, 30, 1000),
            600,
            _tidy_facts,
        ),
        "encyclopaedic": Rewrite(
            "Put the text between the marks into other words: clear, plain and in the manner of an encyclopaedia. Keep all that it says.",
            Limits(5, 5, 512),
            512,
            _tidy_plain,
            opening="The text in other words:",
            least=50,
        ),
    }
)
"""Kind to what it is."""


def read_request(content: str) -> tuple[str, str] | None:
    """Read kind and text back from a request for a rewrite; None where it is none."""
    for kind, rewrite in REWRITES.items():
        head = rewrite.ask("").partition("<<<")[0] + "<<<\n"
        if content.startswith(head) and content.endswith("\n>>>"):
            return kind, content[len(head) : -len("\n>>>")]
    return None


def tidy(kind: str, answered: Answered) -> Rewritten:
    """Make of an answer what is kept of it."""
    rewrite = REWRITES[kind]
    text = strip_opening(answered.text, rewrite.opening) if rewrite.tidy is not _tidy_facts else answered.text
    return rewrite.tidy(Answered(text, answered.cut_off, answered.source_tokens, answered.seed))
