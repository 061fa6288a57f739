"""Copies in meaning, on a real server: what goes, what stands on the rows, what is paid."""

import contextlib
import json
from collections import Counter
from functools import partial
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from infra.cluster import map_tasks, open_cluster
from infra.engines.session import EngineSession
from infra.journal import Journal
from infra.settings import Settings
from infra.storage import RunFolder, read_table, write_records
from infra.triton.server import ServedTriton
from schemas.model_card import load_card
from schemas.recipe import DedupOptions
from schemas.records import Drop, Prompt
from schemas.run import ShardReport
from tasks.dedup import find_copies
from tasks.rollout import Cast
from tasks.run_state import Job
from tasks.stages.embed import embed_shard
from tests.harness import Factory
from tests.tasks.builders import a_prompt

pytestmark = [pytest.mark.triton, pytest.mark.slow]

CARD = load_card("rehearsal-embedding")

MOVED = [
    ("Explain how glaciers carve valleys into mountains over centuries.", "Over centuries, how do glaciers carve valleys into mountains? Explain."),
    ("Write a short letter that asks the landlord for cheaper rent.", "A short letter that asks for cheaper rent from the landlord: write it."),
]
"""Other orders of the same words: far apart by shingles, the same to an embedding that hashes words."""
OTHERS = ["What do bees eat in winter?", "Name three uses of copper wire.", "Why does bread dough rise overnight?"]

RECIPE = """
name: meant
models: {writer: rehearsal-instruct, responder: rehearsal-instruct, reward: rehearsal-reward, embedding: rehearsal-embedding}
prompts:
  - {technique: seeds, path: seeds.jsonl, source: tests, licence: cc0-1.0, columns: {prompt: prompt}}
screen: {dedup: {semantic: {threshold: 0.97}}}
responses:
  - {technique: answer, samples: 2}
dedup: {semantic: {threshold: 0.999}}
shard_records: 3
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    prompts = [text for pair in MOVED for text in pair] + OTHERS
    (tmp_path / "seeds.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in prompts), encoding="utf-8")
    path = tmp_path / "meant.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def embedded(call_log: Path) -> Counter[str]:
    """Hashes of the texts that the server has embedded."""
    lines = (json.loads(line) for line in call_log.read_text(encoding="utf-8").splitlines()) if call_log.exists() else ()
    return Counter(line["content_sha256"] for line in lines if line["model"] == "embedding")


def hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def test_a_run_drops_copies_in_meaning_before_they_are_answered(factory: Factory, recipe: Path, call_log: Path) -> None:
    before = embedded(call_log)
    done = factory.call("run", str(recipe), "--json")
    assert done.code == 0, done.err
    release = Path(done.json["path"])
    kept = {row["prompt_id"]: row for row in pl.read_parquet(release / "prompts" / "**" / "*.parquet").to_dicts()}
    dropped = pl.read_parquet(release / "dropped" / "*.parquet").filter((pl.col("reason") == "semantic_duplicate") & (pl.col("stage") == "screen"))
    texts = {one: row["messages"][-1]["content"] for one, row in kept.items()}
    pairs = {frozenset((json.loads(row["record"])["messages"][-1]["content"], texts[row["points_to"]])): row["similarity"] for row in dropped.to_dicts()}
    assert pairs.keys() == {frozenset(pair) for pair in MOVED}
    assert all(similarity >= 0.97 for similarity in pairs.values())
    assert all("cosine" in row["detail"] for row in dropped.to_dicts())
    for row in [*kept.values(), *pl.read_parquet(release / "sft" / "**" / "*.parquet").to_dicts()]:
        (use,) = [one for one in row["provenance"]["models"] if one["role"] == "embedding"]
        assert (use["model"], use["revision"], use["licence"], use["engine"]) == (CARD.id, CARD.revision, CARD.licence, "triton/embedding")
    manifest = json.loads((release / "manifest.json").read_text())
    assert "embedding" in {one["role"] for one in manifest["models"]}
    paid = embedded(call_log) - before
    assert set(paid.values()) == {1}
    assert {hash_of(text) for pair in MOVED for text in pair} <= paid.keys()
    stages = {one["stage"]: one for one in factory.call("runs", "show", done.json["run_id"], "--json").json["stages"]}
    assert stages["screen/embed"]["total"]["calls"] == len(MOVED) * 2 + len(OTHERS)
    again = factory.call("run", str(recipe), "--fresh", "--json")
    assert again.code == 0, again.err
    assert embedded(call_log) - before == paid


def test_dry_run_counts_the_texts_that_would_be_embedded(factory: Factory, recipe: Path) -> None:
    planned = factory.call("run", str(recipe), "--dry-run", "--json").json
    calls = {one["stage"]: one["calls"] for one in planned["calls"] if one["role"] == "embedding"}
    assert calls == {"screen": 7, "dedup": 14}
    assert all(one["prompt_tokens"] > 0 for one in planned["calls"] if one["role"] == "embedding")


@pytest.fixture
def job(tmp_path: Path, triton: ServedTriton) -> Job:
    settings = Settings(data=tmp_path, dask_workers=1)
    with contextlib.closing(EngineSession(settings, triton.addresses())) as session:
        cast = Cast({"embedding": CARD}, {CARD.id: session.inspect(CARD)}, 0)
    return Job(RunFolder(tmp_path, "run"), settings, triton.addresses(), cast)


def test_a_shard_that_was_killed_pays_only_for_what_its_journal_lacks(job: Job, call_log: Path) -> None:
    prompts = [a_prompt(f"A text of number {number} about harbour {number * 7}.") for number in range(100)]
    shard = job.folder.part("screen/in", 0)
    write_records(shard, [*prompts, a_prompt(" ")], Prompt)
    write_records(job.folder.dropped("screen/in", 0), [], Drop)
    work = partial(embed_shard, job, stage="screen", carried=False)
    reports = []
    with open_cluster(Settings(data=job.folder.data, dask_workers=1)) as client:
        find_copies(client, [shard], job.folder.root / "screen" / "work", DedupOptions(near=None), kind="prompt")
        before = embedded(call_log)
        reports += [report for _, report in map_tasks(client, work, [0])]
        whole, asked = read_table(job.folder.part("screen/embed", 0)), embedded(call_log) - before
        assert asked == Counter(hash_of(one.messages[0].content) for one in prompts)
        keep_first(job.folder.journal("screen/embed", 0), 37)
        reports += [report for _, report in map_tasks(client, work, [0])]
    assert read_table(job.folder.part("screen/embed", 0)).equals(whole)
    assert whole.num_rows == 100
    assert (embedded(call_log) - before).total() == 100 + 63
    assert [(one.rows_in, one.rows_out, one.calls) for one in reports if isinstance(one, ShardReport)] == [(101, 101, 100)] * 2


def keep_first(path: Path, count: int) -> None:
    """Leave a journal as a kill would have left it."""
    with Journal.open(path) as journal:
        entries = list(journal.entries())[:count]
    path.unlink()
    with Journal.open(path) as journal:
        for one in entries:
            journal.put(one.key, one.item, one.answer)
