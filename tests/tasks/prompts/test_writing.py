import asyncio
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.records import WorkItem
from tasks.prompts import coding, writing
from tasks.technique import Made, Opening, Step
from tests.tasks.builders import A_RUN, ScriptedAsk, a_completion, numbered

OPENING = Opening(A_RUN, 0, Path())


def play(label: str, text: str) -> str:
    if "broad topics" in text:
        return numbered("Rivers", "Work")
    if "writing tasks" in text:
        return numbered(f"First {label}", f"Second {label}")
    return "At length: " + text.partition("<<<\n")[2].partition("\n>>>")[0]


def make(step: Step, item: WorkItem, options: writing.Options, ask: ScriptedAsk) -> Made:
    async def run() -> Made:
        return await step.run(item, options, ask)

    return asyncio.run(run())


def run_all(options: writing.Options, ask: ScriptedAsk) -> list[Made]:
    made, items = [], list(writing.start(options, OPENING))
    for step in writing.STEPS:
        results: list[Made] = [make(step, item, options, ask) for item in items]
        assert all(len(one.out) + len(one.drops) == step.yields(options) for one in results)
        items = [one for result in results for one in result.out if isinstance(one, WorkItem)]
        made += results
    return made


def test_writing_makes_a_revised_prompt_for_every_topic_kind_and_task() -> None:
    ask = ScriptedAsk(play)
    made = run_all(writing.Options(topics=2, kinds=("poem", "e-mail"), tasks=2), ask)
    prompts = [one for result in made[-8:] for one in result.out]
    assert [one.lineage.topics for one in prompts[:4]] == [("Rivers", "poem")] * 2 + [("Rivers", "e-mail")] * 2
    assert all(one.lineage.parent for one in prompts)
    assert prompts[0].messages[0].content == "At length: First tasks/poem"  # type: ignore[union-attr]
    assert len(prompts[0].provenance.models) == 3
    assert len(ask.asked) == 1 + 2 * 2 + 8


def test_writing_accounts_for_tasks_of_two_kinds_that_are_missing() -> None:
    ask = ScriptedAsk(lambda label, text: "no list" if "writing tasks" in text or "again" in text else play(label, text))
    made = run_all(writing.Options(topics=1, kinds=("poem", "e-mail"), tasks=2), ask)
    assert [drop.reason for drop in made[2].drops] == ["list_shortfall"] * 4
    assert len({drop.drop_id for drop in made[2].drops}) == 4


def test_writing_lets_a_lost_topic_stand_for_all_its_tasks() -> None:
    ask = ScriptedAsk(lambda label, text: numbered("Rivers") if label.startswith("topics") else play(label, text))
    made = run_all(writing.Options(topics=2, kinds=("poem", "e-mail"), tasks=2), ask)
    assert [drop.rows for drop in made[0].drops] == [4]


@pytest.mark.parametrize(("finish", "text", "reason"), [("length", "At length", "truncated_prompt"), ("stop", " ", "empty_prompt")])
def test_writing_drops_a_revision_that_is_no_task(finish: str, text: str, reason: str) -> None:
    ask = ScriptedAsk(lambda label, said: a_completion(text, finish) if label == "revise" else play(label, said))  # type: ignore[arg-type]
    made = run_all(writing.Options(topics=1, kinds=("poem",), tasks=2), ask)
    assert [(drop.reason, drop.raw) for one in made[-2:] for drop in one.drops] == [(reason, text)] * 2


@pytest.mark.parametrize("options", [{"topics": 0}, {"kinds": []}, {"kinds": ["poem", "Poem"]}, {"tasks": 0}, {"knids": ["x"]}])
def test_writing_refuses_options_that_make_no_sense(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        writing.Options.model_validate(options)


def test_coding_makes_problems_for_every_keyword_and_level() -> None:
    options = coding.Options(keywords=1, extra_keywords=("sets",), levels=("a beginner", "an expert"), problems=2)
    ask = ScriptedAsk(lambda label, text: numbered("heaps") if label == "keywords" else numbered("A", "B"))
    named = asyncio.run(coding.name_keywords(coding.start(options, OPENING)[0], options, ask))
    made = asyncio.run(coding.write_problems(named.out[0], options, ask))  # type: ignore[arg-type]
    assert [one.lineage.topics[-1] for one in named.out] == ["sets", "heaps"]
    assert [one.lineage.topics for one in made.out] == [("Python", "sets", "a beginner")] * 2 + [("Python", "sets", "an expert")] * 2
    assert ask.labels == ["keywords", "problems/a beginner", "problems/an expert"]


def test_coding_accounts_for_problems_that_are_missing_at_each_level() -> None:
    options = coding.Options(keywords=0, extra_keywords=("sets",), levels=("a beginner", "an expert"), problems=3)
    ask = ScriptedAsk(lambda label, text: numbered("A", "B"))
    named = asyncio.run(coding.name_keywords(coding.start(options, OPENING)[0], options, ask))
    made = asyncio.run(coding.write_problems(named.out[0], options, ask))  # type: ignore[arg-type]
    assert (len(made.out), len({drop.drop_id for drop in made.drops})) == (4, 2)
    assert len(made.out) + len(made.drops) == coding.STEPS[2].yields(options)


@pytest.mark.parametrize("options", [{"keywords": 0}, {"levels": []}, {"extra_keywords": ["a", "A"]}, {"language": ""}])
def test_coding_refuses_options_that_make_no_sense(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        coding.Options.model_validate(options)
