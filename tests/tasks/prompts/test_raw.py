"""Techniques that ask raw prompts: magpie and base_continuation."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from infra.triton.rehearsal_language.speak import Temper
from schemas.errors import RecipeError
from schemas.records import Drop, Prompt, Source
from tasks.prompts import base_continuation, magpie
from tasks.technique import Opening
from tests.tasks.builders import A_RUN, ScriptedAsk, a_completion
from tests.tasks.rehearsal import RehearsalAsk


def run(module: Any, ask: Any, folder: Path = Path(), **more: Any) -> tuple[list[Prompt], list[Drop]]:
    options = module.Options.model_validate(more)
    items = list(module.start(options, Opening(A_RUN, 3, folder)))
    assert len(items) == module.items(options, folder) == len({item.item_id for item in items})
    (step,) = module.STEPS
    made = [asyncio.run(step.run(item, options, ask(item.item_id) if callable(ask) and not isinstance(ask, ScriptedAsk) else ask)) for item in items]
    assert all(len(one.out) + len(one.drops) == step.yields(options) for one in made)
    return [one for result in made for one in result.out], [drop for result in made for drop in result.drops]


def test_magpie_takes_what_the_rehearsal_model_says_in_a_users_place() -> None:
    prompts, drops = run(magpie, RehearsalAsk, count=20)
    assert len(prompts) == 20
    assert drops == []
    assert len({one.messages[0].content for one in prompts}) > 15
    assert all("<extra_id" not in one.messages[0].content for one in prompts)


def test_magpie_takes_system_messages_in_turn() -> None:
    ask = ScriptedAsk(lambda label, text: f"About {text or 'nothing'} in three words?")
    prompts, _ = run(magpie, ask, count=4, systems=["maths", "code"])
    assert [one.messages[0].content.split()[1] for one in prompts] == ["maths", "code", "maths", "code"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (" \n", "empty_prompt"),
        (a_completion("How do I", "length"), "truncated_prompt"),
        ("I'm sorry, but I can't help with that.", "assistant_speaks"),
        ("Sure! Here is what I know about rivers.", "assistant_speaks"),
        ("How are you today?\nAssistant: I am well.", "template_mark"),
        ("What is a river<|eot_id|> then?", "template_mark"),
        ("Hi there", "too_few_words"),
    ],
)
def test_magpie_drops_what_is_no_request(said: Any, reason: str) -> None:
    prompts, drops = run(magpie, ScriptedAsk(lambda label, text: said), count=1)
    assert (prompts, [drop.reason for drop in drops]) == ([], [reason])


def test_base_continuation_takes_several_requests_out_of_a_list_that_goes_on_for_ever() -> None:
    prompts, drops = run(base_continuation, RehearsalAsk, continuations=5, requests=4)
    assert len(prompts) + len(drops) == 20
    assert len(prompts) >= 18
    assert all("Request" not in one.messages[0].content for one in prompts)
    assert {use.role for one in prompts for use in one.provenance.models} == {"base"}


def test_base_continuation_draws_other_examples_for_each_call_and_the_same_ones_again() -> None:
    options = base_continuation.Options()
    first = [item.value for item in base_continuation.start(options, Opening(A_RUN, 1, Path()))]
    assert len(set(first)) == options.continuations
    assert first == [item.value for item in base_continuation.start(options, Opening(A_RUN, 1, Path()))]
    assert all(value.endswith("Request 7:") for value in first)


def test_base_continuation_names_its_own_examples_as_seeds(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps({"text": f"What about {one}?"}) + "\n" for one in ("tides", "bees", "rust")))
    mine = {"path": "mine.jsonl", "source": "own", "licence": "mit"}
    prompts, _ = run(base_continuation, RehearsalAsk, tmp_path, continuations=1, requests=1, shots=2, examples=mine)
    assert prompts[0].provenance.sources == (Source("own", "mit"),)
    assert len(prompts[0].lineage.seeds) == 2
    assert all(seed.startswith("own:") for seed in prompts[0].lineage.seeds)


def test_base_continuation_drops_repeats_rests_and_what_never_came() -> None:
    shot = base_continuation._EXAMPLES
    said = " Name a tall tree.\n\nRequest 7: Name a tall tree.\n\nRequest 8: Ok\n\nRequest 9: " + shot[0] + "\n\nRequest 10: Tell me about a ve"
    ask = ScriptedAsk(lambda label, text: a_completion(said, "length"))
    prompts, drops = run(base_continuation, ask, continuations=1, requests=6, shots=len(shot))
    assert [one.messages[0].content for one in prompts] == ["Name a tall tree."]
    assert [drop.reason for drop in drops] == ["copied_example", "too_few_words", "copied_example", "truncated_prompt", "truncated_prompt"]


def test_base_continuation_meets_a_model_that_is_stuck() -> None:
    prompts, drops = run(base_continuation, lambda record: RehearsalAsk(record, Temper(malformed_rate=1)), continuations=2, requests=3)
    assert len(prompts) == 2
    assert {drop.reason for drop in drops} == {"copied_example"}


def test_base_continuation_refuses_more_shots_than_there_are_examples() -> None:
    with pytest.raises(RecipeError, match="shots is 99"):
        base_continuation.items(base_continuation.Options(shots=99), Path())
