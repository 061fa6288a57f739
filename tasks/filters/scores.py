"""Answers that a reward model or a verifier found wanting."""

from typing import Annotated, Literal

import polars as pl
from pydantic import Field

from tasks.discovery import reads_reward

Attribute = Literal["reward", "helpfulness", "correctness", "coherence", "complexity", "verbosity"]


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
