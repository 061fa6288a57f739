"""What a trainer hands back becomes a card, or is refused with the reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings
from schemas.errors import RecipeError, TrainerError
from schemas.generation import Generation
from schemas.model_card import load_card
from tasks.catalogue import LoadedRecipe, load_recipe
from tasks.generations import next_generation, with_generation
from tasks.run_state import RunOutcome

RECIPE = """
name: some
models: {writer: llama-3.1-nemotron-70b-instruct, responder: llama-3.1-nemotron-70b-instruct, reward: nemotron-4-340b-reward}
prompts: [{technique: math, topics: 1, problems: 2}]
responses: [{technique: answer}]
"""
LLAMA = {"model_name_prefixes": ["Llama"], "licences": [{"id": "llama-3.1-community"}, {"id": "nvidia-open-model-2024-06"}]}


def a_recipe(folder: Path) -> LoadedRecipe:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return load_recipe(path)


def train(
    folder: Path, handed_back: dict[str, Any] | str, *, obligations: dict[str, Any] | None = None, roles: tuple[str, ...] = ("writer", "responder")
) -> Generation:
    release = folder / "releases" / "some" / "v1"
    release.mkdir(parents=True)
    asked = obligations or {"model_name_prefixes": [], "licences": []}
    (release / "manifest.json").write_text(json.dumps({"format": "gristmill-release/1", "obligations": asked}), encoding="utf-8")
    text = handed_back if isinstance(handed_back, str) else json.dumps(handed_back)
    (folder / "answer.json").write_text(text, encoding="utf-8")
    command = f"sh -c 'cp {folder}/answer.json $GRISTMILL_TRAINED'"
    settings = Settings(_env_file=None, data=folder)
    before = RunOutcome("run1", "finished", "some/v1", str(release))
    return next_generation(a_recipe(folder), settings, before, trainer=command, number=2, roles=roles)


def test_trained_model_gets_the_card_of_the_one_it_replaces(tmp_path: Path) -> None:
    found = train(tmp_path, {"id": "Llama-mine-2", "revision": "abc", "address": "grpc://host:8001/ensemble"}, obligations=LLAMA)
    assert found.models == {"writer": "Llama-mine-2", "responder": "Llama-mine-2"}
    assert (found.release, found.run, found.engines) == ("some/v1", "run1", "Llama-mine-2=grpc://host:8001/ensemble")
    card = load_card("Llama-mine-2", Path(found.cards or ""))
    base = load_card("llama-3.1-nemotron-70b-instruct")
    assert (card.chat_template, card.context_tokens, card.revision) == (base.chat_template, base.context_tokens, "abc")
    assert card.licences == ("nvidia-open-model-2024-06", "llama-3.1-community")


def test_name_that_the_licence_does_not_allow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"the name of a model trained on some/v1 begins with 'Llama', and it is 'mine'"):
        train(tmp_path, {"id": "mine", "revision": "abc"}, obligations=LLAMA)


@pytest.mark.parametrize(
    ("handed_back", "said"),
    [("", "is wrong"), ('{"id": "a b", "revision": "1"}', "id: String should match"), ('{"id": "x"}', "revision: missing")],
    ids=["nothing", "bad name", "no revision"],
)
def test_what_can_not_be_read_is_told(tmp_path: Path, handed_back: str, said: str) -> None:
    with pytest.raises(TrainerError, match=said):
        train(tmp_path, handed_back)


def test_same_model_again_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="which the recipe has already"):
        train(tmp_path, {"id": "llama-3.1-nemotron-70b-instruct", "revision": "2024-10"})


def test_roles_of_several_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="not all played by one model"):
        train(tmp_path, {"id": "x", "revision": "1"}, roles=("writer", "reward"))


def test_address_in_the_settings_wins_over_the_trainers(tmp_path: Path) -> None:
    generation = Generation(round=2, model="x", cards=str(tmp_path), engines="x=grpc://a:1/m")
    both = with_generation(Settings(_env_file=None, engines="y=grpc://b:2/m"), generation)
    assert (both.engines, sorted(both.addresses)) == ("y=grpc://b:2/m x=grpc://a:1/m", ["x", "y"])
    assert with_generation(Settings(_env_file=None, engines="x=grpc://c:3/m"), generation).engines == "x=grpc://c:3/m"
    assert with_generation(Settings(_env_file=None), None).cards is None
