"""What a regrade may change: whoever grades, and nobody who had a hand in the answers."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.errors import RecipeError
from tasks.catalogue import LoadedRecipe, load_recipe
from tasks.regrading import refuse_other_answers

BIG, OTHER = "nemotron-4-340b-instruct", "mixtral-8x7b-instruct-v0.1"
MODELS = {"writer": BIG, "responder": BIG, "responder.weak": BIG, "judge": BIG, "reward": "nemotron-4-340b-reward"}
GENETIC = {"technique": "genetic_instruct", "path": "problems.jsonl", "source": "own", "licence": "mit", "population": 4}


def load(folder: Path, **changes: Any) -> LoadedRecipe:
    (folder / "problems.jsonl").write_text("".join(json.dumps({"text": f"Problem {number}."}) + "\n" for number in range(4)), encoding="utf-8")
    whole = {"name": "small", "models": MODELS, "prompts": [{"technique": "math"}], "responses": [{"technique": "answer"}]} | changes
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(whole), encoding="utf-8")
    return load_recipe(path)


def refuse(folder: Path, role: str, **recipe: Any) -> None:
    """Regrade with another model in a role."""
    before = load(folder, **recipe).recipe.model_dump(mode="json")
    refuse_other_answers(before, load(folder, **recipe, models=MODELS | {role: OTHER}))


def test_a_regrade_may_have_another_judge(tmp_path: Path) -> None:
    refuse(tmp_path, "judge")


@pytest.mark.parametrize("role", ["writer", "responder", "responder.weak", "responder.further"])
def test_a_regrade_has_no_other_model_that_wrote_or_answered(tmp_path: Path, role: str) -> None:
    with pytest.raises(RecipeError, match=rf"^models\.{role} differ from the run's recipe"):
        refuse(tmp_path, role)


def test_a_regrade_has_no_other_judge_where_the_prompts_are_of_its_choice(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^models\.judge differ"):
        refuse(tmp_path, "judge", prompts=[GENETIC])
