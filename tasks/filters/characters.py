"""Answers made of the wrong characters.

The default shares leave worked sums and dense code alone: at 0.5, 3 % of GSM8K's own solutions would be mostly digits; at 0.4, 1.5 % of
MBPP's would have too many symbols.
"""

from typing import Annotated

import polars as pl
from pydantic import Field

Least = Annotated[int, Field(ge=1, description="With fewer characters to judge by than this, an answer passes.")]
Largest = Annotated[float, Field(ge=0, le=1, description="Largest share that passes.")]

_MOJIBAKE = r"Ã[\u0080-\u00BF€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|Â[\u00A0-\u00BF]|â€[\u0080-\u00BF˜™œžš¢¦“”]|ðŸ|ï»¿|ï¿½"
"""UTF-8 read as Windows-1252 or Latin-1: what é, ’, “, an emoji, a byte order mark become."""


def too_many_symbols(batch: pl.DataFrame, *, share: Largest = 0.5, characters: Least = 40) -> pl.Expr:
    """Of the answer's characters that are no space, more than this share are symbols or punctuation."""
    visible = _count(r"\S")
    return (visible >= characters) & (_count(r"[\p{S}\p{P}]") > visible * share)


def mostly_uppercase(batch: pl.DataFrame, *, share: Largest = 0.5, characters: Least = 40) -> pl.Expr:
    """Of the answer's letters that have a case, more than this share are upper-case."""
    cased = _count(r"[\p{Lu}\p{Ll}]")
    return (cased >= characters) & (_count(r"\p{Lu}") > cased * share)


def mostly_white_space(batch: pl.DataFrame, *, share: Largest = 0.5, characters: Least = 40) -> pl.Expr:
    """Of the answer's characters, more than this share are blanks and line breaks."""
    told = pl.col("answer").str.len_chars()
    return (told >= characters) & (_count(r"\s") > told * share)


def words_without_letters(batch: pl.DataFrame, *, share: Largest = 0.6, characters: Least = 40) -> pl.Expr:
    """Of what stands between the answer's spaces, more than this share has no letter in it: tables of numbers, strings of signs."""
    words = _count(r"\S+")
    return (_count(r"\S") >= characters) & (words - _count(r"[^\s\p{L}]*\p{L}\S*") > words * share)


def endless_word(batch: pl.DataFrame, *, characters: Annotated[int, Field(ge=20, description="Length from which a word is endless.")] = 200) -> pl.Expr:
    """The answer has a word of so many characters, web addresses apart: a key, a picture as text, or a loop; scripts without spaces have none."""
    plain = pl.col("answer").str.replace_all(r"(?i)\b(?:https?|ftp)://\S+", " ")
    return plain.str.contains(rf"[^\s\u2E80-\u9FFF\uAC00-\uD7AF\u0E00-\u0E7F]{{{characters}}}")


def mostly_digits(batch: pl.DataFrame, *, share: Largest = 0.7, characters: Least = 40) -> pl.Expr:
    """Of the answer's letters and digits, more than this share are digits."""
    told = _count(r"[\p{L}\p{N}]")
    return (told >= characters) & (_count(r"\p{N}") > told * share)


def unprintable(batch: pl.DataFrame, *, most: Annotated[int, Field(ge=0, description="Largest number that passes.")] = 0) -> pl.Expr:
    """The answer has control characters (but tabs and line ends), replacement marks, or private or unassigned code points."""
    return _count(r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\u0084\u0086-\u009F\uFFFD\p{Co}\p{Cn}]") > most


def mojibake(batch: pl.DataFrame, *, most: Annotated[int, Field(ge=0, description="Largest number that passes.")] = 0) -> pl.Expr:
    """The answer has letters that come of UTF-8 read in another encoding, as in “cafÃ©”."""
    return _count(_MOJIBAKE) > most


def _count(pattern: str) -> pl.Expr:
    return pl.col("answer").str.count_matches(pattern)
