import asyncio
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.records import Drop, Prompt, Source
from tasks.craft.segments import Limits, segment_document
from tasks.prompts.rephrase import Options, ask_for_rewrite, items, start
from tasks.technique import Opening
from tests.tasks.builders import A_RUN, answering

TERMS = {"path": "texts.jsonl", "source": "own", "licence": "cc0-1.0"}


def rewrite(folder: Path, text: str, *kinds: str) -> tuple[list[Prompt], list[Drop]]:
    (folder / "texts.jsonl").write_text(json.dumps({"text": text}) + "\n")
    options = Options.model_validate(TERMS | ({"kinds": kinds} if kinds else {}))
    made = [asyncio.run(ask_for_rewrite(item, options, answering())) for item in start(options, Opening(A_RUN, 0, folder))]
    assert len(made) == items(options, folder)
    prompts = [one for result in made for one in result.out if isinstance(one, Prompt)]
    return prompts, [drop for result in made for drop in result.drops]


def test_rephrase_asks_for_all_five_rewrites_of_a_document(tmp_path: Path) -> None:
    text = "Sourdough rises slowly. " * 20
    prompts, drops = rewrite(tmp_path, text)
    assert [one.lineage.topics for one in prompts] == [("diverse_qa",), ("distil",), ("extract_knowledge",), ("knowledge_list",), ("encyclopaedic",)]
    assert all(text.strip() in one.messages[0].content for one in prompts)
    assert prompts[0].provenance.sources == (Source("own", "cc0-1.0"),)
    assert prompts[0].lineage.seeds == ("own:1#0",)
    assert drops == []


def test_rephrase_takes_short_documents_for_the_encyclopaedic_rewrite_alone(tmp_path: Path) -> None:
    prompts, drops = rewrite(tmp_path, "Bees warm their queen in winter.")
    assert [one.lineage.topics for one in prompts] == [("encyclopaedic",)]
    assert [drop.reason for drop in drops] == ["document_too_short"] * 4


def test_rephrase_parts_a_long_document_at_its_lines(tmp_path: Path) -> None:
    line = "a line of some words " * 20
    prompts, _ = rewrite(tmp_path, "\n".join([line.strip()] * 20), "encyclopaedic")
    assert len(prompts) > 1
    assert sum(one.messages[0].content.count(line.strip()) for one in prompts) == 20


def test_a_line_that_is_too_long_is_named_and_not_cut() -> None:
    parts = segment_document("word " * 100 + "\nshort but long enough a line", Limits(5, 5, 60))
    assert [part.fault for part in parts] == ["segment_too_long", None]
    assert parts[0].text.count("word") == 100


def test_a_short_rest_is_named() -> None:
    parts = segment_document("word " * 40 + "\nend", Limits(5, 5, 51))
    assert [part.fault for part in parts] == [None, "segment_too_short"]


def test_rephrase_refuses_an_unknown_kind() -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(TERMS | {"kinds": ["haiku"]})
