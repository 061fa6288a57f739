"""Closed questions over real documents: SQuAD 2.0's passages, and XQuAD's in twelve languages."""

import asyncio
import gzip
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from schemas.records import Prompt
from tasks.craft.turns import estimate_tokens
from tasks.prompts import closed_qa
from tasks.technique import Opening
from tests.tasks.builders import A_RUN
from tests.tasks.rehearsal import RehearsalAsk


def ask_about(folder: Path, name: str, **more: object) -> list[Prompt]:
    options = closed_qa.Options.model_validate({"path": name, "column": "context", "source": "squad", "licence": "cc-by-sa-4.0"} | more)
    items = list(closed_qa.start(options, Opening(A_RUN, 0, folder)))
    assert len(items) == closed_qa.items(options, folder)
    made = [asyncio.run(closed_qa.write_instructions(item, options, RehearsalAsk(item.item_id))) for item in items]
    assert all(len(one.out) + len(one.drops) == options.instructions for one in made)
    assert {drop.reason for one in made for drop in one.drops} <= {"over_token_budget", "list_shortfall"}
    return [one for each in made for one in each.out if isinstance(one, Prompt)]


@pytest.mark.parametrize("name", ["squad2_contexts.jsonl", "xquad_12_languages.jsonl.gz"])
def test_closed_qa_asks_about_real_documents_and_leaves_each_as_it_is(shared_data: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(shared_data / name, tmp_path / name)
    with gzip.open(tmp_path / name, "rt", encoding="utf-8") if name.endswith(".gz") else (tmp_path / name).open(encoding="utf-8") as file:
        contexts = [json.loads(line)["context"].strip() for line in file]
    prompts = ask_about(tmp_path, name, instructions=2)
    assert len(prompts) > 1.9 * len(contexts)
    asked = Counter(one.lineage.seeds[0] for one in prompts)
    assert set(asked) == {f"squad:{number}" for number in range(1, len(contexts) + 1)}
    for one in prompts:
        number = int(one.lineage.seeds[0].partition(":")[2])
        assert contexts[number - 1] in one.messages[0].content
        assert one.provenance.sources[0].licence == "cc-by-sa-4.0"


def test_closed_qa_keeps_to_its_token_budget_in_every_script(shared_data: Path, tmp_path: Path) -> None:
    shutil.copy(shared_data / "xquad_12_languages.jsonl.gz", tmp_path)
    prompts = ask_about(tmp_path, "xquad_12_languages.jsonl.gz", instructions=1, max_tokens=300)
    assert prompts
    assert max(estimate_tokens(one.messages[0].content) for one in prompts) <= 300
