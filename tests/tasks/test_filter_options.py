"""Filters whose options name a file, as a recipe loads them."""

import pickle
from pathlib import Path

import pytest
import yaml

from schemas.errors import RecipeError
from tasks.catalogue import LoadedRecipe, load_recipe
from tasks.filtering import filter_conversations
from tests.tasks.builders import a_conversation

CARDS = {"writer": "nemotron-4-340b-instruct", "responder": "nemotron-4-340b-instruct", "reward": "nemotron-4-340b-reward"}


def load(folder: Path, words: str | None) -> LoadedRecipe:
    recipe = {"name": "small", "models": CARDS, "prompts": [{"technique": "math"}], "responses": [{"technique": "answer"}]}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe | {"filters": [{"filter": "profanity", "words": "rude.txt"}]}), encoding="utf-8")
    if words is not None:
        (folder / "rude.txt").write_text(words, encoding="utf-8")
    return load_recipe(folder / "recipe.yaml")


def test_a_word_list_is_read_with_the_recipe_and_travels_without_its_file(tmp_path: Path) -> None:
    filters = pickle.loads(pickle.dumps(load(tmp_path, "Bother\n").filters))
    (tmp_path / "rude.txt").unlink()
    kept, drops = filter_conversations([a_conversation("Oh bother."), a_conversation("Oh well.")], filters)
    assert [one.messages[-1].content for one in kept] == ["Oh well."]
    assert [(drop.reason, drop.detail) for drop in drops] == [("profanity", "words=rude.txt")]


def test_a_recipe_is_known_by_the_words_of_its_lists(tmp_path: Path) -> None:
    same = {load(tmp_path, words).fingerprint for words in ("bother\ngoat\n", "# sorted otherwise\nGoat\nbother\n")}
    assert len(same) == 1
    assert load(tmp_path, "bother\n").fingerprint not in same


def test_a_recipe_whose_word_list_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"filters\.0: no list of words at .*rude\.txt"):
        load(tmp_path, None)
