"""Benchmarks as workers hold them, and the question that is put to them: which of these texts did a benchmark have before us?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.storage import read_records
from schemas.recipe import NearOptions
from tasks.decontamination import kernels
from tasks.decontamination.benchmarks import BenchmarkText
from tasks.dedup.sketch import prepare, sketch

NEAR = NearOptions()
_QUOTED = 200
"""Characters of a match that a drop quotes."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a text is a benchmark's."""

    row: str
    """`<benchmark>:<id or number>`."""
    detail: str
    similarity: float | None = None
    """Of a match of whole texts."""
    ngram: str | None = None
    """The words in common, where it is by words in a row that they match."""

    @property
    def benchmark(self) -> str:
        """The benchmark's name."""
        return self.row.partition(":")[0]


@dataclass(frozen=True, slots=True)
class NgramTable:
    """All n-grams of one length, open-addressed and at most half full: 24 bytes or fewer each."""

    width: int
    keys: NDArray[np.uint64]
    owners: NDArray[np.int32]
    """Places in `Index.rows`."""


@dataclass(frozen=True, slots=True)
class Index:
    """What is kept of benchmarks: hashes and signatures, no text."""

    rows: tuple[str, ...]
    tables: tuple[NgramTable, ...]
    near: NDArray[np.int32]
    """Which rows are looked for by likeness too."""
    signatures: NDArray[np.uint16]


@lru_cache(maxsize=2)
def load_index(path: Path) -> Index:
    """Make the index of a run's benchmarks, once a worker."""
    return make_index(read_records(path, BenchmarkText))


def make_index(texts: Sequence[BenchmarkText]) -> Index:
    """Index benchmark texts."""
    column = pa.array([one.text for one in texts], pa.large_string())
    widths = np.array([one.ngram for one in texts], np.int32)
    tables = tuple(_make_table(column, np.flatnonzero(widths == width), int(width)) for width in np.unique(widths))
    near = np.flatnonzero([one.near for one in texts]).astype(np.int32)
    made = sketch(column.take(pa.array(near)), shingle=NEAR.shingle, permutations=NEAR.permutations)
    told = made.counts > 0
    return Index(tuple(one.row for one in texts), tables, near[told], made.signatures[told])


def find_hits(texts: pa.Array, index: Index) -> dict[int, Hit]:
    """Say of which texts a benchmark has n-grams or, where it is asked for, the like; by their places."""
    hits: dict[int, Hit] = {}
    for table in index.tables:
        hits = _find_ngrams(texts, table, index.rows) | hits
    return _find_near(texts, index) | hits


def _make_table(column: pa.Array, owners: NDArray[np.int64], width: int) -> NgramTable:
    texts = column.take(pa.array(owners))
    most = int(np.maximum(sketch(texts, shingle=width, permutations=0).counts, 0).sum(dtype=np.int64))
    slots = 1 << max(4, (2 * most - 1).bit_length())
    table = NgramTable(width, np.zeros(slots, np.uint64), np.zeros(slots, np.int32))
    for part in prepare(texts):
        kernels.put_ngrams(part.data, part.offsets, part.source, part.target, part.table, width, owners, table.keys, table.owners)
    return table


def _find_ngrams(texts: pa.Array, table: NgramTable, rows: Sequence[str]) -> dict[int, Hit]:
    hits: dict[int, Hit] = {}
    for part in prepare(texts):
        found = np.full((len(texts), 4), -1, np.int64)
        kernels.find_ngrams(part.data, part.offsets, part.source, part.target, part.table, table.width, table.keys, table.owners, found)
        for place in np.flatnonzero(found[:, 0] >= 0).tolist():
            owner, begin, end, whole = found[place].tolist()
            quoted = part.data[begin:end].tobytes().decode()
            hits[place] = _describe(rows[owner], quoted, table.width, whole=bool(whole))
    return hits


def _describe(row: str, quoted: str, width: int, *, whole: bool) -> Hit:
    short = quoted if len(quoted) <= _QUOTED else f"{quoted[:_QUOTED]} …"
    if whole:
        return Hit(row, f'the whole text "{short}" is in {row}', 1.0, quoted)
    return Hit(row, f'the {width}-gram "{short}" is in {row}', None, quoted)


def _find_near(texts: pa.Array, index: Index) -> dict[int, Hit]:
    if not len(index.near):
        return {}
    made = sketch(texts, shingle=NEAR.shingle, permutations=NEAR.permutations)
    asked = np.flatnonzero(made.counts > 0)
    nearest, agreement = np.zeros(len(asked), np.int64), np.zeros(len(asked), np.int64)
    kernels.find_nearest(made.signatures[asked], index.signatures, nearest, agreement)
    hits = {}
    for place in np.flatnonzero(agreement >= NEAR.threshold * NEAR.permutations).tolist():
        row, similarity = index.rows[index.near[nearest[place]]], float(agreement[place]) / NEAR.permutations
        hits[int(asked[place])] = Hit(row, f"a similarity of {similarity:.3f} to a text of {row}", similarity)
    return hits
