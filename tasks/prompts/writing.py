"""Writing tasks: essays, e-mails, poems and other kinds of text about topics, each task made longer and more specific.

The shape is the Nemotron-4 340B report's (§3.2.1): kinds of text times topics, and a second pass that revises what was written first.
"""

from dataclasses import replace

from pydantic import Field, model_validator

from schemas.engine import Sampling
from schemas.recipe import SamplingOptions, Strict
from schemas.records import WorkItem, prompt_id
from tasks.craft.branching import branch_item
from tasks.craft.listing import ListRequest, ask_for_list, list_shortfall
from tasks.craft.made import as_request, derive_item, derive_prompt, first_item
from tasks.craft.topics import how_many, name_subtopics_of
from tasks.craft.turns import between_marks, in_quotes
from tasks.craft.wording import drop_text, fault_in_text
from tasks.technique import Ask, Made, Opening, Step

NAME = "writing"


class Options(Strict):
    """How many of what."""

    topics: int = Field(5, ge=0)
    """Broad topics that the writer names."""
    extra_topics: tuple[str, ...] = ()
    """Topics of your own, beside those that the writer names."""
    subtopics: int = Field(0, ge=0)
    """Subtopics of each topic; 0 goes from topics straight to tasks."""
    kinds: tuple[str, ...] = Field(("essay", "e-mail", "poem", "short story", "speech"), min_length=1)
    """Kinds of text; each goes with each topic."""
    tasks: int = Field(2, ge=1)
    """Tasks for each kind and topic."""
    revise: bool = True
    """Rewrite each task to be longer and more specific, in a call of its own."""
    category: str = Field("writing", min_length=1)
    """The prompts' category in the release."""
    sampling: SamplingOptions = SamplingOptions()
    """How the writer samples."""

    @model_validator(mode="after")
    def _has_distinct_topics_and_kinds(self) -> "Options":
        if not self.topics and not self.extra_topics:
            raise ValueError("no topics: give `topics`, `extra_topics` or both")
        for name, values in (("extra_topics", self.extra_topics), ("kinds", self.kinds)):
            if len({value.casefold() for value in values}) < len(values):
                raise ValueError(f"{name} names one twice")
        return self


def start(options: Options, opening: Opening) -> tuple[WorkItem, ...]:
    """Start from nothing."""
    return (first_item(NAME, opening),)


async def name_topics(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Name broad topics."""
    n = options.topics
    own = tuple(derive_item(item, topic, topics=(topic,)) for topic in options.extra_topics)
    if not n:
        return Made(own)
    what = f"Name {n} broad topics that give a writer something to say, from private life to public affairs. Two or three words each."
    request = ListRequest(what, n, "topics", _sampling(options), besides=options.extra_topics)
    listing = await ask_for_list(ask, request)
    named = tuple(derive_item(item, topic, topics=(topic,), uses=listing.uses) for topic in listing.items)
    return Made((*own, *named), list_shortfall(item, request, listing, rows=how_many(options.subtopics) * len(options.kinds) * options.tasks))


async def name_subtopics(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Name a topic's subtopics, where there are to be any."""
    return await name_subtopics_of(item, options.subtopics, _sampling(options), ask, rows=len(options.kinds) * options.tasks)


async def write_tasks(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Write tasks of every kind about a topic."""
    made = [await _write_kind(item, kind, options, ask) for kind in options.kinds]
    return Made(tuple(one for each in made for one in each.out), tuple(drop for each in made for drop in each.drops))


async def _write_kind(item: WorkItem, kind: str, options: Options, ask: Ask) -> Made:
    what = (
        f"Write {options.tasks} writing tasks about {in_quotes(item.value)}. Each asks for a text of this kind: {in_quotes(kind)}. "
        "Each says in a sentence what the text is for. Write the tasks only, not the texts."
    )
    request = ListRequest(what, options.tasks, f"tasks/{kind}", _sampling(options))
    listing = await ask_for_list(ask, request)
    branch = branch_item(item, kind)
    written = tuple(derive_item(branch, one, topics=branch.lineage.topics, uses=listing.uses) for one in listing.items)
    return Made(written, list_shortfall(branch, request, listing, rows=1))


async def revise_task(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Make a prompt of a task, revised where the recipe asks for it."""
    if not options.revise:
        return Made((derive_prompt(item, as_request(item.value), category=options.category),))
    told = await ask("writer", as_request(_revision(item.value)), _sampling(options), label="revise")
    fault = fault_in_text(told)
    if fault:
        return Made(drops=(drop_text(item, fault, told, detail="the task's revision"),))
    revised = replace(item, lineage=replace(item.lineage, parent=prompt_id(NAME, as_request(item.value))))
    return Made((derive_prompt(revised, as_request(told.completion.text.strip()), category=options.category, uses=(told.use,)),))


def _revision(task: str) -> str:
    return (
        "Rewrite this writing task so that it is longer and more specific: say for whom the text is, in which tone, how long it should be, "
        "or what must occur in it. Two to four sentences. Answer with the new task and nothing else.\n" + between_marks(task)
    )


def _sampling(options: Options) -> Sampling:
    return options.sampling.sampling()


STEPS = (
    Step("topics", name_topics, lambda o: o.topics + len(o.extra_topics), lambda o: int(o.topics > 0), _sampling),
    Step("subtopics", name_subtopics, lambda o: how_many(o.subtopics), lambda o: int(o.subtopics > 0), _sampling),
    Step("tasks", write_tasks, lambda o: len(o.kinds) * o.tasks, lambda o: len(o.kinds), _sampling),
    Step("revise", revise_task, lambda o: 1, lambda o: int(o.revise), _sampling),
)
