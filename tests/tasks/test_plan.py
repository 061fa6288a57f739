"""A plan's calls and tokens add up, with no engine there."""

from dataclasses import replace
from pathlib import Path

import pytest

from infra.settings import read_settings
from schemas.engine import EngineFacts
from schemas.errors import EngineError
from tasks.catalogue import LoadedRecipe, load_recipe
from tasks.plan import Plan, plan
from tasks.purposes import share_of
from tasks.run_engines import refuse_unable

ROOT = Path(__file__).resolve().parents[2]

RECIPE = """
name: planned
models: {writer: nemotron-4-340b-instruct, responder: nemotron-4-340b-instruct, user: nemotron-4-340b-instruct, reward: nemotron-4-340b-reward}
prompts:
  - {technique: open_qa, topics: 5, subtopics: 4, questions: 3, revise: true, sampling: {max_tokens: 100}}
responses:
  - {technique: answer, samples: 2, sampling: {max_tokens: 200}}
  - {technique: answer, samples: 2, sampling: {max_tokens: 200}}
"""


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return plan(load_recipe(path), read_settings(data=tmp_path), check=False)


def test_plan_counts_calls_step_by_step(planned: Plan) -> None:
    calls = {one.name: one.calls for one in planned.calls if one.stage == "prompts"}
    assert calls == {"open_qa/topics": 1, "open_qa/subtopics": 5, "open_qa/questions": 20, "open_qa/revise": 60}


def test_plan_counts_every_response_entry(planned: Plan) -> None:
    assert planned.prompts == 60
    assert planned.conversations == 240
    assert [one.calls for one in planned.calls if one.stage == "responses"] == [120, 120]
    assert [one.calls for one in planned.calls if one.stage == "score"] == [240]


def test_plan_adds_up(planned: Plan) -> None:
    assert planned.total.calls == sum(one.calls for one in planned.calls) == 86 + 240 + 240
    assert planned.total.completion_tokens == 86 * 100 + 240 * 200


def test_plan_gives_the_dedup_curve(planned: Plan) -> None:
    chances = dict(planned.curve)
    assert chances[0.0] == 0
    assert chances[1.0] == 1
    assert chances[0.9] > 0.95


def test_plan_of_absent_engines_says_how_to_name_them(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    engines = plan(load_recipe(path), read_settings(data=tmp_path, engines="")).engines
    assert {one.role for one in engines} == {"writer", "responder", "user", "reward"}
    assert all("GRISTMILL_ENGINES" in (one.error or "") for one in engines)


RAW = """
name: raw
models: {writer: nemotron-4-340b-instruct, responder: nemotron-4-340b-instruct, base: nemotron-4-340b-base}
prompts: [{technique: magpie, count: 3}, {technique: base_continuation, continuations: 2, requests: 2}]
responses: [{technique: answer}]
score: null
pairs: null
"""


def test_raw_prompts_are_planned_and_refused_where_an_engine_would_put_them_into_its_chat_format(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RAW, encoding="utf-8")
    loaded = load_recipe(path)
    assert loaded.raw_roles() == {"writer", "base"}
    calls = {one.name: (one.role, one.calls) for one in plan(loaded, read_settings(data=tmp_path), check=False).calls if one.stage == "prompts"}
    assert calls == {"magpie/turn": ("writer", 3), "base_continuation/continue": ("base", 2)}
    chat = {card.id: EngineFacts("http://h", "m", "openai/chat", "", options=frozenset({"stop"})) for card in loaded.cards.values()}
    with pytest.raises(EngineError, match="need it taken as it stands"):
        refuse_unable(loaded, chat)
    refuse_unable(loaded, chat, "responder")
    refuse_unable(loaded, {card: replace(facts, options=facts.options | {"raw"}) for card, facts in chat.items()})


def _expected(loaded: LoadedRecipe, purpose: str, *, apart_from: str = "") -> float:
    """Count the prompts that are for a purpose."""
    return sum(one.requested * share_of(purpose, one.name, loaded.recipe.split) for one in loaded.prompts if one.name != apart_from)


def test_the_reports_recipe_is_planned_whole_and_adds_up_with_no_engine_there(tmp_path: Path) -> None:
    loaded = load_recipe(ROOT / "recipes" / "nemotron4-340b.yaml")
    planned = plan(loaded, read_settings(data=tmp_path), check=False)
    assert {one.name for one in loaded.prompts} >= {
        *("open_qa", "writing", "closed_qa", "math", "entities", "coding", "genetic_instruct", "instruction_following", "two_turn", "seeds")
    }
    calls = [(one.name, one.calls) for one in planned.calls if one.stage == "prompts"]
    assert dict(calls)["open_qa/questions"] == 3_000
    assert sum(count for name, count in calls if name == "math/problems") == 17_000
    assert dict(calls)["coding/problems"] == 3 * 12_000
    assert sum(one.requested for one in loaded.prompts if one.name == "genetic_instruct") == 800_000
    assert _expected(loaded, "sft", apart_from="genetic_instruct") >= 200_000
    assert _expected(loaded, "preferences") >= 300_000
    assert planned.total.calls == sum(one.calls for one in planned.calls)
    assert planned.total.completion_tokens == sum(one.completion_tokens for one in planned.calls)
    assert planned.prompts == sum(one.requested for one in loaded.prompts)
