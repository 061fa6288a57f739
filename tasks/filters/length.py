"""Answers of the wrong size, in words or in tokens."""

from typing import Annotated

import polars as pl
from pydantic import Field

Words = Annotated[int, Field(ge=1, description="Number of words.")]

_FEWEST_WORDS = 10
"""With fewer, a mean says nothing."""


def too_short(batch: pl.DataFrame, *, words: Words = 3) -> pl.Expr:
    """The last answer has fewer words than this (a character of a script without spaces counts as half a word)."""
    return _words("last_answer") < words


def too_long(batch: pl.DataFrame, *, words: Words = 2000) -> pl.Expr:
    """The answers of the conversation have more words than this together."""
    return _words("answer") > words


def too_many_tokens(
    batch: pl.DataFrame, *, tokens: Annotated[int, Field(ge=1, description="Most tokens that fit, prompt and answer together.")] = 4096
) -> pl.Expr:
    """Prompt and answer have more tokens than this together, as the engine counts or estimates them."""
    return pl.col("prompt_tokens") + pl.col("completion_tokens") > tokens


def odd_word_length(
    batch: pl.DataFrame,
    *,
    shortest: Annotated[float, Field(ge=0, description="Least mean number of letters.")] = 2.0,
    longest: Annotated[float, Field(gt=0, description="Largest mean number of letters.")] = 12.0,
) -> pl.Expr:
    """The answer's words, in scripts that write spaces, are on average shorter or longer than words are; ten are needed to tell."""
    words = pl.col("answer").str.count_matches(r"[\p{Latin}\p{Cyrillic}\p{Greek}\p{Arabic}\p{Hebrew}]+")
    mean = pl.col("answer").str.count_matches(r"[\p{Latin}\p{Cyrillic}\p{Greek}\p{Arabic}\p{Hebrew}]") / words
    return (words >= _FEWEST_WORDS) & ~mean.is_between(shortest, longest)


def _words(column: str) -> pl.Expr:
    dense = pl.col(column).str.count_matches(r"[\u2E80-\u9FFF\uAC00-\uD7AF\u0E00-\u0E7F]")
    return pl.col(column).str.count_matches(r"[^\s\u2E80-\u9FFF\uAC00-\uD7AF\u0E00-\u0E7F]+") + dense // 2
