import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.errors import RecipeError
from tasks.catalogue import LoadedRecipe, find_verifier, load_recipe, rehearse

ROOT = Path(__file__).resolve().parents[2]


def a_recipe(**changes: Any) -> dict[str, Any]:
    return {
        "name": "small",
        "models": {"writer": "nemotron-4-340b-instruct", "responder": "nemotron-4-340b-instruct", "reward": "nemotron-4-340b-reward"},
        "prompts": [{"technique": "open_qa", "topics": 2, "subtopics": 3, "questions": 5}],
        "responses": [{"technique": "answer", "samples": 2, "sampling": {"max_tokens": 500}}],
    } | changes


def load(folder: Path, **changes: Any) -> LoadedRecipe:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(a_recipe(**changes)), encoding="utf-8")
    return load_recipe(path)


def seeds(**changes: Any) -> dict[str, Any]:
    return {"technique": "seeds", "path": "seeds.jsonl", "columns": {"prompt": "q"}, "source": "own", "licence": "mit"} | changes


def write_seeds(folder: Path, *prompts: str) -> None:
    (folder / "seeds.jsonl").write_text("".join(json.dumps({"q": prompt}) + "\n" for prompt in prompts))


@pytest.mark.parametrize("path", sorted(ROOT.glob("recipes/*.yaml")), ids=lambda path: path.stem)
def test_load_recipe_loads_every_recipe_that_is_handed_out(path: Path) -> None:
    loaded = load_recipe(path)
    assert loaded.recipe.name
    assert rehearse(loaded).rehearsal


def test_load_recipe_counts_what_is_requested(tmp_path: Path) -> None:
    write_seeds(tmp_path, "Why?", "How?")
    loaded = load(tmp_path, prompts=[a_recipe()["prompts"][0], seeds()])
    assert [(one.name, one.items, one.requested) for one in loaded.prompts] == [("open_qa", 1, 30), ("seeds", 2, 2)]


def test_load_recipe_counts_prompts_drawn_from_those_of_its_own(tmp_path: Path) -> None:
    drawn = {"technique": "instruction_following", "drawn_from": ["open_qa"], "per_seed": 2}
    loaded = load(tmp_path, prompts=[a_recipe()["prompts"][0], drawn, drawn | {"limit": 7}])
    assert [(one.items, one.requested) for one in loaded.prompts] == [(1, 30), (30, 60), (7, 14)]
    assert loaded.prompt_roles() == {"writer"}


def test_loaded_recipe_tells_roles_samplings_and_the_longest_prompt(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert [(role, sampling.max_tokens) for role, sampling in loaded.samplings()] == [("writer", 1024), ("responder", 500)]
    assert loaded.longest_prompt() == 4096 - 500
    assert load(tmp_path, screen={"max_prompt_tokens": 99}).longest_prompt() == 99
    assert not loaded.rehearsal


def test_loaded_recipe_travels_to_a_worker(tmp_path: Path) -> None:
    filters = [{"filter": "too_short", "words": 5}, {"filter": "refusal", "bars": "chosen"}]
    loaded = load(tmp_path, filters=filters, language="de")
    there = pickle.loads(pickle.dumps(loaded))
    assert there.fingerprint == loaded.fingerprint
    assert there.filters[0].function.__name__ == "too_short"
    assert [(one.name, dict(one.parameters), one.bars_row) for one in there.filters] == [("too_short", {"words": 5}, True), ("refusal", {}, False)]
    assert there.judges[0].module.prefer.__module__ == "tasks.judges.ground_truth"


def test_load_recipe_gives_filters_the_recipes_language(tmp_path: Path) -> None:
    ours, theirs = load(tmp_path, language="de", filters=[{"filter": "wrong_language"}, {"filter": "wrong_language", "language": "fr"}]).filters
    assert (ours.parameters["language"], theirs.parameters["language"]) == ("de", "fr")


WRONG = {
    "drawn from what is not written yet": (
        {"prompts": [{"technique": "instruction_following", "drawn_from": ["open_qa"]}, {"technique": "open_qa"}]},
        "prompts.0: no technique before this one writes the prompts of 'open_qa': there are none",
    ),
    "drawn from a file, too": (
        {"prompts": [{"technique": "open_qa"}, {"technique": "instruction_following", "drawn_from": ["open_qa"], "path": "x.jsonl"}]},
        "prompts.1: give drawn_from, or a file with path, not both",
    ),
    "split by no technique": ({"split": {"sft": ["math"]}}, "split.sft: 'math' is no prompt technique of this recipe: there are open_qa"),
    "split for both": ({"split": {"sft": ["open_qa"], "preferences": ["open_qa"]}}, "split.sft: 'open_qa' is named for both sets"),
    "split without answers": (
        {"split": {"sft": ["open_qa"]}, "responses": [{"technique": "answer", "serves": "preferences"}]},
        "split.sft: nothing in responses answers the prompts of open_qa for sft",
    ),
    "unknown technique": (
        {"prompts": [{"technique": "open_aq"}]},
        "prompts.0: unknown prompt technique 'open_aq': did you mean 'open_qa'? there are ",
    ),
    "unknown option": ({"prompts": [{"technique": "open_qa", "topcis": 3}]}, "prompts.0: open_qa has no option 'topcis': did you mean 'topics'?"),
    "negative number": ({"prompts": [{"technique": "math", "topics": -2}]}, "prompts.0.topics: Input should be greater than or equal to 1 (given: -2)"),
    "missing option": ({"prompts": [{"technique": "seeds"}]}, "prompts.0.path: missing"),
    "missing file": ({"prompts": [seeds(path="nowhere.jsonl")]}, "prompts.0: no seed file at"),
    "unknown licence": ({"prompts": [seeds(licence="all rights reserved")]}, "prompts.0: unknown licence 'all rights reserved'"),
    "unknown response technique": ({"responses": [{"technique": "anwser"}]}, "responses.0: unknown response technique 'anwser': did you mean 'answer'?"),
    "unknown filter": ({"filters": [{"filter": "to_short"}]}, "filters.0: unknown filter 'to_short': did you mean 'too_short'?"),
    "unknown filter parameter": ({"filters": [{"filter": "too_short", "chars": 9}]}, "filters.0: too_short has no option 'chars': there are words"),
    "negative filter parameter": (
        {"filters": [{"filter": "too_short", "words": -9}]},
        "filters.0.words: Input should be greater than or equal to 1 (given: -9)",
    ),
    "filter parameter missing": ({"filters": [{"filter": "below_reward"}]}, "filters.0.minimum: missing"),
    "language unknown": ({"language": "xx", "filters": [{"filter": "wrong_language"}]}, "filters.0.language: 'xx' is not among"),
    "unknown judge": ({"pairs": {"judges": [{"judge": "coin"}]}}, "pairs.judges.0: unknown judge 'coin': there are ground_truth, llm_pairwise"),
    "unknown model": ({"models": {"writer": "gpt-9"}}, "models.writer: no model card 'gpt-9'"),
    "unknown role": ({"models": {"wirter": "rehearsal-instruct"}}, "models.wirter: unknown role: did you mean 'writer'?"),
    "card of another kind": (
        {"models": {"writer": "nemotron-4-340b-reward"}},
        "models.writer: nemotron-4-340b-reward is a model of the kind 'reward', this role takes one of the kind 'instruct'",
    ),
    "role without a model": ({"models": {"writer": "rehearsal-instruct", "reward": "rehearsal-reward"}}, "models: no model plays the role 'responder'"),
    "no reward model": ({"models": {"writer": "rehearsal-instruct", "responder": "rehearsal-instruct"}}, "models: no model plays the role 'reward'"),
    "no embedding model": ({"dedup": {"semantic": {}}}, "models: no model plays the role 'embedding': dedup.semantic asks it"),
    "a cosine beyond one": ({"dedup": {"semantic": {"threshold": 1.5}}}, "dedup.semantic.threshold: Input should be less than 1 (given: 1.5)"),
    "user without a model": ({"responses": [{"technique": "dialogue"}]}, "models: no model plays the role 'user'"),
    "judge without scores": ({"score": None}, "pairs.judges.1: reward_margin reads rewards, and `score: null` leaves scoring out"),
    "filter without scores": ({"score": None, "pairs": None, "filters": [{"filter": "below_reward", "minimum": 1}]}, "filters.0: below_reward reads rewards"),
    "unknown weight": ({"score": {"weights": {"humor": 1}}}, "score: nemotron-4-340b-reward gives no humor: it gives helpfulness"),
    "unknown attribute": ({"score": {"attribute": "wit"}}, "score: nemotron-4-340b-reward gives no wit"),
    "two reductions": ({"score": {"attribute": "helpfulness", "weights": {"coherence": 1}}}, "weights and attribute are several ways to one number"),
    "use that a model's licence forbids": (
        {"models": a_recipe()["models"] | {"reward": "llama3-70b-steerlm-rm"}},
        "models.reward: llama3-70b-steerlm-rm is under the Meta Llama 3 Community License (2024-04-18), which forbids `use: training` in its clause 1.b.v",
    ),
    "nothing published": ({"sft": None, "pairs": None}, "sft: neither instruction data nor pairs are to be made"),
    "only another technique": ({"responses": [{"technique": "answer", "only": ["maths"]}]}, "responses.0.only: 'maths' is no prompt technique of this recipe"),
    "prompts unanswered": (
        {"prompts": [{"technique": "math"}, {"technique": "open_qa"}], "responses": [{"technique": "answer", "only": ["math"]}]},
        "prompts.1: nothing in responses answers the prompts of open_qa",
    ),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_load_recipe_refuses_a_wrong_recipe_with_one_clear_message(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, **changes)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"the recipe {tmp_path / 'recipe.yaml'} is wrong:\n")


def test_load_recipe_names_an_unreadable_seed_row(tmp_path: Path) -> None:
    (tmp_path / "seeds.jsonl").write_text('{"q": "Why?"}\n' * 16 + '{"q":\n')
    with pytest.raises(RecipeError, match=r"prompts\.0: .*seeds\.jsonl, row 17: not JSON"):
        load(tmp_path, prompts=[seeds()])


def test_load_recipe_tells_all_faults_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, prompts=[{"technique": "poems"}], filters=[{"filter": "loud"}], models={"writer": "gpt-9"})
    assert [line.split(":")[0] for line in str(caught.value).splitlines()[1:]] == ["  models.writer", "  prompts.0", "  filters.0"]


def test_load_recipe_refuses_a_mark_on_rewards_that_mean_nothing_across_prompts(tmp_path: Path) -> None:
    models = a_recipe()["models"] | {"reward": "llama-3.1-nemotron-70b-reward"}
    with pytest.raises(RecipeError, match="numbers compare answers to one prompt only: use the judge reward_margin"):
        load(tmp_path, models=models, filters=[{"filter": "below_reward", "minimum": 2.0, "bars": "chosen"}])
    assert load(tmp_path, models=models).cards["reward"].id == "llama-3.1-nemotron-70b-reward"


def test_load_recipe_refuses_a_mark_on_an_attribute_that_the_model_lacks(tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    cards.mkdir()
    reward = {"attributes": ["reward"], "comparable_across_prompts": True}
    card = {"id": "one-number", "title": "One", "role": "reward", "licences": ["mit"], "revision": "1", "context_tokens": 4096, "reward": reward}
    (cards / "one.yaml").write_text(yaml.safe_dump(card))
    path = tmp_path / "recipe.yaml"
    filters = [{"filter": "below_reward", "minimum": 2.0, "attribute": "helpfulness"}]
    path.write_text(yaml.safe_dump(a_recipe(models=a_recipe()["models"] | {"reward": "one-number"}, filters=filters)))
    with pytest.raises(RecipeError, match="one-number gives no 'helpfulness': it gives reward"):
        load_recipe(path, cards=cards)


def test_load_recipe_refuses_marks_on_a_model_whose_numbers_mean_nothing_across_prompts(tmp_path: Path) -> None:
    models = a_recipe()["models"] | {"reward": "llama-3.1-nemotron-70b-reward"}
    with pytest.raises(RecipeError, match=r"score: score\.marks sets one mark for all prompts, and llama-3\.1-nemotron-70b-reward's numbers compare"):
        load(tmp_path, models=models, score={"marks": {"reward": -3}})
    assert load(tmp_path, score={"marks": {"helpfulness": 3, "correctness": 2.5}}).recipe.score


def test_load_recipe_lets_a_use_pass_that_no_licence_forbids(tmp_path: Path) -> None:
    write_seeds(tmp_path, "Why?")
    assert load(tmp_path, use="commercial-training").recipe.use == "commercial-training"
    assert load(tmp_path, prompts=[seeds(licence="cc-by-nc-4.0")]).recipe.use == "training"
    with pytest.raises(RecipeError, match=r"prompts\.0: the seed source 'own' is under .* forbids `use: commercial-training` in its clause 1\.1 and 2\.a"):
        load(tmp_path, prompts=[seeds(licence="cc-by-nc-4.0")], use="commercial-training")
    steerlm = a_recipe()["models"] | {"reward": "llama3-70b-steerlm-rm"}
    assert load(tmp_path, use="evaluation", models=steerlm).cards["reward"].reward


def test_fingerprint_ignores_comments_order_defaults_and_place(tmp_path: Path) -> None:
    first = load(tmp_path)
    other = tmp_path / "elsewhere"
    other.mkdir()
    whole = dict(reversed(a_recipe(seed=0, shard_records=256).items()))
    whole["prompts"][0]["revise"] = True
    (other / "another-name.yaml").write_text("# a comment\n" + yaml.safe_dump(whole, sort_keys=False))
    assert load_recipe(other / "another-name.yaml").fingerprint == first.fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"name": "other"},
        {"prompts": [{"technique": "open_qa", "topics": 3, "subtopics": 3, "questions": 5}]},
        {"responses": [{"technique": "answer", "samples": 3, "sampling": {"max_tokens": 500}}]},
        {"filters": [{"filter": "too_short", "words": 4}]},
        {"pairs": {"judges": [{"judge": "reward_margin", "min_margin": 0.1}]}},
        {"models": {role: "rehearsal-reward" if role == "reward" else "rehearsal-instruct" for role in ("writer", "responder", "reward")}},
    ],
    ids=["seed", "name", "technique", "samples", "filter", "judge", "models"],
)
def test_fingerprint_changes_with_what_is_made(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert load(tmp_path, **changes).fingerprint != load(tmp_path).fingerprint


def test_fingerprint_covers_the_bytes_of_seed_files(tmp_path: Path) -> None:
    write_seeds(tmp_path, "Why?")
    first = load(tmp_path, prompts=[seeds()]).fingerprint
    write_seeds(tmp_path, "How?")
    assert load(tmp_path, prompts=[seeds()]).fingerprint != first


def test_rehearse_recasts_every_role_and_nothing_else(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    rehearsed = rehearse(loaded)
    assert {role: card.id for role, card in rehearsed.cards.items()} == {
        "writer": "rehearsal-instruct",
        "responder": "rehearsal-instruct",
        "reward": "rehearsal-reward",
    }
    assert rehearsed.rehearsal
    assert rehearsed.prompts == loaded.prompts
    assert rehearsed.fingerprint != loaded.fingerprint
    assert rehearse(rehearsed).fingerprint == rehearsed.fingerprint


def test_find_verifier_finds_by_name_or_says_which_there_are() -> None:
    assert find_verifier("final_number").verify("#### 4", "4").passed
    with pytest.raises(RecipeError, match="unknown verifier 'final_numbers': did you mean 'final_number'"):
        find_verifier("final_numbers")


@pytest.mark.parametrize("name", ["gsm8k", "gsm8k-replay"])
def test_load_recipe_loads_the_recipes_over_real_data(name: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_READ_PATHS", str(shared_data))
    recipe = ROOT / "tests" / "recipes" / f"{name}.yaml"
    if not (recipe.parent / "../../../shared/data").resolve().samefile(shared_data):
        pytest.skip(f"NO REAL DATA beside the checkout: {name}.yaml names ../../../shared/data")
    assert load_recipe(recipe).prompts[0].items == {"gsm8k": 500, "gsm8k-replay": 2736}[name]
