"""Judges that ask a language model: their calls are kept like any other, and a release by them can be made again without one."""

from pathlib import Path

import pytest

from tests.harness import Factory, data_files

pytestmark = [pytest.mark.triton, pytest.mark.slow]

JUDGED = """
name: judged
models: {responder: rehearsal-instruct, judge: rehearsal-instruct}
prompts:
  - {technique: seeds, path: PROMPTS, source: gristmill-rehearsal-seeds, licence: cc0-1.0, columns: {prompt: prompt}, limit: 12}
responses: [{technique: answer, samples: 3}]
score: null
pairs: {strategy: all, judges: [{judge: llm_pairwise}, {judge: rubric}]}
shard_records: 4
"""


def test_a_fresh_run_asks_no_judge_again_and_publishes_the_same(factory: Factory, tmp_path: Path) -> None:
    seeds = Path(__file__).parents[2] / "recipes" / "seeds" / "prompts.jsonl"
    recipe = tmp_path / "judged.yaml"
    (tmp_path / "prompts.jsonl").write_bytes(seeds.read_bytes())
    recipe.write_text(JUDGED.replace("PROMPTS", "prompts.jsonl"), encoding="utf-8")
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
