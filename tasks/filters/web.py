"""Answers that carry what web pages carry beside their text."""

from typing import Annotated

import polars as pl
from pydantic import Field

from tasks.wordlists import WordFile

_LINK = r"(?i)\b(?:https?://|ftp://|www\.)\S+"
_CODE = r"(?ms)^[ \t]*(?:```|~~~).*?(?:^[ \t]*(?:```|~~~)[ \t]*$|\z)|`[^`\n]*`"
_TAG = (
    r"(?i)</?(?:a|abbr|article|aside|b|body|br|button|center|code|dd|div|dl|dt|em|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|label|"
    r"li|link|main|meta|nav|ol|option|p|pre|script|section|select|small|span|strong|style|sub|sup|table|tbody|td|textarea|th|thead|title|tr|u|ul|video)"
    r"(?:\s[^<>]{0,400})?/?>|&(?:nbsp|amp|lt|gt|quot|#\d{2,5});"
)
_BOILERPLATE = (
    r"all rights reserved",
    r"lorem ipsum",
    r"(?:this (?:web ?)?site|we) uses? cookies",
    r"(?:accept|manage) (?:all )?cookies",
    r"(?:privacy|cookie) policy",
    r"terms (?:of (?:use|service)|and conditions)",
    r"(?:enable|turn on) javascript|javascript (?:is|must be|seems to be) (?:disabled|enabled)",
    r"(?:click|tap) here to",
    r"(?:sign up|subscribe) (?:for|to) (?:our|the) (?:free )?newsletter",
    r"(?:share|follow us) on (?:facebook|twitter|x|instagram|linkedin)",
    r"(?:copyright|©) (?:\(c\) )?(?:19|20)\d\d",
    r"(?:skip|jump) to (?:main )?content",
)


def too_many_links(batch: pl.DataFrame, *, share: Annotated[float, Field(ge=0, le=1, description="Largest share that passes.")] = 0.2) -> pl.Expr:
    """Of the answer's characters, more than this share are web addresses."""
    linked = pl.col("answer").str.extract_all(_LINK).list.eval(pl.element().str.len_chars()).list.sum()
    return linked > pl.col("answer").str.len_chars() * share


def boilerplate(batch: pl.DataFrame, *, lines: Annotated[int, Field(ge=1, description="Lines from which it is a fault.")] = 2) -> pl.Expr:
    """So many lines, of 120 characters at most, begin or end as a page's small print does: cookies, copyright, newsletters."""
    short = rf"(?mi)^\W*(?:(?:{'|'.join(_BOILERPLATE)})\b.{{0,90}}|.{{0,90}}\b(?:{'|'.join(_BOILERPLATE)})\W*)$"
    return pl.col("answer").str.count_matches(short) >= lines


def html_tags(batch: pl.DataFrame, *, tags: Annotated[int, Field(ge=1, description="Tags from which it is a fault.")] = 3) -> pl.Expr:
    """Outside of code the answer has so many HTML tags or character entities: a page's markup, left in."""
    return pl.col("answer").str.replace_all(_CODE, " ").str.count_matches(_TAG) >= tags


def profanity(
    batch: pl.DataFrame, *, words: Annotated[WordFile, Field(description="The list: a file beside the recipe, one word or phrase a line.")]
) -> pl.Expr:
    """The answer has a word or phrase of the recipe's list, whole words only, in any case."""
    plain = pl.col("answer").str.to_lowercase().str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ")
    return pl.concat_str(pl.lit(" "), plain, pl.lit(" ")).str.contains_any([f" {word} " for word in words.words])
