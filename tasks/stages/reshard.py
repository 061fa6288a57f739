"""Cut a stage's prompts anew into shards by id.

Ids are hashes, so equal slices of the id space hold about equally many records: a record's shard follows from its id and the
number of shards alone. A shard is then a range of ids, which is how the call store finds a shard's calls in a few files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infra.storage import RunFolder, read_table, write_table
from schemas.contract import arrow_schema, from_table, to_table
from schemas.records import Drop, Prompt, drop_record

# Records held in memory at once; a prompt is about 1 KB, so this is some 250 MB.
BATCH = 250_000
RUN_BYTES = 256_000_000
"""How much is sorted at once: Arrow's strings of one column can't have more than 2 GB in one piece."""


def count_rows(paths: Sequence[Path]) -> int:
    """Count the records of Parquet files by their footers."""
    return sum(pq.read_metadata(path).num_rows for path in paths)


def shard_of(record_id: str, shards: int) -> int:
    """Say which of `shards` equal slices of the id space a record falls into."""
    return int(record_id[:15], 16) * shards >> 60


def reshard_prompts(paths: Sequence[Path], folder: RunFolder, stage: str, shards: int) -> None:
    """Write `stage`'s input parts, each sorted by id; a prompt that two items gave rise to stays once, its copies become drops."""
    total = count_rows(paths)
    passes = max(1, -(-total // BATCH))
    for first, last in _slices(shards, passes):
        runs = list(_read_range(paths, first, last, shards))
        for shard in range(first, last):
            slices = [found for run in runs if (found := run.of(shard)).num_rows]
            _write_shard(pa.concat_tables(slices) if slices else arrow_schema(Prompt).empty_table(), folder, stage, shard)


def _slices(shards: int, passes: int) -> Iterator[tuple[int, int]]:
    step = -(-shards // passes)
    for first in range(0, shards, step):
        yield first, min(first + step, shards)


@dataclass(frozen=True, slots=True)
class _Run:
    """Some of the records, sorted by shard: one's are a slice, so finding them costs nothing, however many shards there are."""

    table: pa.Table
    numbers: "np.ndarray[Any, np.dtype[np.int64]]"

    @classmethod
    def sorted(cls, tables: Sequence[pa.Table], shards: int) -> Self:
        table = pa.concat_tables(tables).combine_chunks()
        numbers = np.array([shard_of(one, shards) for one in table.column("prompt_id").to_pylist()], np.int64)
        order = np.argsort(numbers, kind="stable")
        return cls(table.take(pa.array(order)), numbers[order])

    def of(self, shard: int) -> pa.Table:
        begin, end = np.searchsorted(self.numbers, [shard, shard + 1])
        return self.table.slice(begin, end - begin)


def _read_range(paths: Sequence[Path], first: int, last: int, shards: int) -> Iterator[_Run]:
    gathered: list[pa.Table] = []
    weight = 0
    for path in paths:
        table = read_table(path)
        mask = [first <= shard_of(one, shards) < last for one in table.column("prompt_id").to_pylist()]
        gathered.append(table.filter(pa.array(mask, pa.bool_())))
        weight += gathered[-1].nbytes
        if weight > RUN_BYTES:
            yield _Run.sorted(gathered, shards)
            gathered, weight = [], 0
    if gathered:
        yield _Run.sorted(gathered, shards)


def _write_shard(table: pa.Table, folder: RunFolder, stage: str, shard: int) -> None:
    prompts = sorted(from_table(table, Prompt), key=lambda prompt: (prompt.prompt_id, repr(prompt)))
    kept: list[Prompt] = []
    drops: list[Drop] = []
    for prompt in prompts:
        if kept and kept[-1].prompt_id == prompt.prompt_id:
            drops.append(drop_record(prompt, stage="screen", reason="exact_duplicate", points_to=prompt.prompt_id, nth=len(drops)))
        else:
            kept.append(prompt)
    write_table(folder.part(stage, shard), to_table(kept, Prompt))
    write_table(folder.dropped(stage, shard), to_table(drops, Drop))
