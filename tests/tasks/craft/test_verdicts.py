"""Judges' words: made-up ones, and 3,758 real ones beside what their authors read in them."""

import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.craft.verdicts import Better, read_ratings, read_verdict

DATA = Path(os.environ.get("GRISTMILL_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.mark.parametrize(
    ("text", "better"),
    [
        ("A says more.\nVerdict: A", "first"),
        ("**Verdict: B**", "second"),
        ("Verdict: [[B]]", "second"),
        ("The verdict is A.", "first"),
        ("Verdict: Answer B", "second"),
        ("Verdict: tie", "tie"),
        ("Verdict: neither", "tie"),
        ("[[A]]", "first"),
        ("[[C]]", "tie"),
        ("Output (a)", "first"),
        ("(b)", "second"),
        ("B.", "second"),
        ("Response 2 is better than Response 1.", "second"),
        ("Output (a) is better in style. Yet overall, Output (b) is better.", "second"),
        ("Answer A is better. Verdict: B", "second"),
        ("Both outputs are equally good.", "tie"),
        ("", None),
        ("Answer A is good, and so is Answer B.", None),
        ("Answer A is not better.", None),
        ("A fair verdict needs more than this.", None),
        ("verdict: Always hard to say", None),
    ],
)
def test_read_verdict_reads_each_form_and_nothing_else(text: str, better: Better | None) -> None:
    assert read_verdict(text) == better


@given(st.text(max_size=200))
def test_read_verdict_never_fails(text: str) -> None:
    assert read_verdict(text) in ("first", "second", "tie", None)


@pytest.mark.parametrize(
    ("text", "ratings"),
    [
        ("Close.\nAnswer 1: 7\nAnswer 2: 4", (7, 4)),
        ("1. 7/10\n2. 4.5/10", (7, 4.5)),
        ("- Answer 1: **7**\n- Answer 2: **4**", (7, 4)),
        ("| 1 | 7 |\n| 2 | 4 |", (7, 4)),
        ("Answer 2: 4\nAnswer 1: 7 out of 10", (7, 4)),
        ("Answer 1: score: 7\nAnswer 2: score: 4", (7, 4)),
        ("Answer 1: 5 at first sight\nAnswer 2: 4\nAnswer 1: 7", (7, 4)),
        ("Answer 1: 7", None),
        ("Answer 1: 7\nAnswer 2: 11", None),
        ("Answer 1: 7\nAnswer 2: 90%", None),
        ("In 1999: 7 people rated it.", None),
    ],
)
def test_read_ratings_wants_one_for_each(text: str, ratings: tuple[float, ...] | None) -> None:
    assert read_ratings(text, 2, low=1, high=10) == ratings


@given(st.lists(st.integers(1, 10), min_size=1, max_size=8), st.sampled_from(["Answer {}: {}", "{}. {}/10", "- Answer {}: **{}**", "[{}]: {}"]))
def test_read_ratings_reads_back_what_was_written(ratings: list[int], form: str) -> None:
    text = "Some are better.\n" + "\n".join(form.format(number, rating) for number, rating in enumerate(ratings, 1))
    assert read_ratings(text, len(ratings), low=1, high=10) == tuple(ratings)


def outputs() -> list[dict[str, Any]]:
    path = DATA / "llmbar_judge_outputs.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no {path.name} in {DATA}: set GRISTMILL_SHARED_DATA")
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()]
    return [row for row in rows if row["prompting"] != "Rating"]


def read_winner(row: dict[str, Any], *, swapped: bool) -> str | None:
    """Name the better output as the data does, by its place before the swap."""
    better = read_verdict(row["swapped_completion" if swapped else "completion"] or "")
    return {"first": "2" if swapped else "1", "second": "1" if swapped else "2"}.get(better or "")


def test_read_verdict_agrees_with_the_authors_of_llmbar() -> None:
    """All but 42 of 3,750: of these 38 are texts whose authors read them both ways (PaLM2, filed twice), and 4 end in 'Output (b) is better.', filed as (a)."""
    rows = outputs()
    twins = {(row["judge"], row["subset"], row["row"]): row for row in rows if row["prompting"] == "Swap_CoT"}
    told: Counter[str] = Counter()
    for row in rows:
        for text, winner, swapped in (("completion", "winner", False), ("swapped_completion", "swapped_winner", True)):
            mine, twin = read_winner(row, swapped=swapped), twins.get((row["judge"], row["subset"], row["row"]))
            if mine == row[winner]:
                told["agree"] += 1
            elif twin and twin[text] == row[text] and mine == twin[winner]:
                told["filed both ways"] += 1
            else:
                assert row[text].strip().endswith("Output (b) is better.")
                told["filed otherwise"] += 1
    assert told == {"agree": 3708, "filed both ways": 38, "filed otherwise": 4}


def test_verdicts_that_turn_with_the_order_are_none() -> None:
    """Of 1,875 pairs asked about in both orders, 1,182 have one verdict, as the authors found of all but 39."""
    told: Counter[tuple[bool, bool]] = Counter()
    for row in outputs():
        mine = read_winner(row, swapped=False)
        told[mine is not None and mine == read_winner(row, swapped=True), row["winner"] is not None and row["winner"] == row["swapped_winner"]] += 1
    assert told == {(True, True): 1144, (False, False): 692, (True, False): 38, (False, True): 1}
