import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.errors import RecipeError
from tasks.catalogue import LoadedRecipe, load_recipe

CARDS = {"writer": "nemotron-4-340b-instruct", "responder": "nemotron-4-340b-instruct", "reward": "nemotron-4-340b-reward"}


def load(folder: Path, *benchmarks: dict[str, Any]) -> LoadedRecipe:
    recipe = {"name": "small", "models": CARDS, "prompts": [{"technique": "math"}], "responses": [{"technique": "answer"}]}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe | ({"decontaminate": list(benchmarks)} if benchmarks else {})), encoding="utf-8")
    return load_recipe(folder / "recipe.yaml")


def test_a_recipe_is_known_by_the_bytes_of_its_benchmarks(tmp_path: Path) -> None:
    seen = {load(tmp_path).fingerprint}
    for text in ("one problem", "another problem"):
        (tmp_path / "held.jsonl").write_text(json.dumps({"q": text}) + "\n", encoding="utf-8")
        seen.add(load(tmp_path, {"path": "held.jsonl", "columns": ["q"]}).fingerprint)
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"path": "missing.jsonl", "columns": ["q"]}, r"decontaminate\.0: no benchmark file at .*missing\.jsonl"),
        ({"path": "held.jsonl", "columns": ["text"]}, r"row 1: no column 'text'"),
        ({"path": "held.jsonl", "columns": []}, r"decontaminate\.0\.columns"),
        ({"path": "held.jsonl", "columns": ["q"], "ngram": 2}, r"decontaminate\.0\.ngram"),
    ],
    ids=["missing", "no-column", "no-columns", "too-short"],
)
def test_a_recipe_with_an_unusable_benchmark_is_refused(tmp_path: Path, entry: dict[str, Any], fault: str) -> None:
    (tmp_path / "held.jsonl").write_text('{"q": "one problem"}\n', encoding="utf-8")
    with pytest.raises(RecipeError, match=fault):
        load(tmp_path, entry)
