"""Cut a stage's prompts anew into shards by id.

Ids are hashes, so equal slices of the id space hold about equally many records: a record's shard follows from its id and the
number of shards alone. A shard is then a range of ids, which is how the call store finds a shard's calls in a few files.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.storage import RunFolder, write_table
from schemas.contract import arrow_schema, from_table, to_table
from schemas.records import Drop, Prompt, drop_record

# Records held in memory at once; a prompt is about 1 KB, so this is some 250 MB.
BATCH = 250_000


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
        table = _read_range(paths, first, last, shards)
        numbers = [shard_of(one, shards) for one in table.column("prompt_id").to_pylist()]
        table = table.append_column("shard", pa.array(numbers, pa.int32()))
        for shard in range(first, last):
            _write_shard(table.filter(pc.field("shard") == shard).drop_columns("shard"), folder, stage, shard)


def _slices(shards: int, passes: int) -> Iterator[tuple[int, int]]:
    step = -(-shards // passes)
    for first in range(0, shards, step):
        yield first, min(first + step, shards)


def _read_range(paths: Sequence[Path], first: int, last: int, shards: int) -> pa.Table:
    kept = []
    for path in paths:
        table = pq.read_table(path)
        mask = [first <= shard_of(one, shards) < last for one in table.column("prompt_id").to_pylist()]
        kept.append(table.filter(pa.array(mask, pa.bool_())))
    return pa.concat_tables(kept) if kept else arrow_schema(Prompt).empty_table()


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
