import asyncio
from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.prompts.personas import STEPS, Options, draw_personas, items, start, write_requests
from tasks.technique import Opening
from tests.tasks.builders import A_RUN, ScriptedAsk, numbered

OPENING = Opening(A_RUN, 7, Path())


def test_personas_are_different_and_the_same_for_a_seed() -> None:
    drawn = draw_personas(200, 1)
    assert len(set(drawn)) == 200
    assert drawn == draw_personas(200, 1)
    assert drawn != draw_personas(200, 2)


def test_personas_make_requests_that_name_their_person() -> None:
    options, ask = Options(count=2, requests=2), ScriptedAsk(lambda label, text: numbered("How do I rest?", "What may I eat?"))
    made = [asyncio.run(write_requests(item, options, ask)) for item in start(options, OPENING)]
    assert items(options, Path()) == len(made) == 2
    assert [one.lineage.topics for result in made for one in result.out] == [(who,) for who in draw_personas(2, 7) for _ in range(2)]
    assert draw_personas(2, 7)[0] in ask.asked[0][2][0].content


def test_personas_of_the_recipe_take_the_place_of_drawn_ones() -> None:
    options = Options(personas=("A diver.", "A judge."))
    assert [item.value for item in start(options, OPENING)] == ["A diver.", "A judge."]
    assert items(options, Path()) == 2


def test_personas_account_for_requests_that_are_missing() -> None:
    options = Options(personas=("A diver.",), requests=3)
    made = asyncio.run(write_requests(next(start(options, OPENING)), options, ScriptedAsk(lambda label, text: numbered("How deep?"))))
    assert [drop.reason for drop in made.drops] == ["list_shortfall"] * 2
    assert len(made.out) + len(made.drops) == STEPS[0].yields(options)


@pytest.mark.parametrize("options", [{"count": 0}, {"count": 577}, {"personas": ["A.", "a."]}, {"personas": [" "]}, {"requests": 0}])
def test_personas_refuse_options_that_make_no_sense(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(options)
