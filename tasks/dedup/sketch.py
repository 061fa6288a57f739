"""A column of texts to what copies are found by: digests, MinHash signatures and, where asked, shingle sets."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.dedup import kernels
from tasks.dedup.text import Table, normal_table, normalise, raw_table

_FACTOR_SEED = 20240614


@dataclass(frozen=True, slots=True)
class Sketches:
    """What is known of n texts."""

    digests: NDArray[np.uint64]
    """[n, 2]: 128 bits of the normalised text."""
    counts: NDArray[np.int32]
    """Shingles of a text, repeats counted; 0 for a text without a token, which has no near-copies; -1 for a null, which has no copies."""
    signatures: NDArray[np.uint16]
    """[n, permutations]."""

    @staticmethod
    def none(permutations: int) -> "Sketches":
        """Of no texts."""
        return Sketches(np.empty((0, 2), np.uint64), np.empty(0, np.int32), np.empty((0, permutations), np.uint16))

    @staticmethod
    def joined(parts: Sequence["Sketches"]) -> "Sketches":
        """Of all these, in order."""
        return Sketches(*(np.concatenate([getattr(one, name) for one in parts]) for name in ("digests", "counts", "signatures")))


@dataclass(frozen=True, slots=True)
class ShingleSets:
    """Distinct shingles of n texts, by 32 bits of their hashes: set i is `values[starts[i]:starts[i + 1]]`, sorted."""

    starts: NDArray[np.int64]
    values: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts as the kernels take them: buffers, which rows to read and where their results go, and the table that fits."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    table: Table

    def split(self, parts: int) -> list["Texts"]:
        """Cut into parts of about as many rows."""
        cuts = zip(np.array_split(self.source, parts), np.array_split(self.target, parts), strict=True)
        return [Texts(self.data, self.offsets, source, target, self.table) for source, target in cuts]


@cache
def factors(permutations: int) -> NDArray[np.uint32]:
    """The permutations' odd multipliers; a prefix of a longer list is the shorter list."""
    drawn = np.random.Generator(np.random.PCG64(_FACTOR_SEED)).integers(0, 2**32, size=1024, dtype=np.uint32)
    return (drawn | np.uint32(1))[:permutations].copy()


def sketch(column: pa.Array | pa.ChunkedArray, *, shingle: int, permutations: int, threads: int = 1) -> Sketches:
    """Sketch each text of a string column. `permutations` 0 makes digests only."""
    texts = _as_array(column)
    made = Sketches(
        np.zeros((len(texts), 2), np.uint64),
        np.zeros(len(texts), np.int32),
        np.full((len(texts), permutations), kernels.UNSEEN),
    )

    groups = prepare(texts)
    # Four parts a thread: one with the longest texts doesn't keep the others waiting.
    parts = groups if threads == 1 else [part for group in groups for part in group.split(4 * threads)]
    with ThreadPoolExecutor(threads) as pool:
        list((map if threads == 1 else pool.map)(partial(_sign, made, shingle), parts))
    made.counts[np.asarray(pc.is_null(texts))] = -1
    return made


def shingle_sets(column: pa.Array | pa.ChunkedArray, counts: NDArray[np.int32], *, shingle: int) -> ShingleSets:
    """Collect each text's distinct shingles; `counts` are `sketch`'s."""
    texts = _as_array(column)
    room = np.concatenate([[0], np.cumsum(np.maximum(counts, 0), dtype=np.int64)])
    values = np.empty(room[-1], np.uint32)
    sizes = np.zeros(len(texts), np.int64)
    for part in prepare(texts):
        sizes[part.target] = kernels.collect(part.data, part.offsets, part.source, part.target, part.table, shingle, room, values)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    used = np.repeat(room[:-1] - starts[:-1], sizes) + np.arange(starts[-1])
    return ShingleSets(starts, values[used])


def _sign(made: Sketches, shingle: int, part: Texts) -> None:
    permutations = factors(made.signatures.shape[1])
    results = (made.digests, made.counts, made.signatures)
    kernels.sign(part.data, part.offsets, part.source, part.target, part.table, shingle, permutations, *results)


def _as_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole if pa.types.is_string(whole.type) or pa.types.is_large_string(whole.type) else whole.cast(pa.large_string())


def prepare(texts: pa.Array) -> list[Texts]:
    """Read texts in place, but for those that NFKC must see whole: they are normalised into an array of their own."""
    data, offsets = _buffers(texts)
    complex_ = np.zeros(len(texts), np.bool_)
    kernels.find_complex(data, offsets, raw_table(), complex_)
    plain = np.flatnonzero(~complex_)
    groups = [Texts(data, offsets, plain, plain, raw_table())]
    if complex_.any():
        target = np.flatnonzero(complex_)
        data, offsets = _buffers(normalise(texts.take(pa.array(target))))
        groups.append(Texts(data, offsets, np.arange(len(target)), target, normal_table()))
    return groups


def _buffers(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    _, offsets, data = texts.buffers()
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    if offsets is None or data is None:
        return np.zeros(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    bounds = np.frombuffer(offsets, width)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data, np.uint8), bounds.astype(np.int64)
