import asyncio
from pathlib import Path

from schemas.records import Prompt, WorkItem
from tasks.prompts.math import Options, name_topics, start, write_problems
from tasks.technique import Opening
from tests.tasks.builders import A_RUN, answering, numbered

OPENING = Opening(A_RUN, 0, Path())


def test_math_asks_for_topics_of_a_school_level() -> None:
    options = Options(topics=2, level="middle school")
    ask = answering(numbered("fractions", "angles"))
    made = asyncio.run(name_topics(start(options, OPENING)[0], options, ask))
    assert "Name 2 topics in mathematics as taught in middle school" in ask.asked[0][2][0].content
    assert [item.value for item in made.out if isinstance(item, WorkItem)] == ["fractions", "angles"]


def test_math_makes_a_prompt_of_each_problem() -> None:
    options = Options(problems=2)
    item = asyncio.run(name_topics(start(options, OPENING)[0], Options(topics=1), answering(numbered("angles")))).out[0]
    assert isinstance(item, WorkItem)
    ask = answering(numbered("Find the angle.", "Halve the angle."))
    made = asyncio.run(write_problems(item, options, ask))
    assert 'Write 2 math problems about "angles"' in ask.asked[0][2][0].content
    prompts = [one for one in made.out if isinstance(one, Prompt)]
    assert [prompt.messages[0].content for prompt in prompts] == ["Find the angle.", "Halve the angle."]
    assert {(prompt.category, prompt.reference, prompt.lineage.topics) for prompt in prompts} == {("math", None, ("mathematics", "angles"))}


def test_math_accounts_for_problems_that_did_not_come() -> None:
    options = Options(problems=3)
    item = start(options, OPENING)[0]
    made = asyncio.run(write_problems(item, options, answering(*[numbered("Only this one.")] * 4)))
    assert len(made.out) == 1
    assert [drop.reason for drop in made.drops] == ["list_shortfall"] * 2
