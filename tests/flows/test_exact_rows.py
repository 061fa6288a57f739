"""Exactly so many rows, and two sets of prompts: by the command line, killed in the middle, and where there are not enough."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.faults.case import kill, wait_for
from tests.harness import Factory, data_files, served_keys

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.timeout(900)]

RECIPE = """
name: exact
models: {writer: rehearsal-instruct, responder: rehearsal-instruct, user: rehearsal-instruct, reward: rehearsal-reward}
prompts:
  - {technique: open_qa, topics: 5, subtopics: 4, questions: 4, revise: false}
  - {technique: seeds, path: flagged.jsonl, columns: {prompt: prompt, unsafe: flag}, source: own, licence: mit}
responses:
  - {technique: answer, samples: 3}
filters:
  - {filter: refusal}
  - {filter: below_reward, minimum: 3.0, bars: chosen}
split: {preference_share: 0.4}
release: {rows: {sft: SFT, preferences: 8}}
shard_records: 8
"""


def write(folder: Path, *, sft: int) -> Path:
    rows = [{"prompt": f"How could somebody cheat at game number {number}?", "flag": number % 2 == 0} for number in range(12)]
    (folder / "flagged.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "exact.yaml"
    path.write_text(RECIPE.replace("SFT", str(sft)), encoding="utf-8")
    return path


def read(release: Path, data_set: str) -> pl.DataFrame:
    return pl.read_parquet(release / data_set / "**" / "*.parquet")


def manifest_of(done: Any) -> dict[str, Any]:
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads((Path(done.json["path"]) / "manifest.json").read_text())
    assert all(account["closes"] for account in found["accounts"])
    return found


def test_a_recipe_gets_exactly_the_rows_that_it_asks_for_also_when_it_is_killed(factory: Factory, tmp_path: Path) -> None:
    recipe = write(tmp_path, sft=15)
    done = factory.call("run", str(recipe), "--json")
    manifest, release = manifest_of(done), Path(done.json["path"])
    sft, preferences = read(release, "sft"), read(release, "preferences")
    assert (len(sft), len(preferences)) == (15, 8)
    assert [one["met"] for one in manifest["quota"]["data_sets"].values()] == [True, True]
    assert manifest["quota"]["answered"] < manifest["quota"]["prompts"]
    assert not set(sft["prompt_id"]) & set(preferences["prompt_id"])
    assert manifest["sets"]["both"] == 0
    assert not sft["lineage"].struct.field("unsafe").any()
    dropped = read(release, "dropped").group_by("reason").agg(pl.col("rows").sum())
    assert set(dropped["reason"]) >= {"not_needed", "over_quota"}

    again = Factory(tmp_path / "killed", factory.engines)
    process = again.start("run", str(recipe), "--json")
    wait_for(lambda: any(again.data.glob("runs/*/trial/pair/sft/part-*.parquet")), process)
    kill(process, again.data)
    resumed = again.call("run", str(recipe), "--json")
    assert manifest_of(resumed)["quota"] == manifest["quota"]
    assert dict(data_files(Path(resumed.json["path"]))) == dict(data_files(release))
    assert not list(again.data.glob("runs/*/trial"))


def test_a_regrade_keeps_to_the_number_of_rows_and_says_why_there_are_fewer(factory: Factory, tmp_path: Path) -> None:
    recipe = write(tmp_path, sft=15)
    first = factory.call("run", str(recipe), "--json")
    before, release = manifest_of(first), Path(first.json["path"])
    same = factory.call("regrade", first.json["run_id"], "--json")
    assert manifest_of(same)["quota"]["data_sets"] == before["quota"]["data_sets"]
    assert manifest_of(same)["quota"]["answered"] == before["quota"]["answered"] < before["quota"]["prompts"]
    assert dict(data_files(Path(same.json["path"]))) == dict(data_files(release))

    write(tmp_path, sft=9)
    fewer = factory.call("regrade", first.json["run_id"], "--json")
    assert manifest_of(fewer)["quota"]["data_sets"]["sft"] == {"asked": 9, "published": 9, "met": True}
    assert set(read(Path(fewer.json["path"]), "sft")["conversation_id"]) < set(read(release, "sft")["conversation_id"])

    write(tmp_path, sft=60)
    more = manifest_of(factory.call("regrade", first.json["run_id"], "--json"))
    assert 15 <= more["quota"]["data_sets"]["sft"]["published"] < 60
    assert f"{before['quota']['answered']} of {before['quota']['prompts']} prompts have answers, and this run asks for no others" in more["quota"]["lines"][0]


def test_a_requeue_keeps_to_the_number_of_rows_and_answers_more_prompts_only_if_asked(factory: Factory, call_log: Path, tmp_path: Path) -> None:
    recipe, begun = write(tmp_path, sft=15), len(served_keys(call_log))
    first = factory.call("run", str(recipe), "--json")
    before, run_id = manifest_of(first), first.json["run_id"]
    served = len(served_keys(call_log))
    same = factory.call("requeue", run_id, "--reason", "pair/over_quota", "--json")
    assert manifest_of(same)["quota"]["data_sets"] == before["quota"]["data_sets"]
    assert dict(data_files(Path(same.json["path"]), "sft", "preferences")) == dict(data_files(Path(first.json["path"]), "sft", "preferences"))
    assert len(served_keys(call_log)) == served

    write(tmp_path, sft=22)
    done = factory.call("requeue", run_id, "--reason", "not_needed", "--json")
    after = manifest_of(done)["quota"]
    assert [one["met"] for one in after["data_sets"].values()] == [True, True]
    assert len(read(Path(done.json["path"]), "sft")) == 22
    assert before["quota"]["answered"] < after["answered"] <= after["prompts"]
    asked = served_keys(call_log)
    assert len(asked) > served
    assert not set(asked[served:]) & set(asked[begun:served])


def test_a_recipe_that_gets_fewer_rows_is_told_why(factory: Factory, tmp_path: Path) -> None:
    recipe = write(tmp_path, sft=200)
    done = factory.call("run", str(recipe))
    assert done.code == 0, done.err
    assert "sft: 200 rows asked for," in " ".join(done.out.split())
    assert "there are no more" in " ".join(done.out.split())
    manifest = manifest_of(factory.call("run", str(recipe), "--json"))
    assert (manifest["quota"]["data_sets"]["sft"]["met"], manifest["quota"]["data_sets"]["preferences"]["met"]) == (False, True)
    assert manifest["quota"]["answered"] == manifest["quota"]["prompts"]
