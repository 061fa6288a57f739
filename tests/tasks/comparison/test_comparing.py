import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings, read_settings
from schemas.errors import NotFoundError
from schemas.records import Scores
from tasks.comparison.comparing import Comparison, compare
from tasks.comparison.sides import read_side
from tasks.release.publish import publish_release
from tests.tasks.release_builders import a_conversation, a_recipe, some_inputs


def graded(rewards: Sequence[float]) -> list[Any]:
    return [replace(a_conversation(number), scores=Scores(reward, "weights")) for number, reward in enumerate(rewards)]


def published(data: Path, version: str, **changes: Any) -> None:
    publish_release(some_inputs(data, run_id=f"run-{version}", version=version, **changes))


def compared(data: Path) -> Comparison:
    settings = read_settings(data=data)
    return compare(read_side("small/v1", settings), read_side("small/v2", settings))


def test_a_release_does_not_differ_from_itself(tmp_path: Path) -> None:
    published(tmp_path, "v1")
    settings = read_settings(data=tmp_path)
    one = compare(read_side("small", settings), read_side("small/v1", settings))

    assert [(row.shared, row.first) for row in one.overlaps] == [(row.first, row.second) for row in one.overlaps]
    assert {shift.difference for shift in one.shifts} == {0.0}
    assert not any(shift.is_sure for shift in one.shifts)
    assert one.changes == ()


def test_a_shift_is_found_with_an_interval_that_holds_it(tmp_path: Path) -> None:
    draw = random.Random(5)
    base = [draw.gauss(2.0, 1.0) for _ in range(60)]
    published(tmp_path, "v1", prompts=60, sft=graded(base))
    published(tmp_path, "v2", prompts=60, sft=graded([reward + 0.3 + draw.gauss(0, 0.1) for reward in base]))
    shift = compared(tmp_path).shifts[0]

    # Prompt by prompt: beside each other, two samples of 60 with a spread of 1 could not show a shift of 0.3.
    assert (shift.number, shift.paired, shift.prompts) == ("reward", True, 60)
    assert shift.low < 0.3 < shift.high
    assert shift.is_sure


def test_sides_with_few_prompts_in_common_are_compared_as_samples(tmp_path: Path) -> None:
    published(tmp_path, "v1", prompts=40, sft=graded([2.0, 3.0] * 20))
    published(tmp_path, "v2", prompts=140, sft=[replace(one, scores=Scores(3.0, "weights")) for one in map(a_conversation, range(100, 140))])
    one = compared(tmp_path)

    assert next(row for row in one.overlaps if row.what == "sft").shared == 0
    assert not one.shifts[0].paired
    assert one.shifts[0].difference == pytest.approx(0.5)


def test_overlap_reasons_and_recipe_keys_are_told(tmp_path: Path) -> None:
    published(tmp_path, "v1", prompts=10)
    published(tmp_path, "v2", prompts=20, recipe=a_recipe(seed=7, responses=[{"technique": "answer", "samples": 3}]))
    one = compared(tmp_path)

    assert next((row.first, row.second, row.shared) for row in one.overlaps if row.what == "sft") == (10, 20, 10)
    assert [(change.key, change.first, change.second) for change in one.changes] == [("seed", 0, 7)]
    assert set(one.reasons) == {("filter", "too_short"), ("filter", "near_duplicate")}


def test_what_is_neither_release_nor_run_says_so(tmp_path: Path) -> None:
    settings: Settings = read_settings(data=tmp_path)
    with pytest.raises(NotFoundError, match=r"no release 'nothing'.*run"):
        read_side("nothing", settings)
