"""Techniques that start from texts: evolve, two_turn, instruction_following."""

import asyncio
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.records import Message, ModelUse, Prompt, Reference, WorkItem, prompt_id
from tasks.craft.constraints import CONSTRAINTS, draw_constraint
from tasks.craft.made import as_request
from tasks.prompts import evolve, instruction_following, two_turn
from tasks.technique import Made, Opening
from tasks.verifiers import ifeval
from tests.tasks.builders import A_RUN, ScriptedAsk, a_completion, a_prompt, answering

TERMS: dict[str, Any] = {"path": "texts.jsonl", "source": "own", "licence": "cc0-1.0"}


def first(module: Any, folder: Path, **more: Any) -> tuple[WorkItem, Any]:
    (folder / "texts.jsonl").write_text(json.dumps({"text": "Why is the sky blue?"}) + "\n")
    options = module.Options.model_validate(TERMS | more)
    return next(module.start(options, Opening(A_RUN, 0, folder))), options


def prompts(made: Made) -> list[Prompt]:
    return [one for one in made.out if isinstance(one, Prompt)]


def test_evolve_notes_operator_and_parent(tmp_path: Path) -> None:
    item, options = first(evolve, tmp_path, operators=["depth", "breadth"], per_seed=2)
    made = asyncio.run(evolve.evolve(item, options, ScriptedAsk(lambda label, text: f"More, by {label}?")))
    assert {one.lineage.topics for one in prompts(made)} == {("depth",), ("breadth",)}
    assert {one.lineage.parent for one in prompts(made)} == {prompt_id("evolve", as_request("Why is the sky blue?"))}
    assert {one.messages[0].content for one in prompts(made)} == {"More, by evolve/depth?", "More, by evolve/breadth?"}


def test_evolve_goes_on_from_what_the_round_before_made(tmp_path: Path) -> None:
    item, options = first(evolve, tmp_path, per_seed=1, rounds=3)
    made = prompts(asyncio.run(evolve.evolve(item, options, ScriptedAsk(lambda label, text: f"{text.split('<<<')[1].split('>>>')[0].strip()} And so on?"))))
    assert [one.messages[0].content.count("And so on?") for one in made] == [1, 2, 3]
    assert [one.lineage.generation for one in made] == [1, 2, 3]
    assert [one.lineage.parent for one in made[1:]] == [one.prompt_id for one in made[:-1]]
    operators = [one.lineage.operator for one in made]
    assert all(before != after for before, after in itertools.pairwise(operators))
    assert made[2].lineage.topics == tuple(operators)
    assert [len(one.provenance.models) for one in made] == [1, 2, 3]


def test_evolve_lets_a_lost_round_stand_for_those_after_it(tmp_path: Path) -> None:
    item, options = first(evolve, tmp_path, per_seed=1, rounds=4)
    made = asyncio.run(evolve.evolve(item, options, answering("Why, and since when?", "I'm sorry, but I can't help with that.")))
    assert len(made.out) == 1
    assert [(drop.reason, drop.rows) for drop in made.drops] == [("assistant_speaks", 3)]


def test_evolve_names_what_is_wrong_with_each_evolution(tmp_path: Path) -> None:
    item, options = first(evolve, tmp_path, per_seed=3)
    made = asyncio.run(evolve.evolve(item, options, answering("why is the sky BLUE?", " ", a_completion("Why is", "length"))))
    assert [drop.reason for drop in made.drops] == ["not_evolved", "empty_prompt", "truncated_prompt"]
    assert len({drop.drop_id for drop in made.drops}) == evolve.STEPS[0].yields(options)


def test_two_turn_makes_three_turns_without_courtesies(tmp_path: Path) -> None:
    item, options = first(two_turn, tmp_path)
    ask = answering("Light is scattered.", "Thank you! And at sunset?")
    middle = asyncio.run(two_turn.answer_first(item, options, ask)).out[0]
    assert isinstance(middle, WorkItem)
    (prompt,) = prompts(asyncio.run(two_turn.ask_on(middle, options, ask)))
    assert [turn.role for turn in prompt.messages] == ["user", "assistant", "user"]
    assert prompt.messages[2].content == "And at sunset?"
    assert [use.role for use in prompt.provenance.models] == ["responder", "user"]
    assert prompt.lineage.seeds == ("own:1",)


@pytest.mark.parametrize(
    ("answers", "more", "reason"),
    [
        ((a_completion("Light", "length"),), {}, "truncated_prompt"),
        (("Light.", "Thank you!"), {}, "empty_user_turn"),
        (("Light.", "And then?"), {"max_tokens": 3}, "over_token_budget"),
    ],
    ids=["cut-off", "courtesy-alone", "too-long"],
)
def test_two_turn_drops_what_is_no_conversation(tmp_path: Path, answers: tuple[Any, ...], more: dict[str, int], reason: str) -> None:
    item, options = first(two_turn, tmp_path, **more)
    ask = answering(*answers)
    made = asyncio.run(two_turn.answer_first(item, options, ask))
    if made.out:
        middle = made.out[0]
        assert isinstance(middle, WorkItem)
        made = asyncio.run(two_turn.ask_on(middle, options, ask))
    assert [drop.reason for drop in made.drops] == [reason]


def test_instruction_following_attaches_what_the_verifier_reads(tmp_path: Path) -> None:
    item, options = first(instruction_following, tmp_path, kinds=["punctuation:no_comma", "detectable_format:json_format"], per_seed=2)
    made = asyncio.run(instruction_following.attach(item, options, answering()))
    plain = next(one for one in prompts(made) if one.lineage.topics == ("punctuation:no_comma",))
    assert plain.messages[0].content == "Why is the sky blue?\n\nUse no commas at all."
    assert plain.reference is not None
    assert ifeval.verify("It scatters light.", plain.reference.value).passed
    assert not ifeval.verify("Well, it scatters light.", plain.reference.value).passed


def test_instruction_following_joins_constraints_that_go_together(tmp_path: Path) -> None:
    item, options = first(instruction_following, tmp_path, per_seed=3, constraints=3)
    made = asyncio.run(instruction_following.attach(item, options, answering()))
    kinds = [json.loads(one.reference.value)["instruction_id_list"] for one in prompts(made) if one.reference]
    assert [len(one) for one in kinds] == [3, 3, 3]
    assert len({kind for one in kinds for kind in one}) == 9


def test_instruction_following_passes_over_what_contradicts_the_prompt(tmp_path: Path) -> None:
    kinds = ["change_case:english_lowercase", "change_case:english_capital"]
    (tmp_path / "code.jsonl").write_text(json.dumps({"text": "Write a Python function that sorts."}) + "\n")
    options = instruction_following.Options.model_validate(TERMS | {"path": "code.jsonl", "kinds": kinds, "per_seed": 2})
    made = asyncio.run(instruction_following.attach(next(instruction_following.start(options, Opening(A_RUN, 0, tmp_path))), options, answering()))
    assert made.out == ()
    assert [drop.reason for drop in made.drops] == ["no_fitting_constraint"] * 2


def test_instruction_following_has_forms_of_several_turns(tmp_path: Path) -> None:
    forms = ["single", "multi_turn", "second_turn"]
    item, options = first(instruction_following, tmp_path, kinds=["punctuation:no_comma"], forms=forms)
    single, multi, second = prompts(asyncio.run(instruction_following.attach(item, options, answering("It scatters light."))))
    assert single.messages[0].content == "Why is the sky blue?\n\nUse no commas at all."
    assert multi.messages[0].content.startswith("Answer this and all my further questions")
    assert [turn.role for turn in second.messages] == ["user", "assistant", "user"]
    assert second.messages[1].content == "It scatters light."
    assert second.messages[2].content.endswith("Use no commas at all.")
    assert len({one.prompt_id for one in (single, multi, second)}) == 3
    assert [use.role for use in second.provenance.models] == ["responder"]
    assert {one.reference for one in (single, multi, second)} == {single.reference}


def test_instruction_following_lets_a_failed_answer_stand_for_all_its_prompts(tmp_path: Path) -> None:
    item, options = first(instruction_following, tmp_path, per_seed=2, forms=["single", "second_turn"])
    made = asyncio.run(instruction_following.attach(item, options, answering(a_completion("It sc", "length"))))
    assert len(made.out) == 2
    assert [(drop.reason, drop.rows) for drop in made.drops] == [("truncated_prompt", 2)]


def drawn(written: Sequence[Prompt], **more: Any) -> list[WorkItem]:
    """Start from prompts of the run's own."""
    options = instruction_following.Options.model_validate({"drawn_from": ["open_qa"]} | more)
    return list(instruction_following.start(options, Opening(A_RUN, 0, Path(), lambda names: (one for one in written if one.technique in names))))


def test_instruction_following_draws_from_prompts_that_the_recipe_wrote() -> None:
    use = ModelUse("writer", "w", "1", "cc0-1.0", "triton/ensemble")
    own = [replace(a_prompt(f"Why is number {n} odd?"), technique="open_qa", provenance=replace(A_RUN, models=(use,))) for n in range(40)]
    others = [
        replace(a_prompt("Not asked for?"), technique="math"),
        replace(own[0], prompt_id="known", reference=Reference("final_number", "1")),
        replace(own[1], prompt_id="turns", messages=(Message("user", "A"), Message("assistant", "B"), Message("user", "C"))),
        own[2],  # written twice
    ]
    items = drawn([*own, *others], limit=10)
    assert len({one.item_id for one in items}) == len(items) == 10
    assert {one.lineage.parent for one in items} < {one.prompt_id for one in own}
    assert all(one.provenance.models == (use,) and one.lineage.operator == "constraint" for one in items)
    assert [one.value for one in drawn([*reversed(own)], limit=10)] == [one.value for one in items]
    assert len(drawn([*own, *others])) == 40
    assert {one.value for one in drawn(own, limit=10, forms=["multi_turn"])} != {one.value for one in items}
    options = instruction_following.Options.model_validate({"drawn_from": ["open_qa"], "kinds": ["punctuation:no_comma"]})
    (prompt,) = prompts(asyncio.run(instruction_following.attach(items[0], options, answering())))
    assert prompt.messages[0].content == f"{items[0].value}\n\nUse no commas at all."
    assert (prompt.lineage.parent, prompt.provenance.models) == (items[0].lineage.parent, (use,))


@pytest.mark.parametrize("kind", CONSTRAINTS)
def test_a_drawn_constraint_is_one_that_the_verifier_knows(kind: str) -> None:
    for seed in range(10):
        constraint = draw_constraint(kind, seed)
        assert constraint == draw_constraint(kind, seed)
        assert "{" not in constraint.text
        wanted = ifeval.Expected(instruction_id_list=[kind], kwargs=[constraint.arguments])
        assert [one.instruction for one in ifeval.check("A plain reply.", wanted)] == [kind]


@pytest.mark.parametrize(
    ("module", "more"),
    [
        (evolve, {"per_seed": 6}),
        (evolve, {"operators": ["depth", "depth"]}),
        (evolve, {"operators": ["sideways"]}),
        (two_turn, {"max_tokens": 0}),
        (instruction_following, {"kinds": ["no:such"]}),
        (instruction_following, {"kinds": ["punctuation:no_comma"], "per_seed": 2}),
        (instruction_following, {"drawn_from": ["open_qa"]}),
        (instruction_following, {"source": ""}),
    ],
)
def test_seeded_techniques_refuse_options_that_make_no_sense(module: Any, more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        module.Options.model_validate(TERMS | more)
