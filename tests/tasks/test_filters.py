"""Each filter by true and false examples: a batch of one conversation, asked whether it has the fault."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.contract import to_table
from schemas.errors import RecipeError
from schemas.records import Conversation
from tasks.discovery import find_filter, names
from tasks.filtering import to_batch
from tasks.wordlists import read_word_list
from tests.tasks.filter_examples import FALSE, TRUE, said


def hits(name: str, *conversations: Conversation, **parameters: object) -> list[bool]:
    batch = to_batch(to_table(conversations, Conversation))
    found = find_filter(name)(batch, **parameters)
    series = found if isinstance(found, pl.Series) else batch.select(found.alias("hit"))["hit"]
    return series.fill_null(False).to_list()


@pytest.mark.parametrize(("name", "example"), [(name, example) for name, examples in TRUE.items() for example in examples])
def test_filter_finds_its_fault(name: str, example: tuple[Conversation, dict[str, object]]) -> None:
    assert hits(name, example[0], **example[1]) == [True]


@pytest.mark.parametrize(("name", "example"), [(name, example) for name, examples in FALSE.items() for example in examples])
def test_filter_leaves_the_faultless_alone(name: str, example: tuple[Conversation, dict[str, object]]) -> None:
    assert hits(name, example[0], **example[1]) == [False]


@pytest.mark.parametrize("name", names("filters"))
def test_filter_judges_each_row_by_itself(name: str) -> None:
    parameters = TRUE[name][0][1]
    rows = [example for example, given in (*TRUE[name], *FALSE[name]) if given == parameters]
    assert hits(name, *rows, **parameters) == [hits(name, row, **parameters)[0] for row in rows]


@settings(max_examples=10, deadline=None)
@given(st.text(min_size=1, max_size=60))
def test_filters_take_any_text(text: str) -> None:
    for name in names("filters"):
        assert len(hits(name, said(text), **TRUE[name][0][1])) == 1


def test_every_filter_has_true_and_false_examples() -> None:
    assert set(TRUE) == set(FALSE) == set(names("filters"))
    assert all(find_filter(name).__doc__ for name in names("filters"))


def test_read_word_list_takes_words_and_phrases_as_they_are_meant(tmp_path: Path) -> None:
    (tmp_path / "rude.txt").write_text("# ours\n\nOld-Goat\nbother\nBOTHER\n", encoding="utf-8")
    assert read_word_list(tmp_path, "rude.txt").words == ("bother", "old goat")


@pytest.mark.parametrize(("content", "fault"), [(None, "no list of words"), ("# none\n", "is empty"), (b"\xff\xfe\xfa", "can't read")])
def test_read_word_list_refuses_what_is_no_list(tmp_path: Path, content: str | bytes | None, fault: str) -> None:
    if content is not None:
        (tmp_path / "rude.txt").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(RecipeError, match=fault):
        read_word_list(tmp_path, "rude.txt")
