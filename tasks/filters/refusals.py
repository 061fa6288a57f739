"""Answers that are none."""

import polars as pl

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


def refusal(batch: pl.DataFrame) -> pl.Expr:
    """An answer opens by declining to help."""
    return pl.col("answers").list.eval(pl.element().str.contains(_REFUSAL)).list.any()
