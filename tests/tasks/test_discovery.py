import pytest

from schemas.errors import RecipeError
from tasks.discovery import Kind, describe, find_module, names, options_of, suggest

KINDS: tuple[Kind, ...] = ("prompts", "responses", "judges", "verifiers", "filters")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("prompts", {"open_qa", "math", "seeds"}),
        ("responses", {"answer", "dialogue"}),
        ("judges", {"ground_truth", "reward_margin"}),
        ("verifiers", {"final_number"}),
        ("filters", {"too_short", "too_long", "refusal", "truncated", "repeated_ngrams", "wrong_language", "below_reward", "wrong_answer"}),
    ],
)
def test_names_finds_what_lies_in_the_folder(kind: Kind, expected: set[str]) -> None:
    assert expected <= set(names(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_describe_has_a_purpose_and_a_meaning_for_everything(kind: Kind) -> None:
    for doc in describe(kind):
        assert doc.purpose.endswith("."), doc.name
        assert [option.name for option in doc.options if not option.doc] == [], doc.name


@pytest.mark.parametrize("name", names("prompts"))
def test_prompt_techniques_have_the_shape_of_one(name: str) -> None:
    module = find_module("prompts", name)
    assert name == module.NAME
    assert callable(module.start)
    assert all(step.name and callable(step.run) for step in module.STEPS)


@pytest.mark.parametrize("name", names("responses"))
def test_response_techniques_have_the_shape_of_one(name: str) -> None:
    module = find_module("responses", name)
    options = module.Options()
    assert name == module.NAME
    assert module.calls(options) >= 1
    assert all(sampling.max_tokens > 0 for _, sampling in module.samplings(options))


def test_describe_shows_nested_options_with_their_own_defaults() -> None:
    options = {option.name: option for doc in describe("responses") if doc.name == "dialogue" for option in doc.options}
    assert options["user_sampling.max_tokens"].default == "256"
    assert options["sampling.max_tokens"].default == "1024"
    assert options["sampling.top_k"].type == "whole number | null"
    assert options["personas"].type == "list of text"


def test_describe_tells_required_options_from_defaults() -> None:
    options = {option.name: option.default for doc in describe("filters") if doc.name == "below_reward" for option in doc.options}
    assert options == {"minimum": None, "attribute": "reward"}


def test_options_of_a_filter_are_strict() -> None:
    assert options_of("filters", "too_short")().model_dump() == {"words": 3}
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        options_of("filters", "too_short").model_validate({"letters": 3})


def test_find_module_refuses_a_name_that_is_no_module() -> None:
    with pytest.raises(RecipeError, match=r"unknown judge '\.\./evil'"):
        find_module("judges", "../evil")


def test_suggest_guesses_only_what_is_near() -> None:
    assert suggest("maths", ("math", "seeds")) == "did you mean 'math'? there are math, seeds"
    assert suggest("zzz", ("math",)) == "there are math"
    assert suggest("x", ()) == "there are none"
