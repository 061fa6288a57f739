"""Answers that stop before they are done."""

from typing import Annotated

import polars as pl
from pydantic import Field


def truncated(batch: pl.DataFrame) -> pl.Expr:
    """The last answer was cut off at its token limit."""
    return pl.col("finish_reason") == "length"


def unfinished_sentence(
    batch: pl.DataFrame, *, words: Annotated[int, Field(ge=1, description="Words of a last line from which it counts as prose.")] = 8
) -> pl.Expr:
    """The last line is prose, of so many words, and ends with a letter, a comma or a dash; list items, headings, tables and code may."""
    last = pl.col("last_answer").str.strip_chars_end().str.split("\n").list.last()
    prose = ~last.str.contains(r"^\s*(?:[-*+•#>|$`\\]|\d+[.)]|    )")
    return prose & (last.str.count_matches(r"\S+") >= words) & last.str.contains(r"[\p{L},–—-]\z")


def open_code_fence(batch: pl.DataFrame) -> pl.Expr:
    """A block of code is opened with ``` or ~~~ and never closed."""
    return pl.col("answers").list.eval(pl.element().str.count_matches(r"(?m)^[ \t]*(?:```|~~~)") % 2 == 1).list.any()
