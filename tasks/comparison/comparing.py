"""What differs between two sides. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from tasks.comparison.sides import NUMBERS, Side
from tasks.release.inputs import DATA_SETS

_NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two sides share of one kind of row."""

    what: str
    first: int
    second: int
    shared: int


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much the mean of a score is higher on the second side, with a 95 % confidence interval.

    Answers to one prompt resemble each other, so a prompt counts once, with the mean of its answers (Welch's interval over prompts). Over the prompts
    that both sides have, the difference is taken prompt by prompt, which is much surer.
    """

    number: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    prompts: int
    """That the interval rests on: the fewer of both sides', or those that both have."""
    paired: bool

    @property
    def is_sure(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Change:
    """A key that two recipes give differently."""

    key: str
    first: Any
    second: Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides compared."""

    first: Side
    second: Side
    overlaps: tuple[Overlap, ...]
    shifts: tuple[Shift, ...]
    reasons: tuple[tuple[str, str], ...]
    """(stage, reason) of every loss, the largest change first."""
    changes: tuple[Change, ...]


def compare(first: Side, second: Side) -> Comparison:
    """Compare two sides."""
    overlaps = [_overlap(name, first.ids[name], second.ids[name]) for name in DATA_SETS if name != "dropped"]
    overlaps.append(_overlap("prompts of sft", first.prompts, second.prompts))
    shifts = [shift for name in NUMBERS if (shift := _shift(name, first.scores, second.scores))]
    reasons = sorted(first.losses.keys() | second.losses.keys(), key=lambda key: (-abs(second.losses.get(key, 0) - first.losses.get(key, 0)), key))
    return Comparison(first, second, tuple(overlaps), tuple(shifts), tuple(reasons), tuple(_changes(first.recipe, second.recipe)))


def _overlap(what: str, first: pl.Series, second: pl.Series) -> Overlap:
    return Overlap(what, len(first), len(second), int(first.is_in(second.implode()).sum()) if len(first) and len(second) else 0)


def _shift(number: str, first: pl.DataFrame, second: pl.DataFrame) -> Shift | None:
    a, b = _by_prompt(first, number), _by_prompt(second, number)
    if len(a) < 2 or len(b) < 2:
        return None
    both = a.join(b, on="prompt", suffix="_b")
    if len(both) >= max(2, min(len(a), len(b)) // 2):
        return _paired(number, both)
    means, errors = [float(one[number].mean()) for one in (a, b)], [_squared_error(one[number]) for one in (a, b)]  # type: ignore[arg-type]  # not empty
    return _with_interval(number, means[0], means[1], math.sqrt(sum(errors)), prompts=min(len(a), len(b)), paired=False)


def _by_prompt(scores: pl.DataFrame, number: str) -> pl.DataFrame:
    return scores.drop_nulls(number).group_by("prompt").agg(pl.col(number).mean()).sort("prompt")


def _paired(number: str, both: pl.DataFrame) -> Shift:
    difference = both[f"{number}_b"] - both[number]
    means = [float(both[name].mean()) for name in (number, f"{number}_b")]  # type: ignore[arg-type]  # not empty
    return _with_interval(number, means[0], means[1], math.sqrt(_squared_error(difference)), prompts=len(both), paired=True)


def _squared_error(values: pl.Series) -> float:
    """Give the variance of a mean."""
    variance = values.var()
    return float(variance) / len(values) if isinstance(variance, float) else 0.0


def _with_interval(number: str, first: float, second: float, error: float, *, prompts: int, paired: bool) -> Shift:
    difference, reach = second - first, _NORMAL_95 * error
    return Shift(number, first, second, difference, difference - reach, difference + reach, prompts, paired)


def _changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Change]:
    a, b = dict(_leaves(first)), dict(_leaves(second))
    return [Change(key, a.get(key), b.get(key)) for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)]


def _leaves(value: Any, key: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [leaf for name, inner in value.items() for leaf in _leaves(inner, f"{key}.{name}" if key else str(name))]
    if isinstance(value, list | tuple):
        return [leaf for place, inner in enumerate(value) for leaf in _leaves(inner, f"{key}[{place}]")]
    return [(key, value)]
