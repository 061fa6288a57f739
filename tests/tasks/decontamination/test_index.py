"""The compiled index against plain Python, and what it must and must not find."""

from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.decontamination.benchmarks import BenchmarkText
from tasks.decontamination.index import Hit, find_hits, make_index
from tests.tasks.dedup.reference import edited, similarity, some_text, tokens

PROBLEM = "A train leaves the station at nine and travels sixty miles an hour until noon, when it stops for a long rest."


def problem(text: str = PROBLEM, *, row: str = "bench:1", ngram: int = 13, near: bool = False) -> BenchmarkText:
    return BenchmarkText(row, text, ngram, near)


def hit(text: str, *problems: BenchmarkText) -> Hit | None:
    return find_hits(pa.array([text]), make_index(problems or (problem(),))).get(0)


def test_find_hits_names_the_row_and_quotes_the_ngram() -> None:
    found = hit(f"Please solve this: {PROBLEM.upper()} Thank you.")
    assert found is not None
    assert found.row == "bench:1"
    assert found.detail == 'the 13-gram "A TRAIN LEAVES THE STATION AT NINE AND TRAVELS SIXTY MILES AN HOUR" is in bench:1'
    assert found.similarity is None


def test_find_hits_looks_through_punctuation_case_and_width() -> None:
    assert hit("a train — leaves THE station; at nine, and ｔｒａｖｅｌｓ sixty miles\nan hour!")


def test_find_hits_quotes_text_that_nfkc_changes() -> None:
    found = hit("Cafe\u0301: a train leaves the station at nine and travels sixty miles an hour")
    assert found is not None
    assert '"a train leaves the station at nine and travels sixty miles an hour"' in found.detail


def test_find_hits_passes_one_word_fewer_than_n() -> None:
    assert hit("A train leaves the station at nine and travels sixty miles an day") is None


def test_find_hits_matches_a_short_text_only_as_a_whole() -> None:
    short = problem("Who wrote Faust?")
    found = hit("who wrote FAUST", short)
    assert found == Hit("bench:1", 'the whole text "who wrote FAUST" is in bench:1', 1.0, "who wrote FAUST")
    assert hit("Tell me who wrote Faust?", short) is None
    assert hit("who wrote", short) is None


def test_find_hits_gives_the_first_row_that_has_it() -> None:
    for order in ((1, 2), (2, 1)):
        found = hit(PROBLEM, *(problem(row=f"bench:{number}") for number in order))
        assert found is not None
        assert found.row == f"bench:{order[0]}"


def test_find_hits_takes_benchmarks_of_unlike_lengths_of_ngram() -> None:
    both = (problem(ngram=13), problem("red green blue white black", row="colours:1", ngram=3))
    found = hit("paint it green, blue and white; or GREEN BLUE WHITE", *both)
    assert found is not None
    assert (found.row, "GREEN BLUE WHITE" in found.detail) == ("colours:1", True)


@pytest.mark.parametrize("boilerplate", ["-" * 40, "| --- | --- | --- | --- | --- |", 'if __name__ == "__main__":'])
def test_find_hits_ignores_ngrams_that_are_in_every_text(boilerplate: str) -> None:
    assert hit(f"Something else. {boilerplate} And more.", problem(f"{PROBLEM}\n{boilerplate}")) is None


def test_find_hits_finds_near_copies_only_where_asked() -> None:
    """Every sixtieth word is another, so that no 64-gram is left; the Jaccard similarity of 5-grams is 0.84."""
    words = some_text(1, words=300).split()
    copy = " ".join("other" if place % 60 == 30 else word for place, word in enumerate(words))
    benchmark = (problem(some_text(2), ngram=64, near=True), problem(" ".join(words), row="bench:2", ngram=64))
    assert hit(copy, *benchmark) is None
    found = hit(copy, benchmark[0], replace(benchmark[1], near=True))
    assert found is not None
    assert found.row == "bench:2"
    assert found.similarity == pytest.approx(similarity(copy, " ".join(words)), abs=0.1)
    assert hit(edited(copy, 60), benchmark[0], replace(benchmark[1], near=True)) is None


@pytest.mark.parametrize("text", ["", " \n", "!?"])
def test_find_hits_finds_nothing_in_nothing(text: str) -> None:
    assert hit(text) is None
    assert hit(PROBLEM, problem(text, near=True)) is None


def naive(text: str, benchmark: str, n: int) -> bool:
    mine, theirs = tokens(text), tokens(benchmark)
    if len(theirs) < n:
        return bool(theirs) and mine == theirs
    grams = {tuple(theirs[at : at + n]) for at in range(len(theirs) - n + 1)}
    varied = {gram for gram in grams if 2 * len(set(gram)) >= n}
    return any(tuple(mine[at : at + n]) in varied for at in range(len(mine) - n + 1))


WORDS = st.lists(st.sampled_from(["a", "B", "été", "水", "+", "ﬁn", "x1", ",", "  "]), max_size=14).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=4), WORDS, st.integers(3, 5))
def test_find_hits_agrees_with_plain_python(texts: list[str], benchmark: str, n: int) -> None:
    found = find_hits(pa.array(texts), make_index([problem(benchmark, ngram=n)]))
    assert sorted(found) == [place for place, text in enumerate(texts) if naive(text, benchmark, n)]
