"""Drops put through again: by a real run's command line, on a real Triton that counts calls."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infra.triton.server import ServedTriton
from tests.faults.case import kill, wait_for
from tests.harness import SMALL, Factory, Finished, data_files, engines_of, served_keys

# Its first run and up to three more in one test: a minute on two cores, five where thirty processes share them.
pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.timeout(900)]

SEEDS = "  - {technique: seeds, path: rows.jsonl, source: made-up, licence: cc0-1.0, columns: {prompt: question}}\nresponses:"
ROWS = [f"How would you explain to a {who} why the sky is blue in the day and red in the evening of a clear day?" for who in ("child", "child", "poet", "cook")]
STRICT = (
    SMALL.replace("  - {filter: truncated}", "  - {filter: truncated}\n  - {filter: too_short, words: 40}")
    .replace("responses:", SEEDS)
    .replace("user_turns: 2", "user_turns: 2, user_sampling: {max_tokens: 12}")
    .replace("only: [open_qa, math]", "only: [open_qa, math, seeds]")
) + "dedup: {near: {threshold: 0.25}}\nscreen: {dedup: {near: {threshold: 0.5}}}\n"
LENIENT = STRICT.replace("words: 40", "words: 8")


class Line:
    """A factory with one finished run under a strict filter."""

    def __init__(self, factory: Factory, recipe: Path) -> None:
        self.factory, self.recipe = factory, recipe
        rows = "".join(json.dumps({"question": one}) + "\n" for one in ROWS)
        recipe.with_name("rows.jsonl").write_text(rows, encoding="utf-8")
        recipe.write_text(STRICT, encoding="utf-8")
        done = factory.call("run", str(recipe), "--json")
        assert done.code == 0, done.err
        self.run_id, self.release = str(done.json["run_id"]), Path(done.json["path"])

    def requeue(self, *arguments: str) -> Finished:
        return self.factory.call("requeue", self.run_id, *arguments, "--json", "--quiet")

    def calls(self, run_id: str) -> int:
        return sum(stage["total"]["calls"] for stage in self.factory.call("runs", "show", run_id, "--json").json["stages"])


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, triton: ServedTriton) -> Line:
    folder = tmp_path_factory.mktemp("requeue")
    return Line(Factory(folder / "data", engines_of(triton)), folder / "small.yaml")


def drops(release: Path) -> pl.DataFrame:
    return pl.read_parquet(release / "dropped" / "*.parquet")


def by_reason(release: Path, stage: str) -> Counter[str]:
    return Counter(drops(release).filter(pl.col("stage") == stage)["reason"].to_list())


def others(release: Path) -> set[tuple[str, str]]:
    """Name what the filters dropped for another reason: by record, as the record says no more than what it is."""
    left = drops(release).filter((pl.col("stage") == "filter") & (pl.col("reason") != "too_short"))
    return set(left.select("record_id", "reason").iter_rows())


def manifest(release: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((release / "manifest.json").read_text(encoding="utf-8"))
    return found


def published(release: Path) -> set[str]:
    columns = [("sft", "conversation_id"), ("preferences", "chosen_id"), ("preferences", "rejected_id")]
    return {one for folder, column in columns for path in release.glob(f"{folder}/*/*.parquet") for one in pl.read_parquet(path)[column]}


def test_a_loosened_filter_lets_its_drops_through_and_no_others(line: Line, call_log: Path) -> None:
    line.recipe.write_text(LENIENT, encoding="utf-8")
    served = len(served_keys(call_log))
    done = line.requeue("--reason", "too_short")
    assert done.code == 0, done.err
    release = Path(done.json["path"])
    assert done.json["release"] == "small/v2"
    assert len(served_keys(call_log)) == served
    assert line.calls(done.json["run_id"]) == 0
    assert by_reason(line.release, "filter")["too_short"] > by_reason(release, "filter")["too_short"]
    assert others(line.release) <= others(release)
    again = drops(release).filter(pl.col("reason") == "too_short")
    assert set(again["attempts"]) <= {2}
    assert published(release) - published(line.release)
    assert manifest(release)["descent"] == {"kind": "requeue", "run": line.run_id, "release": "small/v1", "stage": "filter", "reasons": ["filter/too_short"]}
    assert all(account["closes"] for account in manifest(release)["accounts"])
    assert line.factory.call("releases", "verify", "small/v2").code == 0


def test_a_requeue_publishes_what_a_run_under_the_same_recipe_would(line: Line, tmp_path: Path, triton: ServedTriton) -> None:
    line.recipe.write_text(LENIENT, encoding="utf-8")
    requeued = Path(line.requeue("--reason", "filter/too_short").json["path"])
    whole = Path(line.factory.call("run", str(line.recipe), "--json").json["path"])
    assert published(requeued) == published(whole)
    assert by_reason(requeued, "pair") == by_reason(whole, "pair")


def test_a_requeue_is_done_once_and_again_only_if_asked_killed_or_not(line: Line) -> None:
    line.recipe.write_text(LENIENT, encoding="utf-8")
    first = line.requeue("--reason", "too_short").json
    assert line.requeue("--reason", "too_short").json["already_finished"]
    run_id = first["run_id"] + "-2"
    fresh = line.factory.start("requeue", line.run_id, "--reason", "too_short", "--fresh")
    wait_for(lambda: any(line.factory.data.glob(f"runs/{run_id}/filter/dropped/part-*.parquet")), fresh)
    kill(fresh, line.factory.data)
    resumed = line.requeue("--reason", "too_short").json
    assert (resumed["run_id"], resumed["already_finished"]) == (run_id, False)
    assert resumed["release"] != first["release"]
    assert data_files(Path(resumed["path"])) == data_files(Path(first["path"]))


@pytest.mark.parametrize("stage", ["prompts", "screen", "dedup", "pair"])
def test_drops_of_every_stage_come_back_and_pay_for_nothing(stage: str, line: Line, call_log: Path) -> None:
    line.recipe.write_text(STRICT, encoding="utf-8")
    there = by_reason(line.release, stage)
    served = len(served_keys(call_log))
    done = line.requeue("--reason", f"{stage}/{there.most_common()[0][0]}")
    assert done.code == 0, done.err
    assert len(served_keys(call_log)) == served
    assert published(Path(done.json["path"])) == published(line.release)
    assert by_reason(Path(done.json["path"]), stage) == there


def test_lost_answers_are_asked_for_again_and_no_others(line: Line, call_log: Path) -> None:
    lost = by_reason(line.release, "responses")["truncated"]
    assert lost > 0
    line.recipe.write_text(STRICT.replace("max_tokens: 12", "max_tokens: 200") + "seed: 7\n", encoding="utf-8")
    served = len(served_keys(call_log))
    done = line.requeue("--reason", "responses/truncated")
    assert done.code == 0, done.err
    asked = served_keys(call_log)[served:]
    assert len(asked) == len(set(asked)) == line.calls(done.json["run_id"])
    assert 0 < len(asked) <= 4 * lost  # two answers, the user's turn, a grade
    assert by_reason(Path(done.json["path"]), "responses")["truncated"] < lost
    assert all(account["closes"] for account in manifest(Path(done.json["path"]))["accounts"])


def test_a_recipe_changed_before_the_stage_is_refused(line: Line) -> None:
    line.recipe.write_text(STRICT.replace("samples: 3", "samples: 4"), encoding="utf-8")
    done = line.requeue("--reason", "too_short")
    assert done.code == 2
    assert "responses differs from the run's recipe and bears on stage responses" in " ".join(done.err.split())


def test_an_unknown_reason_is_told_what_there_is(line: Line) -> None:
    line.recipe.write_text(STRICT, encoding="utf-8")
    done = line.requeue("--reason", "too_shrot")
    assert done.code == 7
    assert "did you mean 'too_short'?" in done.err
    assert f"filter/too_short  {by_reason(line.release, 'filter')['too_short']}" in done.err


def test_an_unknown_run_is_told(line: Line, tmp_path: Path) -> None:
    assert "no run 'nothing'" in line.factory.call("requeue", "nothing", "--reason", "too_short").err
    elsewhere = line.factory.call("requeue", "nothing", "--reason", "too_short", "--data", str(tmp_path / "empty"))
    assert (elsewhere.code, "nothing has run" in elsewhere.err) == (7, True)
