import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from infra.triton.rehearsal_language.speak import Temper
from schemas.errors import EngineError, EngineFault, RecipeError
from schemas.records import Drop, Prompt
from tasks.prompts.genetic_instruct import STEPS, Options, evolve_colony, items, start
from tasks.technique import Opening
from tests.tasks.builders import A_RUN, ScriptedAsk, a_completion
from tests.tasks.rehearsal import RehearsalAsk

TERMS: dict[str, Any] = {"path": "texts.jsonl", "source": "own", "licence": "cc0-1.0", "population": 4, "parents": 2}
CODE = "```python\nprint(1)\n```"


def evolve(folder: Path, ask: Any, **more: Any) -> tuple[list[Prompt], list[Drop]]:
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": f"Problem {number}."}) + "\n" for number in range(6)))
    options = Options.model_validate(TERMS | more)
    colonies = list(start(options, Opening(A_RUN, 1, folder)))
    assert len({one.item_id for one in colonies}) == items(options, folder)
    made = [asyncio.run(evolve_colony(item, options, ask(item.item_id) if ask is RehearsalAsk else ask)) for item in colonies]
    assert all(len(one.out) + len(one.drops) == STEPS[0].yields(options) for one in made)
    assert len({drop.drop_id for one in made for drop in one.drops}) == sum(len(one.drops) for one in made)
    return [one for result in made for one in result.out if isinstance(one, Prompt)], [drop for result in made for drop in result.drops]


def breed(label: str, text: str) -> str:
    """Bear, solve and judge as a model that does all that it is asked."""
    if label.startswith("bear"):
        return f"Offspring {label}."
    return CODE if label.startswith("solve") else "It is clear.\nVerdict: fit"


def test_genetic_instruct_keeps_the_whole_family_tree(tmp_path: Path) -> None:
    prompts, drops = evolve(tmp_path, ScriptedAsk(breed), colonies=1, generations=3, offspring=8)
    assert len(prompts) == 24
    assert drops == []
    born = {one.prompt_id: one.lineage for one in prompts}
    for lineage in born.values():
        assert lineage.colony == 0
        assert len(lineage.parents) == (2 if lineage.operator == "crossover" else 1)
        assert lineage.parent == (None if lineage.operator == "crossover" else lineage.parents[0])
        assert lineage.seeds
        assert all(seed.startswith("own:") for seed in lineage.seeds)
        assert all((born[parent].generation or 0) < (lineage.generation or 0) for parent in lineage.parents if parent in born)
    assert {lineage.operator for lineage in born.values()} > {"crossover"}
    assert any(parent in born for lineage in born.values() for parent in lineage.parents)
    assert [use.role for use in prompts[0].provenance.models] == ["writer", "responder", "judge"]


def test_genetic_instruct_is_the_same_whichever_answer_comes_first(tmp_path: Path) -> None:
    class Late(ScriptedAsk):
        async def __call__(self, role: Any, question: Any, sampling: Any, *, label: str) -> Any:
            await asyncio.sleep(0.002 if label.endswith("/0") else 0)
            return await super().__call__(role, question, sampling, label=label)

    early, _ = evolve(tmp_path, ScriptedAsk(breed), colonies=1)
    late, _ = evolve(tmp_path, Late(breed), colonies=1)
    assert [(one.prompt_id, one.lineage) for one in early] == [(one.prompt_id, one.lineage) for one in late]


@pytest.mark.parametrize(
    ("at", "said", "reason"),
    [
        ("bear", " ", "empty_prompt"),
        ("bear", a_completion("Write a", "length"), "truncated_prompt"),
        ("bear", "Problem 1.", "not_evolved"),
        ("bear", "I'm sorry, I can't do that.", "assistant_speaks"),
        ("solve", "```python\nprint(\n```", "solution_does_not_compile"),
        ("judge", "Too vague to be solved.\n**Verdict: Unfit**", "unfit"),
        ("judge", "Hard to say.", "no_verdict"),
        ("judge", "Verdict: fit\nVerdict: unfit", "no_verdict"),
    ],
)
def test_genetic_instruct_names_why_an_offspring_did_not_live(tmp_path: Path, at: str, said: Any, reason: str) -> None:
    ask = ScriptedAsk(lambda label, text: said if label.startswith(at) else breed(label, text))
    _, drops = evolve(tmp_path, ask, colonies=1, generations=1, population=6, offspring=2)
    assert {drop.reason for drop in drops} == {reason}


def test_genetic_instruct_takes_other_languages_solutions_as_they_come(tmp_path: Path) -> None:
    ask = ScriptedAsk(lambda label, text: "fn main() {}" if label.startswith("solve") else breed(label, text))
    prompts, drops = evolve(tmp_path, ask, colonies=1, language="Rust")
    assert prompts
    assert drops == []


def test_genetic_instruct_loses_an_offspring_that_an_engine_refuses_and_no_colony(tmp_path: Path) -> None:
    def refuse(label: str, text: str) -> str:
        if label == "solve/1/0":
            raise EngineError("too long", fault=EngineFault.BAD_REQUEST)
        return breed(label, text)

    prompts, drops = evolve(tmp_path, ScriptedAsk(refuse), colonies=1, generations=1, offspring=4)
    assert (len(prompts), [drop.reason for drop in drops]) == (3, ["engine_refused"])


def test_genetic_instruct_evolves_on_the_rehearsal_models(tmp_path: Path) -> None:
    prompts, drops = evolve(tmp_path, RehearsalAsk, generations=2, offspring=10)
    assert len(prompts) > 5
    assert {drop.reason for drop in drops} <= {"unfit", "not_evolved"}
    assert any(drop.reason == "unfit" for drop in drops)


def test_genetic_instruct_finds_out_a_model_whose_code_breaks_off(tmp_path: Path) -> None:
    prompts, drops = evolve(tmp_path, RehearsalAsk("", Temper(wrong_rate=1)), colonies=1, generations=1)
    assert prompts == []
    assert {drop.reason for drop in drops} == {"solution_does_not_compile"}


def test_genetic_instruct_refuses_more_than_the_file_has(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="parents is 5"):
        Options.model_validate(TERMS | {"parents": 5})
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "One."}) + "\n")
    with pytest.raises(RecipeError, match="population is 4"):
        items(Options.model_validate(TERMS), tmp_path)
