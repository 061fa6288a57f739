"""Single texts that a technique gets out of a model, and what is wrong with one that is no prompt."""

from schemas.records import Drop, WorkItem, drop_record
from tasks.technique import Told


def fault_in_text(told: Told) -> str | None:
    """Name the drop reason of an answer that can't be used as a text: it was cut off, or there is none."""
    if not told.completion.text.strip():
        return "empty_prompt"
    return "truncated_prompt" if told.completion.finish_reason == "length" else None


def drop_text(item: WorkItem, reason: str, told: Told, *, detail: str, nth: int = 0) -> Drop:
    """Make the drop of a text that can't be used."""
    return drop_record(item, stage="prompts", reason=reason, detail=detail, raw=told.completion.text, nth=nth)
