"""A finished run graded again: another release from the same answers, and not one of them asked for anew."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import yaml

from infra.triton.server import ServedTriton
from schemas.model_card import CARDS
from tests.harness import Factory, data_files, engines_of, served_keys

pytestmark = [pytest.mark.triton, pytest.mark.slow]


def calls_by_stage(factory: Factory, run: str) -> Counter[str]:
    stages = factory.call("runs", "show", run, "--json").json["stages"]
    return Counter({stage["stage"]: stage["total"]["calls"] for stage in stages})


def other_grader(folder: Path) -> dict[str, str]:
    """Describe the rehearsal reward model under another name, by one attribute."""
    folder.mkdir()
    card = yaml.safe_load((CARDS / "rehearsal-reward.yaml").read_text(encoding="utf-8"))
    card |= {"id": "second-reward", "revision": "7"}
    card["reward"]["weights"] = {"coherence": 1.0}
    (folder / "second-reward.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")
    return {"GRISTMILL_CARDS": str(folder)}


def test_regrade_publishes_again_from_the_same_answers(factory: Factory, small_recipe: Path, triton: ServedTriton, call_log: Path, tmp_path: Path) -> None:
    first = factory.call("run", str(small_recipe), "--json").json
    served = len(served_keys(call_log))
    same = factory.call("regrade", first["run_id"], "--json")
    assert same.code == 0, same.err
    assert same.json["release"] == "small/v2"
    assert data_files(Path(same.json["path"])) == data_files(Path(first["path"]))
    assert len(served_keys(call_log)) == served
    assert calls_by_stage(factory, same.json["run_id"]).total() == 0

    where = f"{engines_of(triton)} second-reward=grpc://127.0.0.1:{triton.grpc_port}/reward"
    other = replace(factory, engines=where, settings=other_grader(tmp_path / "cards"))
    again = other.call("regrade", first["run_id"], "--reward", "second-reward", "--json")
    assert again.code == 0, again.err
    calls = calls_by_stage(other, again.json["run_id"])
    assert calls["score"] > 50
    assert calls.total() == calls["score"]
    manifest = json.loads((Path(again.json["path"]) / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["descent"] == {"kind": "regrade", "run": first["run_id"], "release": "small/v1", "fingerprint": manifest["descent"]["fingerprint"]}
    assert manifest["reduction"] == {"formula": "+1*coherence", "weights": {"coherence": 1.0}, "marks": {}, "source": "second-reward"}
    requested = {account["unit"]: account["requested"] for account in manifest["accounts"]}
    assert requested == {one["unit"]: one["requested"] for one in json.loads((Path(first["path"]) / "manifest.json").read_text())["accounts"]}
    sft = pl.read_parquet(Path(again.json["path"]) / "sft" / "**" / "*.parquet")
    graders = sft["provenance"].struct.field("models").explode().struct.unnest().filter(pl.col("role") == "reward")["model"].unique().to_list()
    assert graders == ["second-reward"]
    assert (sft["scores"].struct.field("reward") == sft["scores"].struct.field("coherence")).all()


def test_regrade_takes_other_thresholds_and_refuses_other_answers(factory: Factory, small_recipe: Path, tmp_path: Path) -> None:
    first = factory.call("run", str(small_recipe), "--json").json
    stricter = tmp_path / "stricter.yaml"
    stricter.write_text(small_recipe.read_text().replace("minimum: 3.0", "minimum: 3.6"))
    done = factory.call("regrade", first["run_id"][:6], "--recipe", str(stricter), "--json")
    assert done.code == 0, done.err
    assert calls_by_stage(factory, done.json["run_id"]).total() == 0
    assert done.json["rows"]["sft/train"] < first["rows"]["sft/train"]
    assert factory.call("regrade", first["run_id"], "--recipe", str(stricter), "--json").json["already_finished"]

    other = tmp_path / "other.yaml"
    other.write_text(small_recipe.read_text().replace("samples: 3", "samples: 4"))
    refused = factory.call("regrade", first["run_id"], "--recipe", str(other))
    assert refused.code == 2
    assert "responses differ from the run's recipe and bear on its answers" in refused.err
    assert factory.call("regrade", "nosuchrun").code == 7
