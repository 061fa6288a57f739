"""Answers in another language than was wanted."""

from typing import Annotated

import polars as pl
from pydantic import AfterValidator, Field

from tasks.language import identify_languages, known_language


def wrong_language(
    batch: pl.DataFrame,
    *,
    language: Annotated[str, AfterValidator(known_language), Field(description="ISO 639-1 code; unless given, the recipe's.")] = "en",
    confidence: Annotated[float, Field(ge=0, le=1, description="Least confidence in another language that is a hit.")] = 0.8,
    letters: Annotated[int, Field(ge=1, description="With fewer letters than this, nothing is told of an answer and it passes.")] = 40,
) -> pl.Series:
    """The answer is in another language than the recipe's."""
    found = identify_languages(batch["answer"], fewest_letters=letters)
    return ((found["language"] != language) & (found["confidence"] >= confidence)).fill_null(False)
