"""A wrong recipe is refused with each fault on a line of its own."""

from pathlib import Path

import pytest

from schemas.errors import RecipeError
from schemas.recipe import NearOptions, read_recipe

GOOD = """
name: small
models: {writer: rehearsal-instruct, responder: rehearsal-instruct, reward: rehearsal-reward}
prompts: [{technique: open_qa, topics: 2}]
responses: [{technique: answer, samples: 2}]
"""


def a_recipe(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_read_recipe_fills_the_defaults(tmp_path: Path) -> None:
    recipe = read_recipe(a_recipe(tmp_path, GOOD))
    assert recipe.shard_records == 256
    assert recipe.prompts[0].options == {"topics": 2}
    assert recipe.pairs is not None
    assert [judge.judge for judge in recipe.pairs.judges] == ["ground_truth", "reward_margin"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD + "sed: 3\n", "sed: unknown key"),
        (GOOD + "seed: -3\n", "seed: .*greater than or equal to 0.*given: -3"),
        (GOOD.replace("samples: 2", "samples: 0"), r"responses\.0\.samples"),
        (GOOD.replace("name: small\n", ""), "name: missing"),
        ("- a list\n", "not a mapping"),
        ("name: [unclosed", "can't read"),
    ],
    ids=["unknown key", "negative number", "no samples", "no name", "a list", "not yaml"],
)
def test_read_recipe_says_what_is_wrong(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        read_recipe(a_recipe(tmp_path, text))


def test_read_recipe_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no recipe at .*absent\.yaml"):
        read_recipe(tmp_path / "absent.yaml")


def test_bands_need_rows() -> None:
    with pytest.raises(ValueError, match="both bands and rows"):
        NearOptions(bands=10)
    with pytest.raises(ValueError, match="more than the 112"):
        NearOptions(bands=20, rows=10)
