"""Answers whose lines are of one kind only."""

from typing import Annotated

import polars as pl
from pydantic import Field

Largest = Annotated[float, Field(ge=0, le=1, description="Largest share that passes.")]
Fewest = Annotated[int, Field(ge=1, description="With fewer lines than this, an answer passes.")]

_LINE = r"(?m)^[ \t]*\S"
_BULLET = r"(?m)^[ \t]*(?:[-*+•‣◦▪–—]|\d{1,3}[.)])[ \t]"
_ELLIPSIS = r"(?m)(?:…|\.\.\.)[ \t]*$"


def mostly_bullets(batch: pl.DataFrame, *, share: Largest = 0.9, lines: Fewest = 8) -> pl.Expr:
    """Of the answer's lines, more than this share are items of lists: headings without the text under them."""
    return _more_than(share, _BULLET, lines)


def mostly_ellipses(batch: pl.DataFrame, *, share: Largest = 0.3, lines: Fewest = 3) -> pl.Expr:
    """Of the answer's lines, more than this share end with an ellipsis: text that was cut out of something, line by line."""
    return _more_than(share, _ELLIPSIS, lines)


def _more_than(share: float, pattern: str, lines: int) -> pl.Expr:
    all_lines = pl.col("answer").str.count_matches(_LINE)
    return (all_lines >= lines) & (pl.col("answer").str.count_matches(pattern) > all_lines * share)
