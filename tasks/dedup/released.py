"""The signature index that a release carries: what copies of its rows are found by, without their text.

A file for each of the release's files of prompts and of instruction data, rows in the same order: id, owner, digest, signature; the parameters stand in
the file's metadata. Some 270 bytes a row at 112 permutations.
"""

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.storage import PUBLISHED, damaged, replacing, storage_error
from schemas.errors import RecipeError
from schemas.recipe import DedupOptions, NearOptions
from tasks.dedup.arrays import ROW, Records
from tasks.dedup.plan import Earlier, Kind
from tasks.dedup.shards import read_batches
from tasks.dedup.text import NORMALISATION

FOLDER = "index"
DATA_SETS: Mapping[Kind, str] = {"prompt": "prompts", "conversation": "sft"}
"""Whose texts are indexed."""

_METADATA = b"gristmill.minhash"
_LAYOUT = 1
_ID = pa.binary(16)


def write_indexes(release: Path, options: Mapping[Kind, DedupOptions]) -> None:
    """Index a release's prompts and instruction data by the parameters with which its run looked for copies; the default ones where it didn't."""
    for kind, data_set in DATA_SETS.items():
        near = options[kind].near or NearOptions()
        for number, file in enumerate(sorted((release / data_set).rglob("part-*.parquet"))):
            write_index(file, release / FOLDER / f"minhash-{data_set}-{number:05}.parquet", kind, near)


def write_index(file: Path, index: Path, kind: Kind, near: NearOptions) -> None:
    """Index one file, a batch of texts at a time."""
    from tasks.dedup.sketch import sketch  # imports numba

    schema = pa.schema(
        [
            pa.field("id", _ID, nullable=False),
            pa.field("owner", pa.uint64(), nullable=False),
            pa.field("digest", _ID, nullable=False),
            pa.field("shingles", pa.int32(), nullable=False),
            pa.field("signature", pa.binary(2 * near.permutations), nullable=False),
        ],
        metadata={_METADATA: json.dumps(describe(kind, near), sort_keys=True).encode()},
    )
    with replacing(index) as out, pq.ParquetWriter(out, schema, use_dictionary=False, **PUBLISHED) as writer:
        for batch in read_batches(file, kind):
            made = sketch(batch.texts, shingle=near.shingle, permutations=near.permutations)
            ids = _fixed(np.stack([batch.rows["id_high"], batch.rows["id_low"]], axis=1), 16)
            columns = [ids, pa.array(batch.rows["owner"]), _fixed(made.digests, 16), pa.array(made.counts), _fixed(made.signatures, 2 * near.permutations)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def describe(kind: Kind, near: NearOptions) -> dict[str, Any]:
    """State what makes two indexes comparable, and by which Unicode they were made."""
    return {
        "layout": _LAYOUT,
        "kind": kind,
        "normalisation": NORMALISATION,
        "shingle": near.shingle,
        "permutations": near.permutations,
        "unicode": unicodedata.unidata_version,
    }


def find_indexes(release: Path, name: str, kind: Kind, options: DedupOptions) -> list[Earlier]:
    """Find a release's index files of one kind. Raises RecipeError where they were made with other parameters, or there are none."""
    if not (release / FOLDER).is_dir():
        raise RecipeError(f"against: {name} carries no signature index: it was published by an earlier version; publish it anew, or leave it out")
    return [_check(path, name, kind, options) for path in sorted((release / FOLDER).glob(f"minhash-{DATA_SETS[kind]}-*.parquet"))]


def _check(path: Path, name: str, kind: Kind, options: DedupOptions) -> Earlier:
    metadata = _open(path).metadata
    told = json.loads((metadata.metadata or {}).get(_METADATA, b"{}"))
    asked = describe(kind, options.near or NearOptions())
    compared = ("layout", "normalisation", "shingle", "permutations") if options.near else ("layout", "normalisation")
    unlike = [f"{key} {told.get(key)!r} there, {asked[key]!r} here" for key in compared if told.get(key) != asked[key]]
    if unlike:
        raise RecipeError(f"against: {name} was indexed with other parameters ({'; '.join(unlike)}): give this recipe the same, or leave the release out")
    return Earlier(name, path, metadata.num_rows)


def read_index(earlier: Earlier, permutations: int) -> tuple[Records, NDArray[np.uint64], NDArray[np.int32], NDArray[np.uint16]]:
    """Read an index file: facts of rows, digests, counts of shingles and, where permutations are asked for, signatures."""
    with _open(earlier.path) as file:
        table = file.read(columns=["id", "owner", "digest", "shingles", *(["signature"] if permutations else [])])
    rows = np.zeros(table.num_rows, ROW)
    ids = _numbers(table["id"], np.uint64)
    rows["id_high"], rows["id_low"], rows["owner"] = ids[:, 0], ids[:, 1], np.asarray(table["owner"])
    rows["score"], rows["released"] = -np.inf, True
    signatures = _numbers(table["signature"], np.uint16) if permutations else np.empty((table.num_rows, 0), np.uint16)
    return rows, _numbers(table["digest"], np.uint64), np.asarray(table["shingles"]), signatures


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except OSError as error:
        raise storage_error(path, error, "read") from error
    except pa.ArrowException as error:
        raise damaged(path, error) from error


def _fixed(values: NDArray[Any], width: int) -> pa.Array:
    """Lay rows of numbers out as fixed-size binary, little-endian."""
    data = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return pa.Array.from_buffers(pa.binary(width), len(values), [None, pa.py_buffer(data)])


def _numbers(column: pa.ChunkedArray, kind: type) -> NDArray[Any]:
    """Read fixed-size binary back as rows of numbers."""
    width = column.type.byte_width
    parts: Iterator[NDArray[Any]] = (np.frombuffer(one.buffers()[1], np.uint8)[one.offset * width :][: len(one) * width] for one in column.chunks)
    flat: Sequence[NDArray[Any]] = [np.empty(0, np.uint8), *parts]
    return np.concatenate(flat).view(np.dtype(kind).newbyteorder("<")).astype(kind).reshape(len(column), width // np.dtype(kind).itemsize)
