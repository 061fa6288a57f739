"""Answers that say the same again: their own words, or the prompt's."""

from typing import Annotated

import polars as pl
from pydantic import Field

Repeats = Annotated[float, Field(ge=0, le=1, description="Largest share of repeats that passes.")]

_FEWEST_NGRAMS = 20
_ODD = 0x9E3779B97F4A7C15
"""2**64 over the golden ratio: what polynomial hashes are commonly multiplied by."""


def repeated_ngrams(batch: pl.DataFrame, *, n: Annotated[int, Field(ge=1, le=20, description="Words of an n-gram.")] = 3, share: Repeats = 0.3) -> pl.Expr:
    """More than this share of the answer's word n-grams are repeats of earlier ones."""
    words = pl.col("answer").str.to_lowercase().str.extract_all(r"\w+|[^\w\s]")
    ngrams = words.list.eval(_hash_ngrams(n))
    return (ngrams.list.len() - ngrams.list.n_unique()) > ngrams.list.len() * share


def dominant_ngram(batch: pl.DataFrame, *, n: Annotated[int, Field(ge=1, le=20, description="Words of an n-gram.")] = 2, share: Repeats = 0.2) -> pl.Expr:
    """The commonest of the answer's word n-grams makes up more than this share of them; with fewer than twenty it passes."""
    words = pl.col("answer").str.to_lowercase().str.extract_all(r"\w+|[^\w\s]")
    ngrams = words.list.eval(_hash_ngrams(n))
    commonest = ngrams.list.eval(pl.element().unique_counts().max()).list.first()
    return (ngrams.list.len() >= _FEWEST_NGRAMS) & (commonest > ngrams.list.len() * share)


def repeated_lines(batch: pl.DataFrame, *, share: Repeats = 0.3) -> pl.Expr:
    """More than this share of the answer's lines with a letter or a digit in them repeat earlier ones."""
    return _repeats(r"[^\n]*[\p{L}\p{N}][^\n]*", share)


def repeated_paragraphs(batch: pl.DataFrame, *, share: Repeats = 0.3) -> pl.Expr:
    """More than this share of the answer's paragraphs repeat earlier ones."""
    return _repeats(r"[^\n]*[\p{L}\p{N}][^\n]*(?:\n[^\n]*\S[^\n]*)*", share)


def echoed_prompt(batch: pl.DataFrame, *, words: Annotated[int, Field(ge=1, description="Words of a prompt from which it counts.")] = 8) -> pl.Expr:
    """The answer begins by giving the prompt's last turn again, whole; shorter prompts may be."""
    asked, answer = _plain(pl.col("asked")), _plain(pl.col("answers").list.first().fill_null(""))
    return (asked.str.count_matches(r"\S+") >= words) & answer.str.starts_with(asked)


def _repeats(pattern: str, share: float) -> pl.Expr:
    parts = pl.col("answer").str.extract_all(pattern).list.eval(pl.element().str.strip_chars().hash())
    return (parts.list.len() - parts.list.n_unique()) > parts.list.len() * share


def _hash_ngrams(n: int) -> pl.Expr:
    """Hash each n-gram of a list's words; with numbers in place of joined strings this takes half the time."""
    rolled = word = pl.element().hash()
    for nth in range(1, n):
        rolled = rolled * pl.lit(_ODD, dtype=pl.UInt64) + word.shift(-nth)
    return rolled.drop_nulls()


def _plain(text: pl.Expr) -> pl.Expr:
    return text.str.to_lowercase().str.replace_all(r"[\s>\"'“”*]+", " ").str.strip_chars()
