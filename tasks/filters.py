r"""Filters: each public function here finds one fault, is named for it, and its name is the drop reason.

A filter takes a batch of conversations as columns (`tasks.filtering.to_batch` makes it, and lists them) and says of each row whether it
has the fault: as a polars expression where polars can say it, as a boolean series otherwise. Its keyword parameters are what a recipe
may set. A new filter is a new function, its docstring saying what the fault is:

    def shouted(batch: pl.DataFrame, *, share: Share = 0.5) -> pl.Expr:
        return pl.col("answer").str.count_matches(r"\p{Lu}") > pl.col("answer").str.count_matches(r"\p{L}") * share
"""

from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

import polars as pl
from pydantic import AfterValidator, Field

from tasks.language import identify_language, known_language

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Filter = TypeVar("Filter", bound=Callable[..., object])

_CANNOT = (
    r"(?:can['’]?t|cannot|can not|won['’]?t|will not|(?:am|['’]m) (?:not able|unable)|(?:must|have to) (?:respectfully )?decline|(?:do not|don['’]?t) feel)"
)
_DEEDS = (
    "answer|assist|comply|complete|continue|create|discuss|do (?:that|this)|engage|fulfill?|generate|give|help|offer|participate|provide|share|support|write"
)
_MACHINE = "ai|artificial intelligence|(?:large )?language model"
_REFUSALS = (
    rf"(?:(?:i['’]?m|i am|we['’]re|we are) )?(?:\w+ )?(?:sorry|afraid),? (?:but )?(?:that )?(?:i|we) ?{_CANNOT}",
    rf"(?:unfortunately,? |sorry,? )?(?:but )?i ?{_CANNOT} (?:to )?(?:\w+ ){{0,2}}(?:{_DEEDS})",
    rf"as an? (?:{_MACHINE})[^,.\n]{{0,40}},? i ?{_CANNOT}",
    rf"i(?:['’]m| am) (?:just |only )?an? (?:{_MACHINE})[^.!\n]{{0,60}}{_CANNOT}",
    r"(?:this|that|your) (?:request|question|prompt) (?:goes against|violates|is against)",
)
_REFUSAL = rf"(?i)^\W*(?:{'|'.join(_REFUSALS)})"


def of_reward(function: Filter) -> Filter:
    """Mark a filter that reads rewards, so that a recipe in which they mean nothing is refused when it is loaded."""
    function.reads_reward = True  # type: ignore[attr-defined]
    return function


def too_short(batch: pl.DataFrame, *, words: Count = 3) -> pl.Expr:
    """The last answer has fewer words than this (a character of a script without spaces counts as half a word)."""
    return _words("last_answer") < words


def too_long(batch: pl.DataFrame, *, words: Count = 2000) -> pl.Expr:
    """The answers of the conversation have more words than this together."""
    return _words("answer") > words


def truncated(batch: pl.DataFrame) -> pl.Expr:
    """The last answer was cut off at its token limit."""
    return pl.col("finish_reason") == "length"


def refusal(batch: pl.DataFrame) -> pl.Expr:
    """An answer opens by declining to help."""
    return pl.col("answers").list.eval(pl.element().str.contains(_REFUSAL)).list.any()


def repeated_ngrams(batch: pl.DataFrame, *, n: Count = 3, share: Share = 0.3) -> pl.Expr:
    """More than this share of the answer's word n-grams are repeats of earlier ones."""
    words = pl.element().str.to_lowercase()
    ngrams = pl.concat_str([words.shift(-nth) for nth in range(n)], separator=" ").drop_nulls()
    found = pl.col("answer").str.extract_all(r"\w+|[^\w\s]").list.eval(ngrams)
    return (found.list.len() - found.list.n_unique()) > found.list.len() * share


def wrong_language(
    batch: pl.DataFrame,
    *,
    language: Annotated[str, AfterValidator(known_language)] = "en",
    confidence: Share = 0.8,
    letters: Count = 40,
) -> pl.Series:
    """The answer is in another language than the recipe's; with fewer letters than `letters` none is told."""
    found = (identify_language(text, fewest_letters=letters) for text in batch["answer"])
    return pl.Series([one is not None and one[0] != language and one[1] >= confidence for one in found], dtype=pl.Boolean)


@of_reward
def below_reward(
    batch: pl.DataFrame,
    *,
    minimum: float,
    attribute: Literal["reward", "helpfulness", "correctness", "coherence", "complexity", "verbosity"] = "reward",
) -> pl.Expr:
    """The reward, or one of its attributes, is below this mark; what was not scored passes."""
    return pl.col(attribute) < minimum


def wrong_answer(batch: pl.DataFrame) -> pl.Expr:
    """The verifier found the answer to be wrong; what no verifier has judged passes."""
    return ~pl.col("passed")


def _words(column: str) -> pl.Expr:
    dense = pl.col(column).str.count_matches(r"[\u2E80-\u9FFF\uAC00-\uD7AF\u0E00-\u0E7F]")
    return pl.col(column).str.count_matches(r"[^\s\u2E80-\u9FFF\uAC00-\uD7AF\u0E00-\u0E7F]+") + dense // 2
