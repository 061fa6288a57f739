"""An embedding as whole numbers, and a shard's vectors on disk.

A vector is scaled to a length of just under 4,096 and rounded: 16 bits a number on disk, cosines true to about 1e-4 (a rounding error has a spread of
0.29/4096 along either vector). By the inequality of Cauchy and Schwarz no sum of products on the way to a scalar product then exceeds 2^24, up to where
float32 holds every whole number. So a BLAS adds them up exactly, in whatever order and blocks: what is alike does not depend on partitions, on threads or on
a processor's vector units, in the last bit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.storage import read_table, write_table
from schemas.errors import EngineError, EngineFault
from tasks.dedup.arrays import Records

_LONGEST = 4096.0
"""Its square is 2^24."""

FACTS = np.dtype(
    [
        ("id_high", "u8"),
        ("id_low", "u8"),
        ("owner", "u8"),  # see tasks/dedup/arrays.py
        ("score", "f4"),
        ("gated", "?"),
        ("row", "i8"),  # its place in the shard; in a search, in all shards
    ]
)

Vectors = NDArray[np.int16]
Whole = NDArray[np.float32]
"""Whole numbers in 32-bit floats."""


@dataclass(frozen=True, slots=True)
class Points:
    """Some records that have a vector."""

    facts: Records
    """Of dtype FACTS."""
    vectors: Vectors


def quantise(vectors: NDArray[np.floating[Any]]) -> Vectors:
    """Scale rows to one length and round them; a row of zeros stays."""
    rows = np.ascontiguousarray(vectors, np.float64)
    lengths = np.sqrt(np.sum(rows * rows, axis=1, keepdims=True))
    scale = _LONGEST - math.sqrt(rows.shape[1]) / 2
    return np.rint(rows * (scale / np.where(lengths > 0, lengths, np.inf))).astype(np.int16)


def lengths_of(vectors: Vectors) -> NDArray[np.float64]:
    """Measure rounded vectors: a cosine is their product over both lengths."""
    whole = vectors.astype(np.int64)
    lengths: NDArray[np.float64] = np.sqrt(np.sum(whole * whole, axis=1).astype(np.float64))
    return lengths


def stack(vectors: Sequence[Sequence[float]], model: str) -> NDArray[np.float32]:
    """Lay vectors out as rows. Raises EngineError where the model gave vectors of several lengths."""
    sizes = sorted({len(one) for one in vectors})
    if len(sizes) > 1:
        message = f"{model} gave vectors of {sizes[0]} and of {sizes[-1]} numbers: is one model served at all its addresses?"
        raise EngineError(message, fault=EngineFault.GARBLED)
    return np.array(vectors, np.float32).reshape(len(vectors), sizes[0] if sizes else 0)


def write_points(path: Path, points: Points) -> None:
    """Write a shard's points as Parquet, in the order of rows."""
    facts, width = points.facts, 2 * max(1, points.vectors.shape[1])  # Parquet knows no values of no bytes
    columns = {name: pa.array(np.ascontiguousarray(facts[name])) for name in FACTS.names or ()}
    data = np.ascontiguousarray(points.vectors, "<i2")
    columns["vector"] = pa.Array.from_buffers(pa.binary(width), len(facts), [None, pa.py_buffer(data)])
    write_table(path, pa.table(columns), write_statistics=False, use_dictionary=False)


def read_points(path: Path) -> Points:
    """Read what `write_points` wrote."""
    table = read_table(path).combine_chunks()
    facts = np.empty(table.num_rows, FACTS)
    for name in FACTS.names or ():
        facts[name] = np.asarray(table[name])
    width, column = table.schema.field("vector").type.byte_width, table["vector"]
    chunks = [np.frombuffer(one.buffers()[1], "<i2", len(one) * width // 2, one.offset * width) for one in column.chunks if len(one)]
    vectors = np.concatenate([np.empty(0, np.int16), *chunks]).astype(np.int16)
    return Points(facts, vectors.reshape(table.num_rows, width // 2))


def shape_of(path: Path) -> tuple[int, int]:
    """Read from a file's footer how many vectors of how many numbers it holds."""
    with pq.ParquetFile(path) as file:
        return int(file.metadata.num_rows), int(file.schema_arrow.field("vector").type.byte_width) // 2
