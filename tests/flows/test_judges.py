"""Judges that ask a language model: their calls are kept like any other, their hand is on the rows, and a kill among them costs nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from infra.triton.server import ServedTriton
from schemas.model_card import CARDS
from tests.faults.case import journalled, kept_calls, kill, wait_for
from tests.harness import Factory, data_files, engines_of, served_keys

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.timeout(900)]

JUDGED = """
name: judged
models: {responder: rehearsal-instruct, judge: rehearsal-instruct}
prompts:
  - {technique: seeds, path: prompts.jsonl, source: gristmill-rehearsal-seeds, licence: cc0-1.0, columns: {prompt: prompt}, limit: 12}
responses: [{technique: answer, samples: 3}]
score: null
pairs: {strategy: all, judges: [{judge: llm_pairwise}, {judge: rubric}]}
shard_records: 4
"""
MOMENTS: dict[str, Callable[[Path], bool]] = {
    "the first judgements journalled": lambda data: journalled(data, "pair") > 500,
    "a shard's pairs written": lambda data: any(data.glob("runs/*/pair/preferences/part-*.parquet")),
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    seeds = Path(__file__).parents[2] / "recipes" / "seeds" / "prompts.jsonl"
    (tmp_path / "prompts.jsonl").write_bytes(seeds.read_bytes())
    path = tmp_path / "judged.yaml"
    path.write_text(JUDGED, encoding="utf-8")
    return path


def test_a_fresh_run_asks_no_judge_again_and_publishes_the_same(factory: Factory, recipe: Path) -> None:
    first = factory.call("run", str(recipe), "--json").json
    again = factory.call("run", str(recipe), "--fresh", "--json").json
    assert data_files(Path(again["path"])) == data_files(Path(first["path"]))
    before, after = (pair_stage(factory, run["run_id"]) for run in (first, again))
    assert before["calls"] > 12 * 2
    assert (after["calls"], after["reused"]) == (0, before["calls"])


def pair_stage(factory: Factory, run_id: str) -> dict[str, int]:
    stages = factory.call("runs", "show", run_id, "--json").json["stages"]
    total: dict[str, int] = next(stage["total"] for stage in stages if stage["stage"] == "pair")
    return total


def test_a_run_killed_while_its_judges_are_asked_publishes_the_same_and_asks_nothing_twice(
    factory: Factory, recipe: Path, tmp_path: Path, call_log: Path
) -> None:
    undisturbed = dict(data_files(Path(factory.call("run", str(recipe), "--json").json["path"])))
    killed, begun = Factory(tmp_path / "killed", factory.engines), len(served_keys(call_log))
    marks: list[tuple[frozenset[str], int]] = []
    for reached in MOMENTS.values():
        process = killed.start("run", str(recipe), "--json")
        wait_for(partial(reached, killed.data), process)
        kill(process, killed.data)
        marks.append((kept_calls(killed.data), len(served_keys(call_log))))
        assert not list(killed.data.glob("releases/*/v*"))
    done = killed.call("run", str(recipe), "--json")
    assert done.code == 0, done.err
    assert dict(data_files(Path(done.json["path"]))) == undisturbed
    served = served_keys(call_log)
    assert len(served) > marks[0][1] > begun
    assert not [key for kept, upto in marks for key in served[upto:] if key in kept]


def llama_judge(folder: Path) -> dict[str, str]:
    """Describe the rehearsal model under another name, a licence that asks something of its results, and a revision of its own."""
    folder.mkdir()
    card = yaml.safe_load((CARDS / "rehearsal-instruct.yaml").read_text(encoding="utf-8")) | {"id": "llama-judge", "licences": ["llama-3.1-community"]}
    (folder / "llama-judge.yaml").write_text(yaml.safe_dump(card | {"revision": "3"}), encoding="utf-8")
    return {"GRISTMILL_CARDS": str(folder)}


def hands(row: dict[str, Any]) -> dict[str, tuple[str, str, str, str]]:
    """Give the models on a row by role: id, revision, licence and its version."""
    return {use["role"]: (use["model"], use["revision"], use["licence"], use["licence_version"]) for use in row["provenance"]["models"]}


def test_a_judge_stands_on_each_row_that_it_judged_and_its_licence_goes_with_it(factory: Factory, recipe: Path, triton: ServedTriton, tmp_path: Path) -> None:
    recipe.write_text(JUDGED.replace("judge: rehearsal-instruct", "judge: llama-judge"), encoding="utf-8")
    where = f"{engines_of(triton)} llama-judge=grpc://127.0.0.1:{triton.grpc_port}/ensemble"
    judged = replace(factory, engines=where, settings=llama_judge(tmp_path / "cards"))
    done = judged.call("run", str(recipe), "--json")
    assert done.code == 0, done.err
    release = Path(done.json["path"])
    pairs, sft = (list(pl.read_parquet(release / name / "**" / "*.parquet").iter_rows(named=True)) for name in ("preferences", "sft"))
    assert {row["judge"] for row in pairs} == {"llm_pairwise", "rubric"}
    for row in pairs:
        assert hands(row)["judge"] == ("llama-judge", "3", "llama-3.1-community", "2024-07-23")
        assert len(row["hearings"]) == 2
        assert all(hearing["raw"].strip() for hearing in row["hearings"])
    assert {role for row in sft for role in hands(row)} == {"responder"}

    manifest = json.loads((release / "manifest.json").read_text(encoding="utf-8"))
    (told,) = [one for one in manifest["models"] if one["role"] == "judge"]
    assert (told["model"], told["rows"]["preferences"]) == ("llama-judge", len(pairs))
    assert (manifest["obligations"]["display"], manifest["obligations"]["model_name_prefixes"]) == (["Built with Llama"], ["Llama"])
    assert "Built with Llama" in (release / "README.md").read_text(encoding="utf-8")
    assert "Llama 3.1 Community License" in (release / "NOTICE").read_text(encoding="utf-8")

    nothing, whole = (judged.call("export", "judged", "--to", to, "--out", str(tmp_path / to), "--without-llama", "--json") for to in ("trl-dpo", "trl-sft"))
    assert nothing.code == 7, "every pair is by Llama's word"
    assert f"llama_touched {len(pairs)}" in " ".join(nothing.err.split())
    assert whole.json["left_out"] == []
