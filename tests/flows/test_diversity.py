"""A budget on copies, by the command line: crowded topics get no more calls, accounts close, and a killed run decides the same again."""

import json
from pathlib import Path

import polars as pl
import pytest

from tests.faults.case import kill, wait_for
from tests.harness import Factory, data_files

pytestmark = [pytest.mark.triton, pytest.mark.slow]

RECIPE = """
name: diverse
models: {writer: rehearsal-instruct, responder: rehearsal-instruct, reward: rehearsal-reward}
prompts:
  - {technique: math, topics: 6, subtopics: 10, problems: 2}
diversity: {mark: 0.03, least: 3, waves: 4, depth: 2}
screen: {dedup: {near: {threshold: 0.5}}}
responses: [{technique: answer}]
pairs: null
shard_records: 8
"""


def test_crowded_topics_get_no_more_calls_also_when_the_run_is_killed(factory: Factory, tmp_path: Path) -> None:
    recipe = tmp_path / "diverse.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    done = factory.call("run", str(recipe), "--json")
    assert done.code == 0, done.err
    release = Path(done.json["path"])
    assert all(account["closes"] for account in json.loads((release / "manifest.json").read_text())["accounts"])
    dropped = pl.read_parquet(release / "dropped" / "**" / "*.parquet").filter(pl.col("reason") == "diversity_budget")
    assert dropped["rows"].sum() > 0
    assert dropped["detail"].str.contains("copies of others: mathematics / ").all()

    again = Factory(tmp_path / "killed", factory.engines)
    process = again.start("run", str(recipe), "--json")
    wait_for(lambda: any(again.data.glob("runs/*/prompts/*/*/stopped.json")), process)
    kill(process, again.data)
    resumed = again.call("run", str(recipe), "--json")
    assert resumed.code == 0, resumed.err
    assert dict(data_files(Path(resumed.json["path"]))) == dict(data_files(release))
