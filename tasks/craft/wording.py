"""Single texts that a technique gets out of a model, and what is wrong with one that is no prompt."""

import re

from schemas.records import Drop, WorkItem, drop_record
from tasks.technique import Told

_TEMPLATE_MARK = re.compile(r"<\|[^|>\n]{1,40}\|>|<extra_id_\d+>|</?s>|\[/?INST\]|^(?:user|human|assistant|system)\s*:", re.IGNORECASE | re.MULTILINE)
_YES_NO = re.compile(r"\W*(?:answer\W+)?(yes|no)\b", re.IGNORECASE)
_ASSISTANT = re.compile(
    r"\W*(?:i['’]?m (?:sorry|afraid)|sorry, (?:but )?i|i can(?:no|['’])t (?:help|assist|answer)|i am (?:sorry|unable|not able)|as an ai\b|"
    r"(?:sure|certainly|of course|absolutely)[,!.:]|here(?:['’]s| is| are) (?:the|a|an|some|your)\b|how can i (?:help|assist))",
    re.IGNORECASE,
)


def fault_in_text(told: Told) -> str | None:
    """Name the drop reason of an answer that can't be used as a text: it was cut off, or there is none."""
    if not told.completion.text.strip():
        return "empty_prompt"
    return "truncated_prompt" if told.completion.finish_reason == "length" else None


def fault_in_request(text: str) -> str | None:
    """Name the drop reason of a text that a model wrote in a user's place: it has marks of a template or a next speaker, or an assistant speaks."""
    if _TEMPLATE_MARK.search(text):
        return "template_mark"
    return "assistant_speaks" if _ASSISTANT.match(text) else None


def read_yes_no(text: str) -> bool | None:
    """Read a yes or a no off the start of an answer; None where it is neither."""
    found = _YES_NO.match(text)
    return found[1].casefold() == "yes" if found else None


def drop_text(item: WorkItem, reason: str, told: Told, *, detail: str, nth: int = 0, rows: int = 1) -> Drop:
    """Make the drop of a text that can't be used, and of the further rows that would have come of it."""
    return drop_record(item, stage="prompts", reason=reason, detail=detail, raw=told.completion.text, nth=nth, rows=rows)
