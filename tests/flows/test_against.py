"""A run that is told of an earlier release pays for nothing that is in it."""

from pathlib import Path

import polars as pl
import pytest

from tests.harness import Factory

pytestmark = [pytest.mark.triton, pytest.mark.slow]


def test_a_run_against_an_earlier_release_answers_only_what_is_new(factory: Factory, small_recipe: Path) -> None:
    first = factory.call("run", str(small_recipe), "--json").json
    recipe = small_recipe.read_text()
    small_recipe.write_text(recipe.replace("problems: 3", "problems: 4") + "\ndedup: {against: [small/v1]}\n")
    done = factory.call("run", str(small_recipe), "--json")
    assert done.code == 0, done.err
    release = Path(done.json["path"])
    dropped = pl.read_parquet(release / "dropped" / "*.parquet").filter(pl.col("reason").str.ends_with("_duplicate_of_release"))
    old = set(pl.read_parquet(Path(first["path"]) / "prompts" / "**" / "*.parquet")["prompt_id"])
    assert set(dropped["points_to"].str.strip_prefix("small/v1:")) <= old
    new = set(pl.read_parquet(release / "prompts" / "**" / "*.parquet")["prompt_id"])
    assert new
    assert not new & old


def test_a_release_that_cannot_be_compared_is_refused_before_any_work(factory: Factory, small_recipe: Path) -> None:
    factory.call("run", str(small_recipe), "--json")
    recipe = small_recipe.read_text()
    for against, what in (("small/v9", "no release 'small/v9'"), ("small/latest", "name its version")):
        small_recipe.write_text(f"{recipe}\ndedup: {{against: [{against}]}}\n")
        done = factory.call("run", str(small_recipe), "--json")
        assert done.code in (2, 7)
        assert what in done.err
    small_recipe.write_text(f"{recipe}\ndedup: {{near: {{permutations: 64}}, against: [small/v1]}}\n")
    done = factory.call("run", str(small_recipe), "--dry-run")
    assert done.code == 2
    assert "permutations 112 there, 64 here" in done.err
