r"""Filters: each public function here finds one fault, is named for it, and its name is the drop reason.

A filter takes a batch of conversations as columns (`tasks.filtering.to_batch` makes it, and lists them) and says of each row whether it
has the fault: as a polars expression where polars can say it, as a boolean series otherwise. Its keyword parameters are what a recipe
may set. A new filter is a new function, its docstring saying what the fault is:

    def shouted(batch: pl.DataFrame, *, share: float = 0.5) -> pl.Expr:
        return pl.col("answer").str.count_matches(r"\p{Lu}") > pl.col("answer").str.count_matches(r"\p{L}") * share
"""

from typing import Annotated, Literal

import polars as pl
from pydantic import AfterValidator, Field

from tasks.discovery import reads_reward
from tasks.language import identify_language, known_language

Words = Annotated[int, Field(ge=1, description="Number of words.")]
Attribute = Literal["reward", "helpfulness", "correctness", "coherence", "complexity", "verbosity"]

_ODD = 0x9E3779B97F4A7C15
"""2**64 over the golden ratio: what polynomial hashes are commonly multiplied by."""

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


def too_short(batch: pl.DataFrame, *, words: Words = 3) -> pl.Expr:
    """The last answer has fewer words than this (a character of a script without spaces counts as half a word)."""
    return _words("last_answer") < words


def too_long(batch: pl.DataFrame, *, words: Words = 2000) -> pl.Expr:
    """The answers of the conversation have more words than this together."""
    return _words("answer") > words


def truncated(batch: pl.DataFrame) -> pl.Expr:
    """The last answer was cut off at its token limit."""
    return pl.col("finish_reason") == "length"


def refusal(batch: pl.DataFrame) -> pl.Expr:
    """An answer opens by declining to help."""
    return pl.col("answers").list.eval(pl.element().str.contains(_REFUSAL)).list.any()


def repeated_ngrams(
    batch: pl.DataFrame,
    *,
    n: Annotated[int, Field(ge=1, le=20, description="Words of an n-gram.")] = 3,
    share: Annotated[float, Field(ge=0, le=1, description="Largest share of repeats that passes.")] = 0.3,
) -> pl.Expr:
    """More than this share of the answer's word n-grams are repeats of earlier ones."""
    words = pl.col("answer").str.to_lowercase().str.extract_all(r"\w+|[^\w\s]")
    ngrams = words.list.eval(_hash_ngrams(n))
    return (ngrams.list.len() - ngrams.list.n_unique()) > ngrams.list.len() * share


def wrong_language(
    batch: pl.DataFrame,
    *,
    language: Annotated[str, AfterValidator(known_language), Field(description="ISO 639-1 code; unless given, the recipe's.")] = "en",
    confidence: Annotated[float, Field(ge=0, le=1, description="Least confidence in another language that is a hit.")] = 0.8,
    letters: Annotated[int, Field(ge=1, description="With fewer letters than this, nothing is told of an answer and it passes.")] = 40,
) -> pl.Series:
    """The answer is in another language than the recipe's."""
    found = (identify_language(text, fewest_letters=letters) for text in batch["answer"])
    return pl.Series([one is not None and one[0] != language and one[1] >= confidence for one in found], dtype=pl.Boolean)


@reads_reward
def below_reward(
    batch: pl.DataFrame,
    *,
    minimum: Annotated[float, Field(allow_inf_nan=False, description="The least that passes.")],
    attribute: Annotated[Attribute, Field(description="Which number.")] = "reward",
) -> pl.Expr:
    """The reward, or one of its attributes, is below a mark; what was not scored passes."""
    return pl.col(attribute) < minimum


def wrong_answer(batch: pl.DataFrame) -> pl.Expr:
    """The verifier found the answer to be wrong; what no verifier has judged passes."""
    return ~pl.col("passed")


def _hash_ngrams(n: int) -> pl.Expr:
    """Hash each n-gram of a list's words; with numbers in place of joined strings this takes half the time."""
    rolled = word = pl.element().hash()
    for nth in range(1, n):
        rolled = rolled * pl.lit(_ODD, dtype=pl.UInt64) + word.shift(-nth)
    return rolled.drop_nulls()


def _words(column: str) -> pl.Expr:
    dense = pl.col(column).str.count_matches(r"[\u2E80-\u9FFF\uAC00-\uD7AF\u0E00-\u0E7F]")
    return pl.col(column).str.count_matches(r"[^\s\u2E80-\u9FFF\uAC00-\uD7AF\u0E00-\u0E7F]+") + dense // 2
