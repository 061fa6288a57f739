"""What a shard tells of its records: ids, owners, scores and texts, column by column, reading no column that isn't needed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.storage import damaged, storage_error
from tasks.dedup.arrays import ROW
from tasks.dedup.plan import Kind

BATCH_BYTES = 2 << 20
"""Text decoded at once, about: it stays in the second-level cache from decoding to hashing, and memory stays small with long texts."""
BATCH_ROWS = 1024
"""Most rows decoded at once."""

_CONTENT = "messages.list.element.content"
_COLUMNS: dict[Kind, list[str]] = {
    "prompt": ["prompt_id", _CONTENT],
    "conversation": ["conversation_id", "prompt_id", "scores.reward", "gate", _CONTENT],
}
_HEX_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a shard; digests not yet filled in."""

    rows: NDArray[np.void]
    """Of dtype ROW."""
    texts: pa.Array
    """All turns of a record, each on a line of its own."""


def count_rows(shard: Path) -> int:
    """Read a shard's number of rows from its footer."""
    with _open(shard) as file:
        return int(file.metadata.num_rows)


def read_batches(shard: Path, kind: Kind) -> Iterator[Batch]:
    """Read a shard's records in order."""
    with _open(shard) as file:
        try:
            for batch in file.iter_batches(_batch_rows(file.metadata), columns=_COLUMNS[kind], use_threads=False):
                yield Batch(rows_of(batch, kind), join_turns(batch.column("messages")))
        except pa.ArrowException as error:
            raise damaged(shard, error) from error


def join_turns(messages: pa.Array) -> pa.Array:
    """Join each record's turns to one text."""
    lengths = pc.fill_null(pc.list_value_length(messages), 0)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int32)]).astype(np.int32)
    turns = pc.struct_field(messages.flatten(), "content")
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), turns), "\n")


def parse_ids(ids: pa.Array) -> NDArray[np.uint64]:
    """Read content ids, 32 hex digits, as [n, 2] numbers of the same order."""
    fixed = ids.cast(pa.binary()).cast(pa.binary(_HEX_DIGITS))
    digits = np.frombuffer(fixed.buffers()[1], np.uint8)[fixed.offset * _HEX_DIGITS :][: len(ids) * _HEX_DIGITS].reshape(-1, _HEX_DIGITS)
    nibbles = np.where(digits >= ord("a"), digits - (ord("a") - 10), digits - ord("0"))
    return ((nibbles[:, 0::2] << 4) | nibbles[:, 1::2]).astype(np.uint8).view(">u8").astype(np.uint64)


def format_ids(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> pa.Array:
    """Write numbers as the content ids that `parse_ids` read."""
    digits = np.stack([high, low], axis=1).astype(">u8").tobytes().hex().encode()
    offsets = np.arange(len(high) + 1, dtype=np.int32) * _HEX_DIGITS
    return pa.StringArray.from_buffers(len(high), pa.py_buffer(offsets), pa.py_buffer(digits))


def _open(shard: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(shard, buffer_size=BATCH_BYTES)
    except OSError as error:
        raise storage_error(shard, error, "read") from error
    except pa.ArrowException as error:
        raise damaged(shard, error) from error


def _batch_rows(metadata: pq.FileMetaData) -> int:
    stored = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    return int(min(BATCH_ROWS, max(1, BATCH_BYTES * metadata.num_rows // max(1, stored))))


def rows_of(batch: pa.RecordBatch, kind: Kind) -> NDArray[np.void]:
    """Read what a batch of records tells beside its texts; digests not yet filled in."""
    rows = np.zeros(batch.num_rows, ROW)
    ids = parse_ids(batch.column(f"{kind}_id"))
    rows["id_high"], rows["id_low"] = ids[:, 0], ids[:, 1]
    rows["owner"] = parse_ids(batch.column("prompt_id"))[:, 0]
    rows["score"] = -np.inf
    if kind == "conversation":
        rewards = pc.struct_field(batch.column("scores"), "reward")
        rows["score"] = np.asarray(pc.fill_null(rewards, -np.inf))
        rows["gated"] = np.asarray(pc.is_valid(batch.column("gate")))
    return rows
