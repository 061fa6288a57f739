import asyncio
import json
from pathlib import Path

import pytest

from infra.triton.rehearsal_language.speak import Temper
from schemas.records import Drop, Prompt, WorkItem
from tasks.craft.wording import read_yes_no
from tasks.prompts.entities import STEPS, Options, classify, start, write_problems
from tasks.technique import Opening
from tests.tasks.builders import A_RUN, answering, numbered
from tests.tasks.rehearsal import RehearsalAsk

SEEDS = Path(__file__).resolve().parents[3] / "recipes" / "seeds"
TERMS = {"path": "entities.jsonl", "column": "name", "source": "own", "licence": "cc0-1.0"}


def sort_out(subject: str, temper: Temper) -> tuple[list[WorkItem], list[Drop]]:
    options = Options.model_validate(TERMS | {"subject": subject})
    made = [asyncio.run(classify(item, options, RehearsalAsk(item.item_id, temper))) for item in start(options, Opening(A_RUN, 0, SEEDS))]
    assert all(len(one.out) + len(one.drops) == 1 for one in made)
    return [one for each in made for one in each.out if isinstance(one, WorkItem)], [drop for each in made for drop in each.drops]


@pytest.mark.parametrize(("subject", "inside", "outside"), [("mathematics", "Fractions", "Decorators"), ("Python", "Decorators", "Fractions")])
def test_entities_keeps_the_names_of_its_subject(subject: str, inside: str, outside: str) -> None:
    kept, drops = sort_out(subject, Temper())
    assert inside in {item.value for item in kept}
    assert {drop.reason for drop in drops} == {"foreign_to_subject"}
    assert any(outside in drop.detail for drop in drops)
    assert all(item.value != "Monsoon" for item in kept)


def test_entities_drops_what_is_neither_yes_nor_no() -> None:
    kept, drops = sort_out("Python", Temper(malformed_rate=1))
    assert kept == []
    assert {drop.reason for drop in drops} == {"no_verdict"}


def test_entities_poses_problems_at_every_level(tmp_path: Path) -> None:
    (tmp_path / "entities.jsonl").write_text(json.dumps({"name": "Heaps"}) + "\n")
    options = Options.model_validate(TERMS | {"subject": "Python", "levels": ["a beginner", "an expert"], "problems": 2})
    (item,) = asyncio.run(classify(next(start(options, Opening(A_RUN, 0, tmp_path))), options, answering("Yes, it is."))).out
    assert isinstance(item, WorkItem)
    ask = answering(numbered("A?", "B?"), numbered("C?", "D?"))
    made = asyncio.run(write_problems(item, options, ask))
    assert len(made.out) == STEPS[1].yields(options) == 4
    assert [one.lineage.topics for one in made.out if isinstance(one, Prompt)][-1] == ("Python", "Heaps", "an expert")
    assert 'programming problems about "Heaps" for "an expert". Each is to be solved in Python' in ask.asked[1][2][0].content


@pytest.mark.parametrize(
    ("text", "said"), [("Yes.", True), ("**No**, not at all", False), ("Answer: yes", True), ("Yesterday", None), ("Perhaps yes", None), ("", None)]
)
def test_a_yes_or_no_is_read_off_the_start(text: str, said: bool | None) -> None:
    assert read_yes_no(text) is said
