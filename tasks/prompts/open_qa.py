"""Open questions: broad topics, their subtopics, questions about each, and each question made longer and more specific.

The shape is the Nemotron-4 340B report's (§3.2.1): questions as first written are short, so a second pass revises them.
"""

from dataclasses import replace

from pydantic import Field, model_validator

from schemas.engine import Sampling
from schemas.recipe import SamplingOptions, Strict
from schemas.records import WorkItem, drop_record, prompt_id
from tasks.craft.listing import ListRequest, ask_for_list, list_shortfall
from tasks.craft.made import as_request, derive_item, derive_prompt, first_item
from tasks.craft.topics import name_subtopics_of
from tasks.craft.turns import between_marks, in_quotes
from tasks.technique import Ask, Made, Opening, Step

NAME = "open_qa"


class Options(Strict):
    """How many of what."""

    topics: int = Field(10, ge=0)
    """Broad topics that the writer names."""
    extra_topics: tuple[str, ...] = ()
    """Topics of your own, beside those that the writer names."""
    subtopics: int = Field(5, ge=1)
    """Subtopics of each topic."""
    questions: int = Field(5, ge=1)
    """Questions about each subtopic."""
    revise: bool = True
    """Rewrite each question to be longer and more specific, in a call of its own."""
    category: str = Field("open_qa", min_length=1)
    """The prompts' category in the release."""
    sampling: SamplingOptions = SamplingOptions()
    """How the writer samples."""

    @model_validator(mode="after")
    def _has_distinct_topics(self) -> "Options":
        if not self.topics and not self.extra_topics:
            raise ValueError("no topics: give `topics`, `extra_topics` or both")
        if len({topic.casefold() for topic in self.extra_topics}) < len(self.extra_topics):
            raise ValueError("extra_topics names a topic twice")
        return self


def start(options: Options, opening: Opening) -> tuple[WorkItem, ...]:
    """Start from nothing."""
    return (first_item(NAME, opening),)


async def name_topics(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Name broad topics."""
    n = options.topics
    rows = options.subtopics * options.questions
    own = tuple(derive_item(item, topic, topics=(topic,)) for topic in options.extra_topics)
    if not n:
        return Made(own)
    what = f"Name {n} broad topics that people are curious about: from daily life, the sciences, the arts, work and society. Two or three words each."
    request = ListRequest(what, n, "topics", _sampling(options), besides=options.extra_topics)
    listing = await ask_for_list(ask, request)
    named = tuple(derive_item(item, topic, topics=(topic,), uses=listing.uses) for topic in listing.items)
    return Made((*own, *named), list_shortfall(item, request, listing, rows=rows))


async def name_subtopics(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Name a topic's subtopics."""
    return await name_subtopics_of(item, options.subtopics, _sampling(options), ask, rows=options.questions)


async def write_questions(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Write questions about a subtopic."""
    n = options.questions
    what = f"Write {n} questions about {in_quotes(item.value)} that a curious person could ask. They should need an explanation, not a yes or no."
    request = ListRequest(what, n, "questions", _sampling(options))
    listing = await ask_for_list(ask, request)
    written = tuple(derive_item(item, one, topics=item.lineage.topics, uses=listing.uses) for one in listing.items)
    return Made(written, list_shortfall(item, request, listing, rows=1))


async def revise_question(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Make a prompt of a question, revised where the recipe asks for it."""
    if not options.revise:
        return Made((derive_prompt(item, as_request(item.value), category=options.category),))
    told = await ask("writer", as_request(_revision(item.value)), _sampling(options), label="revise")
    text = told.completion.text.strip()
    if told.completion.finish_reason == "length" or not text:
        reason = "truncated_prompt" if text else "empty_prompt"
        return Made(drops=(drop_record(item, stage="prompts", reason=reason, detail="the question's revision", raw=told.completion.text),))
    parent = prompt_id(NAME, as_request(item.value))
    revised = replace(item, lineage=replace(item.lineage, parent=parent))
    return Made((derive_prompt(revised, as_request(text), category=options.category, uses=(told.use,)),))


def _revision(question: str) -> str:
    return (
        "Rewrite this question so that it is longer and more specific: give it a situation, a purpose or a constraint, "
        "or ask for a form that the answer should take. Two to four sentences. Answer with the new question and nothing else.\n" + between_marks(question)
    )


def _sampling(options: Options) -> Sampling:
    return options.sampling.sampling()


STEPS = (
    Step("topics", name_topics, lambda o: o.topics + len(o.extra_topics), lambda o: int(o.topics > 0), _sampling),
    Step("subtopics", name_subtopics, lambda o: o.subtopics, lambda o: 1, _sampling),
    Step("questions", write_questions, lambda o: o.questions, lambda o: 1, _sampling),
    Step("revise", revise_question, lambda o: 1, lambda o: int(o.revise), _sampling),
)
