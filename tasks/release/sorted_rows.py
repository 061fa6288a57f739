"""Rows of many files in the order of their ids, in memory bounded by a bucket of ids and not by the corpus.

Small inputs are sorted in memory. Larger ones are first spilled into buckets by the leading digits of their ids, which are hashes and so
fill the buckets evenly; the buckets, each sorted, follow one another. The order of rows is the same either way, however the input was cut.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.storage import storage_error
from schemas.contract import arrow_schema
from schemas.errors import ContractError
from tasks.validation.partitions import read_contracted

BUCKET_BYTES = 64 << 20
"""Uncompressed bytes of one bucket, as the Parquet footers count them."""
MOST_BUCKETS = 512
"""Each is an open file while spilling."""


def sorted_rows(paths: Sequence[Path], record: type, *, spill: Path, bucket_bytes: int = BUCKET_BYTES) -> Iterator[pa.Table]:
    """Yield all rows ordered by the record's id, its first column. Raises ContractError for an id that two rows share."""
    id_column = arrow_schema(record).names[0]
    buckets = _count_buckets(paths, bucket_bytes)
    last = ""
    for table in _in_memory(paths, record) if buckets == 1 else _spilled(paths, record, spill, buckets):
        ordered = table.sort_by(id_column).combine_chunks()
        _refuse_repeats(ordered.column(0), last, record)
        if ordered.num_rows:
            last = ordered.column(0)[-1].as_py()
        yield ordered


def _count_buckets(paths: Sequence[Path], bucket_bytes: int) -> int:
    footers = (pq.read_metadata(path) for path in paths)
    size: int = sum(footer.row_group(number).total_byte_size for footer in footers for number in range(footer.num_row_groups))
    return min(MOST_BUCKETS, max(1, math.ceil(size / bucket_bytes)))


def _in_memory(paths: Sequence[Path], record: type) -> Iterator[pa.Table]:
    yield pa.concat_tables([arrow_schema(record).empty_table(), *(read_contracted(path, record) for path in paths)])


def _spilled(paths: Sequence[Path], record: type, spill: Path, buckets: int) -> Iterator[pa.Table]:
    try:
        spill.mkdir(parents=True, exist_ok=True)
        files = [spill / f"bucket-{number:03d}.arrow" for number in range(buckets)]
        _spill(paths, record, files)
        for file in files:
            with pa.memory_map(str(file)) as source:
                yield pa.ipc.open_stream(source).read_all()
            file.unlink()
    except OSError as error:
        raise storage_error(spill, error) from error


def _spill(paths: Sequence[Path], record: type, files: Sequence[Path]) -> None:
    schema = arrow_schema(record)
    with ExitStack() as stack:
        writers = [stack.enter_context(pa.ipc.new_stream(str(file), schema)) for file in files]
        for path in paths:
            table = read_contracted(path, record)
            bucket = _buckets(table.column(0), len(files))
            for number in np.unique(bucket):
                writers[number].write_table(table.filter(pa.array(bucket == number)))


def _buckets(ids: pa.ChunkedArray, buckets: int) -> npt.NDArray[np.int64]:
    digits = np.frombuffer("".join(pc.utf8_slice_codeunits(ids, start=0, stop=6).to_pylist()).encode(), np.uint8).astype(np.int64).reshape(-1, 6)
    values = np.where(digits >= ord("a"), digits - ord("a") + 10, digits - ord("0"))
    numbers: npt.NDArray[np.int64] = values @ (16 ** np.arange(5, -1, -1))
    return numbers * buckets >> 24


def _refuse_repeats(ids: pa.ChunkedArray, last: str, record: type) -> None:
    shifted = pa.array([last, *ids.to_pylist()[:-1]], pa.string()) if len(ids) else ids
    repeated = ids.filter(pc.equal(ids, shifted)).to_pylist()
    if repeated:
        raise ContractError(f"{record.__name__} {repeated[0]} occurs twice ({len(repeated)} repeated ids in all); nothing was published")
