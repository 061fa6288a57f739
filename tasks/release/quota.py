"""Tells of a recipe that asks for exactly N rows whether it got them, and why not where it did not."""

from collections.abc import Mapping
from typing import Any

from tasks.release.inputs import ReleaseInputs

_REASONS = 3


def describe_quota(inputs: ReleaseInputs, rows: Mapping[str, int]) -> dict[str, Any] | None:
    """Put down what was asked for, what came, and how far the answering went; None where no number is asked for."""
    wanted = inputs.recipe.release.rows.wanted if inputs.recipe.release.rows else {}
    if not wanted:
        return None
    made = {name: sum(count for key, count in rows.items() if key.partition("/")[0] == name) for name in wanted}
    data_sets = {name: {"asked": asked, "published": made[name], "met": made[name] == asked} for name, asked in wanted.items()}
    return {"data_sets": data_sets, **inputs.ration, "lines": [_line(inputs, name, asked, made[name]) for name, asked in wanted.items()]}


def _line(inputs: ReleaseInputs, name: str, asked: int, published: int) -> str:
    prompts, answered = inputs.ration.get("prompts", 0), inputs.ration.get("answered", 0)
    told = f"{name}: {asked:,} rows asked for, {published:,} published"
    if published == asked:
        return f"{told}; {answered:,} of {prompts:,} prompts were answered for them."
    if answered < prompts:
        return f"{told}: {answered:,} of {prompts:,} prompts have answers, and this run asks for no others. {_losses(inputs)}"
    return f"{told}: all {prompts:,} prompts that the recipe has left after screening were answered, and there are no more. {_losses(inputs)}"


def _losses(inputs: ReleaseInputs) -> str:
    """Name what most was lost to, prompts and answers apart."""
    parts = []
    for stages, unit in ((("prompts", "screen"), "prompts"), (("responses", "score", "filter", "dedup", "pair", "validate"), "answers")):
        lost: dict[str, int] = {}
        for stage in inputs.stages:
            if stage.stage.partition("/")[0] in stages:
                for reason, rows in stage.total.dropped.items():
                    lost[reason] = lost.get(reason, 0) + rows
        named = sorted(lost.items(), key=lambda one: (-one[1], one[0]))[:_REASONS]
        if named:
            parts.append(f"most {unit} were lost to " + ", ".join(f"{reason} ({rows:,})" for reason, rows in named))
    return "; ".join(parts)[:1].upper() + "; ".join(parts)[1:] + ("." if parts else "")
