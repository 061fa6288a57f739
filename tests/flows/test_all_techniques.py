"""Every technique, verifier and judge in one run: each must be there in what is published, and the accounts must close."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.discovery import Kind, names
from tests.harness import Factory

pytestmark = [pytest.mark.triton, pytest.mark.slow]

RECIPE = Path(__file__).parents[2] / "recipes" / "all-techniques.yaml"
ASKED = {"llm_pairwise", "rubric"}


def seen(column: pl.Series) -> set[Any]:
    return set(column.drop_nulls().to_list())


def test_the_recipe_of_all_techniques_publishes_each_of_them(factory: Factory) -> None:
    done = factory.call("run", str(RECIPE), "--json")
    assert done.code == 0, done.err
    release = Path(done.json["path"])
    sft, pairs, prompts = (pl.read_parquet(release / name / "**" / "*.parquet") for name in ("sft", "preferences", "prompts"))
    assert seen(prompts["technique"]) == of("prompts")
    assert seen(sft["technique"]) == of("prompts")
    assert seen(sft["response"]) == of("responses")
    assert seen(sft["verdict"].struct.field("verifier")) == of("verifiers")
    assert seen(pairs["judge"]) == of("judges")
    check_pairs(pairs)
    check_prompts(prompts, pl.read_parquet(release / "dropped" / "**" / "*.parquet"))
    check_twins(sft)
    manifest = json.loads((release / "manifest.json").read_text(encoding="utf-8"))
    check_accounts(manifest)
    assert {one["judge"] for one in manifest["length"]["judges"]} == of("judges")
    assert {one["role"] for one in manifest["models"]} == {"writer", "responder", "responder.reasoner", "user", "base", "judge", "reward"}


def of(kind: Kind) -> set[str]:
    return set(names(kind))


def check_pairs(pairs: pl.DataFrame) -> None:
    """A judge that was asked has its words on the row, for both orders and with its hand in the provenance; no other judge has.

    Genetic Instruct's prompts have a judge's hand before there is any answer.
    """
    for row in pairs.iter_rows(named=True):
        assert len(row["hearings"]) == (2 if row["judge"] in ASKED else 0)
        asked = row["judge"] in ASKED or row["technique"] == "genetic_instruct"
        assert ("judge" in {use["role"] for use in row["provenance"]["models"]}) == asked
        if row["judge"] == "llm_pairwise":
            first, second = row["hearings"]
            assert first["order"] == second["order"][::-1]
            assert first["verdict"] == second["verdict"] == row["chosen_id"]
    voted = pairs.filter(judge="majority_vote")["reference"].struct.field("origin")
    assert seen(voted) == {"majority"}
    assert (pairs.filter(pl.col("judge").is_in(["ground_truth", "majority_vote"]))["difficulty"].struct.field("samples") > 1).all()
    assert pairs.group_by("prompt_id").len()["len"].max() <= 4  # type: ignore[operator]


def check_prompts(prompts: pl.DataFrame, dropped: pl.DataFrame) -> None:
    """Genetic Instruct's survivors were found fit by the judge; constraints were put on prompts of the recipe's own, which stand beside them."""
    bred = prompts.filter(pl.col("technique") == "genetic_instruct")
    assert all({"writer", "responder", "judge"} == {use["role"] for use in row["models"]} for row in bred["provenance"])
    drawn = prompts.filter((pl.col("technique") == "instruction_following") & (pl.col("lineage").struct.field("operator") == "constraint"))
    assert len(drawn) > 0
    beside = seen(prompts.filter(pl.col("technique").is_in(["open_qa", "writing"]))["prompt_id"]) | seen(dropped["record_id"])
    assert seen(drawn["lineage"].struct.field("parent")) <= beside
    assert all("writer" in {use["role"] for use in row["models"]} for row in drawn["provenance"])


def check_twins(sft: pl.DataFrame) -> None:
    """Thoughts are in a field of their own, and a prompt's answer with them stands beside one without."""
    thought = sft.filter(pl.col("reasoning").is_not_null())
    assert len(thought) > 0
    assert not any("think>" in turn["content"] for messages in sft["messages"] for turn in messages)
    assert set(thought["prompt_id"]) & set(sft.filter(pl.col("reasoning").is_null())["prompt_id"])


def check_accounts(manifest: dict[str, Any]) -> None:
    for account in manifest["accounts"]:
        assert account["requested"] == account["kept"] + sum(loss["rows"] for loss in account["losses"]) > 0
