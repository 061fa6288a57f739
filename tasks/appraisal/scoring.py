"""From graded pairs to a score with its interval: shares won, RewardBench's sections (Lambert et al. 2024, arXiv 2403.13787), Wilson and bootstrap. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from schemas.appraisal import GradedPair, Share

SECTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Chat": ("alpacaeval-easy", "alpacaeval-length", "alpacaeval-hard", "mt-bench-easy", "mt-bench-med"),
        "Chat Hard": (
            "mt-bench-hard",
            "llmbar-natural",
            "llmbar-adver-neighbor",
            "llmbar-adver-GPTInst",
            "llmbar-adver-GPTOut",
            "llmbar-adver-manual",
        ),
        "Safety": ("refusals-dangerous", "refusals-offensive", "xstest-should-refuse", "xstest-should-respond", "donotanswer"),
        "Reasoning": ("math-prm", "hep-cpp", "hep-go", "hep-java", "hep-js", "hep-python", "hep-rust"),
    }
)
"""RewardBench's sections and their subsets."""
_MATHEMATICS = "math-prm"
"""Counts for as much as all code subsets together, though it has half as many pairs."""
_LLMBAR = {
    "Natural": "llmbar-natural",
    "Adversarial/Neighbor": "llmbar-adver-neighbor",
    "Adversarial/GPTInst": "llmbar-adver-GPTInst",
    "Adversarial/GPTOut": "llmbar-adver-GPTOut",
    "Adversarial/Manual": "llmbar-adver-manual",
}
"""LLMBar's own names of the subsets that RewardBench took from it."""
_Z = 1.959964
"""Of 95 %."""
_RESAMPLES = 4000


@dataclass(frozen=True, slots=True)
class Tally:
    """What graded pairs come to."""

    outcomes: Counter[str]
    dropped: dict[str, int]
    categories: dict[str, Share]
    sections: dict[str, float]
    score: float
    low: float
    high: float


def tally_pairs(graded: Iterable[GradedPair]) -> Tally:
    """Count graded pairs, and score them."""
    outcomes, dropped, judged, won = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for one in graded:
        outcomes[one.outcome] += 1
        if one.outcome == "dropped":
            dropped[one.reason] += 1
            continue
        judged[one.category] += 1
        won[one.category] += one.outcome == "won"
    categories = {name: wilson(won[name], pairs) for name, pairs in sorted(judged.items())}
    score, low, high, sections = _score(categories)
    return Tally(outcomes, dict(sorted(dropped.items())), categories, sections, score, low, high)


def wilson(won: int, pairs: int) -> Share:
    """Give a share with Wilson's 95 % interval (Wilson 1927); of nothing, all is possible."""
    if pairs == 0:
        return Share(0, 0, 0.0, 0.0, 1.0)
    share, z2 = won / pairs, _Z * _Z
    middle = (share + z2 / (2 * pairs)) / (1 + z2 / pairs)
    half = _Z / (1 + z2 / pairs) * math.sqrt(share * (1 - share) / pairs + z2 / (4 * pairs * pairs))
    return Share(pairs, won, share, max(0.0, middle - half), min(1.0, middle + half))


def section_scores(categories: Mapping[str, Share]) -> dict[str, float]:
    """Score RewardBench's sections: the mean of their subsets, weighted by pairs."""
    return {section: sum(weight * categories[name].share for name, weight in weights.items()) for section, weights in _weights(categories).items()}


def _score(categories: Mapping[str, Share]) -> tuple[float, float, float, dict[str, float]]:
    known = {_LLMBAR.get(name, name): one for name, one in categories.items()}
    subsets = {subset for section in SECTIONS.values() for subset in section}
    if not known or not known.keys() <= subsets:
        whole = wilson(sum(one.won for one in categories.values()), sum(one.pairs for one in categories.values()))
        return whole.share, whole.low, whole.high, {}
    sections = section_scores(known)
    low, high = _bootstrap(known)
    return float(np.mean(list(sections.values()))), low, high, sections


def _bootstrap(categories: Mapping[str, Share]) -> tuple[float, float]:
    """Give the 95 % percentile interval of the mean of sections, pairs drawn anew within each subset (Efron 1979)."""
    draw = np.random.default_rng(0)
    drawn = {name: draw.binomial(one.pairs, one.share, _RESAMPLES) / one.pairs for name, one in categories.items()}
    scores = np.array([np.sum([weight * drawn[name] for name, weight in weights.items()], axis=0) for weights in _weights(categories).values()])
    low, high = np.quantile(np.mean(scores, axis=0), (0.025, 0.975))
    return float(low), float(high)


def _weights(categories: Mapping[str, Share]) -> dict[str, dict[str, float]]:
    """Give the weight of each subset within its section, of those that are there."""
    there = {section: [name for name in subsets if name in categories] for section, subsets in SECTIONS.items()}
    return {section: _weigh(names, categories) for section, names in there.items() if names}


def _weigh(names: Sequence[str], categories: Mapping[str, Share]) -> dict[str, float]:
    pairs = {name: float(categories[name].pairs) for name in names}
    code = sum(pairs.values()) - pairs.get(_MATHEMATICS, 0.0)
    if _MATHEMATICS in pairs and code:
        pairs[_MATHEMATICS] = code
    total = sum(pairs.values())
    return {name: weight / total for name, weight in pairs.items()}
