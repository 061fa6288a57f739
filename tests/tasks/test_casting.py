"""Who answers: several responders, several settings, several system messages, reasoning on and off."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.errors import RecipeError
from schemas.records import Message
from tasks.catalogue import LoadedRecipe, load_recipe
from tasks.craft.conversing import with_system
from tasks.plan import plan
from tests.tasks.builders import a_prompt

BASE: dict[str, Any] = {
    "name": "cast",
    "models": {"responder": "rehearsal-instruct", "responder.reasoner": "rehearsal-reasoner", "judge": "rehearsal-instruct"},
    "prompts": [{"technique": "seeds", "path": "seeds.jsonl", "source": "s", "licence": "mit", "columns": {"prompt": "q"}}],
    "responses": [{"technique": "answer", "samples": 2}],
    "score": None,
    "pairs": {"judges": [{"judge": "ground_truth"}]},
}


def load(folder: Path, **changes: Any) -> LoadedRecipe:
    (folder / "seeds.jsonl").write_text('{"q": "Why?"}\n{"q": "How?"}\n', encoding="utf-8")
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(BASE | changes), encoding="utf-8")
    return load_recipe(path)


def test_an_entry_with_several_samplings_is_several_ways_to_answer(tmp_path: Path) -> None:
    entry = {"technique": "answer", "samples": 3, "samplings": [{"temperature": 0.0}, {"temperature": 0.7, "max_tokens": 99}]}
    loaded = load(tmp_path, responses=[entry])
    assert [(one.samples, one.options.sampling.temperature, one.options.sampling.max_tokens) for one in loaded.responses] == [(3, 0.0, 1024), (3, 0.7, 99)]


def test_an_entry_says_which_model_answers(tmp_path: Path) -> None:
    entries = [{"technique": "answer"}, {"technique": "dialogue", "role": "responder.reasoner", "user_turns": 2}]
    loaded = load(tmp_path, responses=entries, models=BASE["models"] | {"user": "rehearsal-instruct"})
    assert [role for role, _ in loaded.samplings()] == ["responder", "responder.reasoner", "user"]
    assert loaded.shortest_context() == 4096


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"responses": [{"technique": "answer", "sampling": {}, "samplings": [{}]}]}, "give `sampling` or `samplings`, not both"),
        ({"responses": [{"technique": "answer", "role": "responder_b"}]}, "no model plays the role 'responder_b'"),
        (
            {"responses": [{"technique": "answer", "samplings": [{"reasoning": True}]}]},
            "the card of rehearsal-instruct names no way to switch",
        ),
        ({"models": BASE["models"] | {"reader": "rehearsal-instruct"}}, "models.reader: unknown role"),
        ({"models": BASE["models"] | {"responder_c": "rehearsal-reward"}}, "this role takes one of the kind 'instruct'"),
        ({"models": {"responder": "rehearsal-instruct"}, "pairs": {"judges": [{"judge": "rubric"}]}}, "no model plays the role 'judge'"),
        ({"pairs": {"strategy": "margin_window", "judges": [{"judge": "ground_truth"}]}}, "margin_window looks at rewards"),
        ({"pairs": {"judges": [{"judge": "majority_vote", "verifier": "ifeval"}]}}, "only verifiers that read a result can count votes"),
    ],
)
def test_a_cast_that_can_not_play_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, **changes)
    assert message in str(caught.value)


def test_reasoning_twins_are_two_samplings_of_a_model_whose_card_can(tmp_path: Path) -> None:
    entry = {"technique": "answer", "role": "responder.reasoner", "samplings": [{"reasoning": True}, {"reasoning": False}]}
    loaded = load(tmp_path, responses=[entry])
    assert [how.reasoning for _, how in loaded.samplings()] == [True, False]


def test_a_system_message_is_drawn_by_the_prompt_and_leaves_one_of_its_own_alone() -> None:
    choices = ("", "Be brief.", "Be kind.")
    drawn = {number: with_system(a_prompt(f"Question {number}?"), choices) for number in range(60)}
    assert {messages[0].content if messages[0].role == "system" else "" for messages in drawn.values()} == set(choices)
    assert all(with_system(a_prompt(f"Question {number}?"), choices) == messages for number, messages in drawn.items())
    own = a_prompt()
    assert with_system(own, "")[0] == Message("user", "What is 2 + 2?")


def test_a_system_message_counts_towards_what_a_prompt_may_have(tmp_path: Path) -> None:
    plain = load(tmp_path).longest_prompt()
    long = load(tmp_path, responses=[{"technique": "answer", "system": ["", "word " * 400]}]).longest_prompt()
    assert plain - long > 400


def test_the_plan_bounds_what_judges_are_asked(tmp_path: Path) -> None:
    judges = [{"judge": "ground_truth"}, {"judge": "llm_pairwise", "most_pairs": 2}, {"judge": "rubric"}]
    loaded = load(tmp_path, responses=[{"technique": "answer", "samples": 4}], pairs={"judges": judges})
    from infra.settings import Settings

    planned = {one.name: one for one in plan(loaded, Settings(), check=False).calls if one.stage == "pair"}
    assert (planned["llm_pairwise"].calls, planned["rubric"].calls) == (2 * 2 * 2, 2 * 2)
    assert planned["rubric"].role == "judge"
    assert planned["llm_pairwise"].completion_tokens == 8 * 384
