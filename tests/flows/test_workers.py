"""One Dask worker and two, each a process of its own: the same release, byte for byte."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from tests.harness import SMALL, Factory, data_files

pytestmark = [pytest.mark.triton, pytest.mark.slow]

RECIPE = (
    SMALL.replace("reward: rehearsal-reward}", "reward: rehearsal-reward, embedding: rehearsal-embedding}").replace("shard_records: 8", "shard_records: 6")
    + """
screen: {dedup: {near: {threshold: 0.7, verify: true}, semantic: {threshold: 0.6, clusters: 4}}}
dedup: {near: {threshold: 0.7}, semantic: {threshold: 0.82, clusters: 5, probes: 3}}
redact: {}
"""
)


@pytest.mark.timeout(1200)
def test_two_workers_publish_what_one_does_byte_for_byte(factory: Factory, tmp_path: Path) -> None:
    recipe = tmp_path / "both.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    releases = []
    for workers in ("1", "2"):
        one = replace(factory, data=tmp_path / workers, settings={"GRISTMILL_DASK_WORKERS": workers})
        done = one.call("run", str(recipe), "--json")
        assert done.code == 0, done.err
        releases.append(Path(done.json["path"]))
    files = [data_files(release) for release in releases]
    assert files[0] == files[1]
    assert {name.partition("/")[0] for name in files[0]} == {"sft", "preferences", "prompts", "dropped", "index"}
    reasons = set(pl.read_parquet(releases[0] / "dropped" / "*.parquet")["reason"])
    assert reasons >= {"semantic_duplicate", "truncated"}
    checked = [{path.name: path.read_bytes() for path in (release / "expectations").iterdir()} for release in releases]
    assert checked[0] == checked[1]
