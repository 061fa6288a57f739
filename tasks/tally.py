"""Counts drops by reason, in rows requested."""

from collections.abc import Iterable

from schemas.records import Drop


def tally(drops: Iterable[Drop]) -> dict[str, int]:
    """Add up drops by reason, names in order."""
    counts: dict[str, int] = {}
    for drop in drops:
        counts[drop.reason] = counts.get(drop.reason, 0) + drop.rows
    return dict(sorted(counts.items()))
