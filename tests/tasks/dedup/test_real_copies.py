"""Real near-duplicates: t0 puts one example into many templates, so that a passage comes back under other questions."""

import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.storage import write_records
from schemas.recipe import DedupOptions, NearOptions
from schemas.records import Prompt
from tasks.dedup import find_copies
from tests.tasks.builders import a_prompt
from tests.tasks.dedup.found import copies_in
from tests.tasks.dedup.reference import similarity

if TYPE_CHECKING:
    from distributed import Client

EXAMPLES = 60


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> list[dict[str, Any]]:
    """All templates of some examples of two sets whose passages are long."""
    with gzip.open(shared_data / "t0_prompt_completion.jsonl.gz", "rt", encoding="utf-8") as lines:
        read = [json.loads(line) for line in lines]
    mine = [row for row in read if row["dataset"].startswith(("quoref", "ropes"))]
    examples = sorted({(row["dataset"], row["example"]) for row in mine})[:EXAMPLES]
    return [row for row in mine if (row["dataset"], row["example"]) in set(examples)]


@pytest.mark.slow
def test_templates_of_one_example_are_found_where_they_are_alike(two_workers: "Client", rows: list[dict[str, Any]], tmp_path: Path) -> None:
    texts = {prompt.prompt_id: (prompt, row) for row in rows for prompt in [a_prompt(row["prompt"])]}
    shard = tmp_path / "part-00000.parquet"
    write_records(shard, [prompt for prompt, _ in texts.values()], Prompt)
    options = DedupOptions(near=NearOptions(verify=True))
    find_copies(two_workers, [shard], tmp_path / "work", options, kind="prompt")
    found = copies_in(tmp_path / "work", [shard])
    clusters: dict[str, set[str]] = defaultdict(set)
    for one in texts:
        clusters[found[one].keeper_id if one in found else one].add(one)
    label = {one: keeper for keeper, members in clusters.items() for one in members}
    by_example: dict[tuple[str, int], list[str]] = defaultdict(list)
    for one, (_, row) in texts.items():
        by_example[row["dataset"], row["example"]].append(one)
    pairs = [(one, other) for ids in by_example.values() for one in ids for other in ids if one < other]
    truth = {pair: similarity(text_of(texts, pair[0]), text_of(texts, pair[1])) for pair in pairs}
    alike = [pair for pair, one in truth.items() if one >= 0.8]
    assert len(alike) > 100
    assert sum(label[one] == label[other] for one, other in alike) >= 0.98 * len(alike)
    assert all(any(similarity(text_of(texts, one), text_of(texts, other)) >= 0.8 for other in clusters[label[one]] - {one}) for one in found)


def text_of(texts: dict[str, tuple[Prompt, dict[str, Any]]], one: str) -> str:
    return texts[one][0].messages[0].content
