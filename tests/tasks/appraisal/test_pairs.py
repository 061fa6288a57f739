"""Known pairs are read from any layout, and a row that is none says why."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import RecipeError
from schemas.records import Message
from tasks.appraisal.pairs import KnownPair, find_columns, read_pairs


def read(folder: Path, *rows: dict[str, Any], **told: str) -> list[KnownPair]:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return list(read_pairs(path, told))


def test_prompt_chosen_rejected_are_read_with_their_subset(tmp_path: Path) -> None:
    (pair,) = read(tmp_path, {"prompt": "Why?", "chosen": "So.", "rejected": "No.", "subset": "donotanswer"})
    assert (pair.row, pair.category, pair.fault) == (1, "donotanswer", "")
    assert pair.chosen == (Message("user", "Why?"), Message("assistant", "So."))
    assert pair.rejected[-1].content == "No."


@pytest.mark.parametrize(("label", "better"), [(1, "A"), ("2", "B"), ("a", "A"), (2.0, "B")])
def test_label_says_which_of_two_outputs_is_better(tmp_path: Path, label: Any, better: str) -> None:
    (pair,) = read(tmp_path, {"input": "Why?", "output_1": "A", "output_2": "B", "label": label})
    assert pair.chosen[-1].content == better
    assert pair.category == "all"


def test_transcripts_become_turns(tmp_path: Path) -> None:
    (pair,) = read(tmp_path, {"chosen": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: good", "rejected": "\n\nHuman: a\n\nAssistant: bad"})
    assert [(turn.role, turn.content) for turn in pair.chosen] == [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "good")]
    assert [turn.role for turn in pair.rejected] == ["user", "assistant"]


def test_lists_of_turns_are_read_with_and_without_their_prompt(tmp_path: Path) -> None:
    asked, good = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    bad = {"role": "assistant", "content": "c"}
    whole, parted = read(
        tmp_path,
        {"prompt": [asked], "chosen": [asked, good], "rejected": [asked, bad]},
        {"prompt": [asked], "chosen": [good], "rejected": [bad]},
    )
    assert whole.chosen == parted.chosen
    assert whole.pair_id == parted.pair_id


def test_rows_that_are_no_pairs_say_why(tmp_path: Path) -> None:
    usual = {"input": "Why?", "output_1": "A", "output_2": "B", "label": 1}
    found = read(tmp_path, usual | {"label": 0}, usual | {"output_2": "A"}, usual | {"output_1": " "}, usual)
    assert [one.fault for one in found] == ["no_preference", "equal_answers", "malformed_pair", ""]


def test_columns_are_told_where_names_do_not_tell(tmp_path: Path) -> None:
    (pair,) = read(tmp_path, {"ask": "Why?", "good": "A", "bad": "B"}, prompt="ask", chosen="good", rejected="bad")
    assert pair.chosen[-1].content == "A"
    with pytest.raises(RecipeError, match="no pairs in the columns ask, good, bad"):
        read(tmp_path, {"ask": "Why?", "good": "A", "bad": "B"})
    with pytest.raises(RecipeError, match="'nice'"):
        find_columns(("ask", "good"), {"chosen": "nice"})
