"""Rewrites of documents: Nemotron-CC's five kinds, asked for segment by segment within that paper's limits; the answers are the rewrites.

Have them answered by the response technique `rewrite`, which makes of each answer what the paper makes of it. An encyclopaedic prompt may hold several
segments, which are rewritten one by one and joined.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from schemas.engine import Sampling
from schemas.records import WorkItem, drop_record
from tasks.craft.branching import branch_item
from tasks.craft.made import as_request, derive_prompt
from tasks.craft.rewrites import REWRITES, Kind
from tasks.craft.seedtexts import SeedTexts, read_texts, seed_item, text_files
from tasks.craft.segments import Segment, segment_document
from tasks.craft.turns import estimate_tokens
from tasks.technique import Ask, Made, Opening, Step

NAME = "rephrase"

files = text_files


class Options(SeedTexts):
    """Which documents, and which rewrites."""

    kinds: tuple[Kind, ...] = Field(("diverse_qa", "distil", "extract_knowledge", "knowledge_list", "encyclopaedic"), min_length=1)
    """Rewrites of each segment; the paper takes `encyclopaedic` for documents of low quality and the other four for those of high."""
    joined: int = Field(4, ge=1)
    """Segments of a document that an `encyclopaedic` prompt holds, to be joined again once they are rewritten, a call each."""
    category: str = Field("rephrase", min_length=1)
    """The prompts' category in the release."""


def items(options: Options, folder: Path) -> int:
    """Check all the documents, and count what they are parted into."""
    return sum(1 for _ in _parts(options, folder))


def start(options: Options, opening: Opening) -> Iterator[WorkItem]:
    """Give a work item for each part of a document and kind of rewrite."""
    for name, kind, segment in _parts(options, opening.folder):
        yield seed_item(NAME, options, opening, name=name, value=json.dumps([kind, segment.text, segment.fault], ensure_ascii=False))


async def ask_for_rewrite(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Make a prompt that asks for a rewrite."""
    kind, text, fault = json.loads(item.value)
    if fault:
        detail = f"about {estimate_tokens(text)} tokens; for {kind} the limits are {REWRITES[kind].room()}"
        return Made(drops=(drop_record(item, stage="prompts", reason=fault, detail=detail),))
    return Made((derive_prompt(branch_item(item, kind), as_request(REWRITES[kind].ask(text)), category=options.category),))


def _parts(options: Options, folder: Path) -> Iterator[tuple[str, str, Segment]]:
    for document in read_texts(options, folder):
        for kind in dict.fromkeys(options.kinds):
            segments = segment_document(document.text, REWRITES[kind].room())
            for nth, segment in enumerate(_join(segments, options.joined) if kind == "encyclopaedic" else segments):
                yield f"{document.name}#{nth}", kind, segment


def _join(segments: tuple[Segment, ...], most: int) -> Iterator[Segment]:
    """Join neighbours that are within the limits; one that is not stands alone, and parts what is around it."""
    run: list[str] = []
    for segment in segments:
        if run and (segment.fault or len(run) == most):
            yield Segment("\n".join(run))
            run = []
        if segment.fault:
            yield segment
        else:
            run.append(segment.text)
    if run:
        yield Segment("\n".join(run))


STEPS = (Step("rewrite", ask_for_rewrite, lambda o: 1, lambda o: 0, lambda o: Sampling()),)
