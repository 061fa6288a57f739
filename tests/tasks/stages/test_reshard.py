"""Prompts are cut anew by id: each into the shard that its id says, sorted, copies dropped, however they were cut before."""

from pathlib import Path

import pytest

from infra.storage import RunFolder, read_records, write_records
from schemas.records import Drop, Lineage, Message, Prompt, Provenance, prompt_id
from tasks.stages import reshard
from tasks.stages.reshard import reshard_prompts, shard_of


def a_prompt(number: int) -> Prompt:
    messages = (Message("user", f"What about bed {number}?"),)
    return Prompt(prompt_id("bench", messages), "bench", "open_qa", messages, None, Lineage(), Provenance("r", rehearsal=True))


def cut(folder: Path, files: list[list[Prompt]], shards: int) -> RunFolder:
    run = RunFolder(folder, "run")
    parts = [folder / f"in-{number}.parquet" for number in range(len(files))]
    for path, prompts in zip(parts, files, strict=True):
        write_records(path, prompts, Prompt)
    reshard_prompts(parts, run, "screen/in", shards)
    return run


@pytest.mark.parametrize("run_bytes", [1, 256_000_000], ids=["many runs", "one run"])
@pytest.mark.parametrize("batch", [50, 250_000], ids=["several passes", "one pass"])
def test_every_prompt_is_in_its_own_shard_once_and_sorted(run_bytes: int, batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reshard, "RUN_BYTES", run_bytes)
    monkeypatch.setattr(reshard, "BATCH", batch)
    prompts = [a_prompt(number) for number in range(200)]
    run = cut(tmp_path, [prompts[first : first + 7] for first in range(0, 200, 7)] + [[prompts[3], prompts[5]], []], shards=9)
    shards = [read_records(run.part("screen/in", shard), Prompt) for shard in range(9)]
    for number, made in enumerate(shards):
        assert [one.prompt_id for one in made] == sorted(one.prompt_id for one in made)
        assert {shard_of(one.prompt_id, 9) for one in made} <= {number}
    assert {one for made in shards for one in made} == set(prompts)
    assert sum(map(len, shards)) == 200
    drops = [drop for shard in range(9) for drop in read_records(run.dropped("screen/in", shard), Drop)]
    assert sorted((drop.reason, drop.points_to) for drop in drops) == sorted(("exact_duplicate", prompts[number].prompt_id) for number in (3, 5))


def test_no_prompts_leave_empty_shards(tmp_path: Path) -> None:
    run = cut(tmp_path, [], shards=2)
    assert [read_records(run.part("screen/in", shard), Prompt) for shard in range(2)] == [[], []]
