"""HelpSteer2's columns: `prompt`, `response`, five whole numbers from 0 to 4, and the raw scores beside them.

Several turns of a prompt are joined as that data set joins them; it knows no system turn, so that one's text stands before the first question.
"""

from typing import Any

from schemas.records import Conversation, Messages, Preference, Scores
from tasks.release.export_rows import LeftOut, Published, Rows, attributes_of, fold_system, metadata, whole_grade

_MARKS = {"user": "<extra_id_1>User\n", "assistant": "<extra_id_1>Assistant\n"}


def from_sft(row: Conversation) -> Rows | LeftOut:
    """Write a graded conversation: all but its last turn are the prompt."""
    return _rows(row, ((row.messages, row.scores),))


def from_preferences(row: Preference) -> Rows | LeftOut:
    """Write both sides of a pair, one after the other as in HelpSteer2."""
    return _rows(row, ((row.prompt + row.chosen, row.chosen_scores), (row.prompt + row.rejected, row.rejected_scores)))


def _rows(row: Published, graded: tuple[tuple[Messages, Scores | None], ...]) -> Rows | LeftOut:
    made = []
    for messages, scores in graded:
        raw = {name: value for name, value in attributes_of(scores).items() if value is not None}
        if len(raw) < 5:
            return LeftOut("no_attribute_scores", f"there are {', '.join(raw) or 'none'}")
        made.append(_row(messages, raw) | {"metadata": metadata(row)})
    return made


def _row(messages: Messages, raw: dict[str, float]) -> dict[str, Any]:
    first, *rest = fold_system(messages)[:-1]
    prompt = "\n".join([first.content, *(f"{_MARKS[turn.role]}{turn.content}" for turn in rest)])
    whole = {name: whole_grade(value) for name, value in raw.items()}
    return {"prompt": prompt, "response": messages[-1].content, **whole, **{f"{name}_raw": value for name, value in raw.items()}}
