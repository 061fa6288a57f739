"""The rehearsal reward model measured on real pairs, by the command line; and a run that demands it."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from infra.triton.server import ServedTriton
from tests.harness import Factory, served_keys

pytestmark = [pytest.mark.triton, pytest.mark.slow]

SHARED = Path(os.environ.get("GRISTMILL_SHARED_DATA", "../shared/data"))
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"NO SHARED DATA at {SHARED}: set GRISTMILL_SHARED_DATA")
PAIRS = """{"prompt": "What is 2 + 2?", "chosen": "2 + 2 = 4. The answer is 4.", "rejected": "2 + 2 = 5. The answer is 5."}
{"prompt": "What is 3 + 4?", "chosen": "3 + 4 = 7. The answer is 7.", "rejected": "I can't help with that."}
{"prompt": "What is 1 + 1?", "chosen": "2", "rejected": "2"}
"""


@needs_shared
@pytest.mark.parametrize(
    ("name", "pairs"), [("llmbar_pairs.jsonl", 265), ("judge_bench_processed_pairs.jsonl.gz", 299), ("hh_rlhf_harmless_pairs.jsonl.gz", 1358)]
)
def test_real_pairs_are_all_judged_or_dropped_with_a_reason(factory: Factory, name: str, pairs: int) -> None:
    done = factory.call("appraise", "rehearsal-reward", str(SHARED / name), "--json")
    assert done.code == 0, done.err
    told = done.json
    assert told["pairs"] == pairs == told["won"] + told["lost"] + told["tied"] + sum(told["dropped"].values())
    assert 0 < told["low"] < told["score"] < told["high"] < 1
    assert sum(share["pairs"] for share in told["categories"].values()) == pairs - sum(told["dropped"].values())
    assert list(told["sections"]) == (["Chat Hard"] if name.startswith("llmbar") else [])


def test_appraisal_is_kept_and_never_paid_for_twice(factory: Factory, tmp_path: Path, call_log: Path, triton: ServedTriton) -> None:
    path = tmp_path / "sums.jsonl"
    path.write_text(PAIRS, encoding="utf-8")
    first = factory.call("appraise", "rehearsal-reward", str(path), "--json")
    assert first.code == 0, first.err
    assert (first.json["won"], first.json["lost"], first.json["dropped"]) == (2, 0, {"equal_answers": 1})
    served = len(served_keys(call_log))
    assert factory.call("appraise", "rehearsal-reward", str(path), "--json").json == first.json
    again = factory.call("appraise", "rehearsal-reward", str(path), "--fresh", "--attribute", "correctness", "--json").json
    assert len(served_keys(call_log)) == served
    assert again["reduction"] == "+1*correctness"
    kept = json.loads(factory.call("appraisals", "rehearsal-reward", "--json").out)
    assert kept == [again, first.json]
    assert "sums" in factory.call("appraisals").out


def test_run_refuses_a_reward_engine_that_was_not_appraised_or_fell_below_the_mark(factory: Factory, small_recipe: Path, tmp_path: Path) -> None:
    path = tmp_path / "sums.jsonl"
    path.write_text(PAIRS, encoding="utf-8")
    small_recipe.write_text(small_recipe.read_text() + "score: {appraisal: {pairs: sums, at_least: 0.9}}\n")
    refused = factory.call("run", str(small_recipe))
    assert refused.code == 3
    assert "was not appraised on sums, which is demanded" in " ".join(refused.err.split())
    path.write_text(PAIRS.replace('"chosen"', '"better"').replace('"rejected"', '"chosen"').replace('"better"', '"rejected"'), encoding="utf-8")
    assert factory.call("appraise", "rehearsal-reward", str(path), "--json").json["won"] == 0
    refused = factory.call("run", str(small_recipe))
    assert refused.code == 3
    assert "scored 0.000" in " ".join(refused.err.split())
    by_settings = replace(factory, settings={"GRISTMILL_APPRAISAL": "others>=0.5"})
    assert "was not appraised on" in " ".join(by_settings.call("run", str(small_recipe)).err.split())
    path.write_text(PAIRS, encoding="utf-8")
    assert factory.call("appraise", "rehearsal-reward", str(path), "--json").json["won"] == 2
    assert factory.call("run", str(small_recipe), "--json").code == 0
