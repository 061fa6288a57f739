"""A run end to end, by its command line: real Triton, Prefect, Dask, files."""

from pathlib import Path

import polars as pl
import pytest

from tests.harness import Factory, data_files

pytestmark = [pytest.mark.triton, pytest.mark.slow]


def test_run_publishes_a_release_whose_accounts_close(factory: Factory, small_recipe: Path) -> None:
    done = factory.call("run", str(small_recipe), "--json")
    assert done.code == 0, done.err
    release = Path(done.json["path"])
    manifest = pl.read_json(release / "manifest.json")
    for account in manifest["accounts"].to_list()[0]:
        assert account["requested"] == account["kept"] + sum(loss["rows"] for loss in account["losses"])
    assert account["requested"] > 0
    sft = pl.read_parquet(release / "sft" / "**" / "*.parquet")
    pairs = pl.read_parquet(release / "preferences" / "**" / "*.parquet")
    assert set(sft["technique"]) == {"open_qa", "math"}
    assert set(sft["response"]) == {"answer", "dialogue"}
    assert sft["provenance"].struct.field("rehearsal").all()
    assert (pairs["chosen_id"] != pairs["rejected_id"]).all()
    for rows, wanted in ((sft, {"answer": {"writer", "responder", "reward"}, "dialogue": {"writer", "responder", "user", "reward"}}), (pairs, {})):
        for row in rows.to_dicts():
            hands = row["provenance"]["models"]
            assert wanted.get(row.get("response") or "", {"writer", "responder", "reward"}) <= {hand["role"] for hand in hands}
            assert {(hand["licence"], hand["licence_version"], hand["revision"]) for hand in hands} == {("apache-2.0", "2.0", "1")}
    assert not (release.parent / f".{release.name}").exists()


def test_a_finished_run_is_returned_as_it_is(factory: Factory, small_recipe: Path) -> None:
    first = factory.call("run", str(small_recipe), "--json").json
    again = factory.call("run", str(small_recipe), "--json").json
    assert again["already_finished"]
    assert again["release"] == first["release"]


def test_fresh_runs_anew_and_pays_for_nothing_again(factory: Factory, small_recipe: Path) -> None:
    first = factory.call("run", str(small_recipe), "--json").json
    fresh = factory.call("run", str(small_recipe), "--fresh", "--json").json
    assert fresh["release"] == "small/v2"
    assert data_files(Path(fresh["path"])) == data_files(Path(first["path"]))
    stages = factory.call("runs", "show", fresh["run_id"], "--json").json["stages"]
    assert sum(stage["total"]["calls"] for stage in stages) == 0


def test_an_edited_filter_reuses_every_call(factory: Factory, small_recipe: Path) -> None:
    factory.call("run", str(small_recipe), "--json")
    small_recipe.write_text(small_recipe.read_text().replace("minimum: 3.0", "minimum: 2.0"))
    edited = factory.call("run", str(small_recipe), "--json").json
    stages = factory.call("runs", "show", edited["run_id"], "--json").json["stages"]
    assert sum(stage["total"]["calls"] for stage in stages) == 0
    assert sum(stage["total"]["reused"] for stage in stages) > 100


def test_an_edited_technique_pays_only_for_what_it_changed(factory: Factory, small_recipe: Path) -> None:
    first = factory.call("run", str(small_recipe), "--json").json
    small_recipe.write_text(small_recipe.read_text().replace("problems: 3", "problems: 4"))
    edited = factory.call("run", str(small_recipe), "--json").json

    def calls(run_id: str) -> int:
        return sum(stage["total"]["calls"] for stage in factory.call("runs", "show", run_id, "--json").json["stages"])

    assert 0 < calls(edited["run_id"]) < calls(first["run_id"]) / 2
