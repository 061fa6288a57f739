import asyncio
from pathlib import Path

from schemas.records import Prompt, WorkItem
from tasks.craft.made import derive_item
from tasks.prompts.math import STEPS, Options, name_subtopics, name_topics, start, vary_problem, write_problems
from tasks.technique import Made, Opening, Step
from tests.tasks.builders import A_RUN, answering, numbered
from tests.tasks.rehearsal import RehearsalAsk

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
    posed = [one for one in made.out if isinstance(one, WorkItem)]
    prompts = [one for each in posed for one in asyncio.run(vary_problem(each, options, answering())).out if isinstance(one, Prompt)]
    assert [prompt.messages[0].content for prompt in prompts] == ["Find the angle.", "Halve the angle."]
    assert {(prompt.category, prompt.reference, prompt.lineage.topics) for prompt in prompts} == {("math", None, ("mathematics", "angles"))}


def test_math_accounts_for_problems_that_did_not_come() -> None:
    options = Options(problems=3)
    item = start(options, OPENING)[0]
    made = asyncio.run(write_problems(item, options, answering(*[numbered("Only this one.")] * 4)))
    assert len(made.out) == 1
    assert [drop.reason for drop in made.drops] == ["list_shortfall"] * 2


def test_math_makes_a_similar_and_a_harder_problem_of_each() -> None:
    options = Options(variants=("similar", "harder"))
    item = derive_item(start(options, OPENING)[0], "Halve 8.", topics=("mathematics", "halves"))
    made = asyncio.run(vary_problem(item, options, answering("Halve 6.", "Halve 8 twice.")))
    plain, similar, harder = [one for one in made.out if isinstance(one, Prompt)]
    assert [one.messages[0].content for one in (plain, similar, harder)] == ["Halve 8.", "Halve 6.", "Halve 8 twice."]
    assert [one.lineage.operator for one in (plain, similar, harder)] == [None, "similar", "harder"]
    assert {one.lineage.parent for one in (similar, harder)} == {plain.prompt_id}


def test_math_drops_a_variant_that_says_nothing_new_and_keeps_the_problem() -> None:
    options = Options(variants=("similar", "harder"))
    item = derive_item(start(options, OPENING)[0], "Halve 8.", topics=("mathematics",))
    made = asyncio.run(vary_problem(item, options, answering("halve  8.", " ")))
    assert len(made.out) == 1
    assert [drop.reason for drop in made.drops] == ["not_evolved", "empty_prompt"]


def test_math_goes_through_subtopics_where_there_are_to_be_any() -> None:
    options = Options(topics=1, subtopics=2, problems=3, variants=("harder",))
    topic = derive_item(start(options, OPENING)[0], "angles", topics=("mathematics", "angles"))
    named = asyncio.run(name_subtopics(topic, options, answering(*[numbered("right angles")] * 4)))
    assert [one.lineage.topics for one in named.out] == [("mathematics", "angles", "right angles")]
    assert [(drop.reason, drop.rows) for drop in named.drops] == [("list_shortfall", 6)]
    straight = asyncio.run(name_subtopics(topic, Options(), answering()))
    assert [one.lineage.topics for one in straight.out] == [("mathematics", "angles")]


def test_math_asks_and_yields_what_it_plans_on_the_rehearsal_model() -> None:
    options = Options(topics=2, subtopics=2, problems=2, variants=("similar", "harder"))
    items: list[WorkItem | Prompt] = list(start(options, OPENING))
    ask, planned, rows = RehearsalAsk(), 0, 1
    for step in STEPS:
        made = [asyncio.run(_run(step, item, options, ask)) for item in items if isinstance(item, WorkItem)]
        assert all(len(one.out) == step.yields(options) for one in made)
        planned, rows = planned + rows * step.calls(options), rows * step.yields(options)
        items = [one for each in made for one in each.out]
    assert (len(items), len(ask.asked)) == (24, planned)


async def _run(step: Step, item: WorkItem, options: Options, ask: RehearsalAsk) -> Made:
    return await step.run(item, options, ask)
