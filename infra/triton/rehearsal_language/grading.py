"""The rehearsal reward model: five attributes by rules that can be read, and a little noise that depends on the content alone.

It is no judge of truth. It sees whether an answer speaks of what was asked, computes rightly, repeats itself, declines,
ends in mid-sentence or is in another language.
"""

import math
import re
from collections import Counter

from infra.triton.rehearsal_language.chat import Turn, read_turns
from infra.triton.rehearsal_language.draw import Draw
from infra.triton.rehearsal_language.mathematics import solve
from infra.triton.rehearsal_language.tokens import count_tokens
from infra.triton.rehearsal_language.vocabulary import content_words

ATTRIBUTES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
_HIGHEST = 4.25
_NOISE = 0.12
_RICH_WORDS = 25
"""So many different content words are no longer a simple answer."""
_REFUSAL = re.compile(r"\bI(?:'m| am)? (?:sorry|can't|cannot|can not|am not able|'m not able|not able|am unable|unable)\b|\bunable to answer\b", re.IGNORECASE)
_EQUATION = re.compile(r"(?<![\d.])(?<![-+*/])(?<![-+*/] )(\d+(?:\.\d+)?) ?([-+*/]) ?(\d+(?:\.\d+)?) ?= ?\$?(-?\d+(?:\.\d+)?)")
_FINAL = re.compile(r"(?:the answer is|####|\bA:)\s*\$?(-?\d[\d,]*(?:\.\d+)?)", re.IGNORECASE)
_COMMON = frozenset(
    ["the", "of", "and", "to", "in", "is", "that", "it", "for", "as", "with", "are", "be", "on", "this", "by", "an", "or", "from", "which", "at"]
)


def grade(conversation: str) -> tuple[float, ...]:
    """Grade the last turn of a rendered conversation, in the order of ATTRIBUTES."""
    turns = read_turns(conversation)
    answer = turns[-1].text
    question = _question(turns)
    noise = Draw("grade", conversation)
    refused = bool(_REFUSAL.search(answer[:200])) or not answer.strip()
    relevance, truth, flow = _relevance(question, answer), _truth(question, answer), _flow(answer)
    body = min(1.0, count_tokens(answer) / 80)
    scores = (
        0.3 if refused else 4 * truth * flow * (0.25 + 0.45 * relevance + 0.3 * body),
        0.6 if refused else 4 * truth * (0.55 + 0.45 * relevance) * (0.4 + 0.6 * flow),
        2.2 if refused else 4 * flow * (0.8 + 0.2 * relevance),
        0.4 if refused else _complexity(answer),
        0.3 if refused else 2.6 * min(1.0, count_tokens(answer) / 300) ** 0.5,
    )
    return tuple(round(min(_HIGHEST, max(0.0, score + _NOISE * noise.noise())), 4) for score in scores)


def _question(turns: tuple[Turn, ...]) -> str:
    said = [turn.text for turn in turns[:-1] if turn.role in ("user", "")]
    return said[-1] if said else ""


def _relevance(question: str, answer: str) -> float:
    asked = set(content_words(question))
    return len(asked & set(content_words(answer))) / len(asked) if asked else 0.5


def _truth(question: str, answer: str) -> float:
    """Say how far what can be checked holds: 1 where nothing can."""
    checks = [_holds(*equation.groups()) for equation in _EQUATION.finditer(answer)]
    share = sum(checks) / len(checks) if checks else 1.0
    solution = solve(question)
    finals = _FINAL.findall(answer)
    if solution is None:
        return 0.3 + 0.7 * share
    return share if finals and float(finals[-1].replace(",", "")) == solution.answer else 0.25 * share


def _holds(left: str, sign: str, right: str, result: str) -> bool:
    first, second = float(left), float(right)
    if sign == "/":
        return second != 0 and abs(first / second - float(result)) < 0.01
    computed: float = {"+": first + second, "-": first - second, "*": first * second}[sign]
    return abs(computed - float(result)) < 0.01


def _flow(answer: str) -> float:
    """Say how well an answer runs: less for repeated word groups, an open end, a language other than English."""
    words = answer.lower().split()
    groups = Counter(zip(words, words[1:], words[2:], words[3:], strict=False))
    repeated = sum(count - 1 for count in groups.values()) / max(1, sum(groups.values()))
    ended = answer.rstrip()[-1:] in set(".!?\"')]}`*”") or "\n" in answer
    english = len(words) < 12 or sum(word in _COMMON for word in words) / len(words) > 0.06 or any(mark.isdigit() for mark in answer)
    return max(0.05, 1 - 1.2 * repeated) * (1.0 if ended else 0.7) * (1.0 if english else 0.35)


def _complexity(answer: str) -> float:
    words = content_words(answer)
    if not words:
        return 0.3
    different = len(set(words))
    variety = min(1.0, different / math.pow(len(words), 0.8)) * min(1.0, different / _RICH_WORDS)
    return min(4.0, 0.4 * sum(map(len, words)) / len(words) * variety)
