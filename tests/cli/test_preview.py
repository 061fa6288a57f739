"""`gristmill preview`: on screen, everything that a run would do; in the data folder, nothing but paid calls."""

from pathlib import Path

import pytest

from tests.harness import SMALL, Factory


@pytest.fixture
def previewed(tmp_path: Path) -> Factory:
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    return Factory(tmp_path / "data", "")


@pytest.mark.slow
@pytest.mark.triton
def test_preview_takes_records_through_every_stage_and_pays_for_the_run(previewed: Factory, tmp_path: Path) -> None:
    recipe = str(tmp_path / "small.yaml")

    shown = previewed.call("preview", recipe, "-n", "5", "--json")

    assert shown.code == 0, shown.err
    result = shown.json
    assert sorted(one["prompt"]["technique"] for one in result["prompts"]) == ["math", "math", "open_qa", "open_qa", "open_qa"]
    answers = [answer for one in result["prompts"] for answer in one["answers"]]
    assert len(answers) + len([drop for drop in result["drops"] if drop["stage"] == "responses"]) == 3 * 4 + 2 * 3
    assert all(answer["fate"] for answer in answers), "each answer is published or dropped with a reason"
    assert all(answer["conversation"]["scores"] for answer in answers)
    assert all(exchange["prompt"] and not exchange["reused"] for answer in answers for exchange in answer["exchanges"])
    assert not (previewed.data / "releases").exists()
    assert not (previewed.data / "ledger.db").exists()
    assert list((previewed.data / "runs").iterdir()) == []

    again = previewed.call("preview", recipe, "-n", "5", "--json").json
    assert all(exchange["reused"] for one in again["prompts"] for answer in one["answers"] for exchange in answer["exchanges"])
    assert [one["prompt"]["prompt_id"] for one in again["prompts"]] == [one["prompt"]["prompt_id"] for one in result["prompts"]]

    for_people = previewed.call("preview", recipe, "-n", "2")
    assert for_people.code == 0
    assert "<extra_id_1>User" in for_people.out, "prompts are shown as they are sent"
    assert "Nothing was published." in for_people.out
