"""Rewrites of documents: Nemotron-CC's five kinds, asked of the responder segment by segment, with the limits of that paper.

The answers are the rewrites. Their own limits (600 tokens for questions and lists, 1,600, 1,400 and 512 for the others) are the responses'
`max_tokens`: give the kinds that differ an entry of their own.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from schemas.engine import Sampling
from schemas.records import WorkItem, drop_record
from tasks.craft.branching import branch_item
from tasks.craft.made import as_request, derive_prompt
from tasks.craft.seedtexts import SeedTexts, read_texts, seed_item, text_files
from tasks.craft.segments import Limits, Segment, segment_document
from tasks.craft.turns import between_marks, estimate_tokens
from tasks.technique import Ask, Made, Opening, Step

NAME = "rephrase"

Kind = Literal["diverse_qa", "distil", "extract_knowledge", "knowledge_list", "encyclopaedic"]

_REQUESTS: dict[str, str] = {
    "diverse_qa": (
        "Write up to eight questions that the text between the marks answers, each with its answer. Let them differ in kind: yes or no, a choice of several, "
        "open, comparing, why and how. Write each as a line `Question: …` and a line `Answer: …`."
    ),
    "distil": "Write a shorter text that keeps every fact, name, number and argument of the text between the marks, and none of its padding. Add nothing.",
    "extract_knowledge": (
        "Take out of the text between the marks what is worth knowing about the world, and write it as connected prose, in the manner of a textbook. "
        "Leave out what is only of interest to the text's own readers, such as offers and adverts."
    ),
    "knowledge_list": "List the facts that the text between the marks tells, each as one full sentence on a line that begins with a hyphen and a blank.",
    "encyclopaedic": "Put the text between the marks into other words: clear, plain and in the manner of an encyclopaedia. Keep all that it says.",
}
_LIMITS: dict[str, Limits] = {
    "diverse_qa": Limits(30, 30, 1000),
    "distil": Limits(30, 10, 2000),
    "extract_knowledge": Limits(30, 30, 1400),
    "knowledge_list": Limits(30, 30, 1000),
    "encyclopaedic": Limits(5, 5, 512),
}
"""Least document, least segment and longest input of each kind (arXiv 2412.02595); the input holds the request as well."""
_MARKS = 8

files = text_files


class Options(SeedTexts):
    """Which documents, and which rewrites."""

    kinds: tuple[Kind, ...] = Field(("diverse_qa", "distil", "extract_knowledge", "knowledge_list", "encyclopaedic"), min_length=1)
    """Rewrites of each segment; the paper takes `encyclopaedic` for documents of low quality and the other four for those of high."""
    category: str = Field("rephrase", min_length=1)
    """The prompts' category in the release."""


def items(options: Options, folder: Path) -> int:
    """Check all the documents, and count what they are parted into."""
    return sum(1 for _ in _parts(options, folder))


def start(options: Options, opening: Opening) -> Iterator[WorkItem]:
    """Give a work item for each segment and kind of rewrite."""
    for name, kind, segment in _parts(options, opening.folder):
        yield seed_item(NAME, options, opening, name=name, value=json.dumps([kind, segment.text, segment.fault], ensure_ascii=False))


async def ask_for_rewrite(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Make a prompt that asks for a rewrite of a segment."""
    kind, text, fault = json.loads(item.value)
    if fault:
        detail = f"about {estimate_tokens(text)} tokens; for {kind} the limits are {_limits(kind)}"
        return Made(drops=(drop_record(item, stage="prompts", reason=fault, detail=detail),))
    messages = as_request(f"{_REQUESTS[kind]}\n{between_marks(text)}")
    return Made((derive_prompt(branch_item(item, kind), messages, category=options.category),))


def _parts(options: Options, folder: Path) -> Iterator[tuple[str, str, Segment]]:
    for document in read_texts(options, folder):
        for kind in dict.fromkeys(options.kinds):
            for nth, segment in enumerate(segment_document(document.text, _limits(kind))):
                yield f"{document.name}#{nth}", kind, segment


def _limits(kind: str) -> Limits:
    limits = _LIMITS[kind]
    return Limits(limits.document, limits.segment, limits.longest - estimate_tokens(_REQUESTS[kind]) - _MARKS)


STEPS = (Step("rewrite", ask_for_rewrite, lambda o: 1, lambda o: 0, lambda o: Sampling()),)
