"""Who is alike to whom within one cluster: products by BLAS in blocks, read by compiled loops.

Records stand in order of worth, the best first. One goes if it is alike to a better one that stays, and names the one with the greatest cosine: so each
copy is as alike to its keeper as the recipe says, which a chain of likenesses would not see to.
"""

from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from tasks.dedup.arrays import Records
from tasks.semantic.vectors import Vectors, lengths_of

BLOCK = 1024
"""Records compared at once with as many: 4 MB of products, and the vectors of both."""

ALIKE = np.dtype([("first", "i8"), ("second", "i8"), ("cosine", "f4")])
"""A worse point, a better one."""

Read = Callable[[NDArray[np.int64]], Vectors]
"""Reads the vectors of some points."""


class Block(NamedTuple):
    """Some points in the order of worth, ready to be compared."""

    points: NDArray[np.int64]
    owners: NDArray[np.uint64]
    lengths: NDArray[np.float64]
    whole: NDArray[np.float32]

    def cut(self, start: int) -> "Block":
        """Take the points from one place on, as many as are compared at once."""
        some = slice(start, start + BLOCK)
        return Block(self.points[some], self.owners[some], self.lengths[some], self.whole[some])


def by_worth(facts: Records) -> NDArray[np.int64]:
    """Order records: not gated before gated, the best score, the least id."""
    return np.lexsort((facts["id_low"], facts["id_high"], -facts["score"], facts["gated"]))


def read_block(points: NDArray[np.int64], facts: Records, read: Read) -> Block:
    """Read the vectors of some points."""
    vectors = read(points)
    return Block(points, np.ascontiguousarray(facts["owner"]), lengths_of(vectors), vectors.astype(np.float32))


def find_copies_within(points: NDArray[np.int64], facts: Records, threshold: float, read: Read) -> Records:
    """Find a cluster's copies: of dtype ALIKE, a copy and its keeper. Two blocks of vectors are in memory, whatever the cluster's size."""
    order = by_worth(facts)
    points, facts = points[order], facts[order]
    stays = np.ones(len(points), np.bool_)
    found = [np.empty(0, ALIKE)]
    for start in range(0, len(points), BLOCK):
        here = slice(start, start + BLOCK)
        block = read_block(points[here], facts[here], read)
        best, keepers = np.full(len(block.points), -np.inf, np.float32), np.full(len(block.points), -1)
        kept = np.flatnonzero(stays[:start])
        for at in range(0, len(kept), BLOCK):
            better = read_block(points[kept[at : at + BLOCK]], facts[kept[at : at + BLOCK]], read)
            _see_better(block.whole @ better.whole.T, _pair_of(block, better), threshold, best, keepers, better.points)
        _see_each_other(block.whole @ block.whole.T, _pair_of(block, block), threshold, best, keepers, block.points)
        copies = keepers >= 0
        stays[here] = ~copies
        found.append(_alike(block.points[copies], keepers[copies], best[copies]))
    return np.concatenate(found)


def find_pairs_across(home: Block, visitors: Block, threshold: float, better: Callable[[Records], Records]) -> Records:
    """Find pairs of a cluster's own points and of those from just beyond its border; `better` puts each pair's better point second."""
    found = [np.empty(0, ALIKE)]
    for start in range(0, len(visitors.points), BLOCK):
        some = visitors.cut(start)
        for at in range(0, len(home.points), BLOCK):
            others = home.cut(at)
            products = some.whole @ others.whole.T
            rows, columns, cosines = _pairs(products, _pair_of(some, others), threshold)
            found.append(better(_alike(some.points[rows], others.points[columns], cosines)))
    return np.concatenate(found)


def settle(pairs: Records, ranks: NDArray[np.int64], count: int) -> Records:
    """Choose which points of pairs go: by worth, each that is alike to a better one that stays; `ranks` are both points' places in that order."""
    order = np.lexsort((ranks[1], -pairs["cosine"], ranks[0]))
    goes = np.zeros(count, np.bool_)
    chosen: Records = pairs[order[_settle(ranks[0][order], ranks[1][order], goes)]]
    return chosen


def _alike(first: NDArray[np.int64], second: NDArray[np.int64], cosine: NDArray[np.float32]) -> Records:
    found = np.empty(len(first), ALIKE)
    found["first"], found["second"], found["cosine"] = first, second, cosine
    return found


_Reals = NDArray[np.float32]
_Numbers = NDArray[np.int64]
_Pair = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.float64], NDArray[np.float64]]


def _pair_of(one: Block, other: Block) -> _Pair:
    return one.owners, other.owners, one.lengths, other.lengths


@numba.njit(cache=True, nogil=True)
def _see_better(products: _Reals, pair: _Pair, threshold: float, best: _Reals, keepers: _Numbers, names: _Numbers) -> None:
    owners, others, lengths, lengths_there = pair
    for i in range(products.shape[0]):
        for j in range(products.shape[1]):
            both = lengths[i] * lengths_there[j]
            if products[i, j] >= threshold * both and owners[i] != others[j]:
                cosine = np.float32(products[i, j] / both)
                if cosine > best[i]:
                    best[i], keepers[i] = cosine, names[j]


@numba.njit(cache=True, nogil=True)
def _see_each_other(products: _Reals, pair: _Pair, threshold: float, best: _Reals, keepers: _Numbers, names: _Numbers) -> None:
    owners, _, lengths, _ = pair
    for i in range(products.shape[0]):
        for j in range(i):
            both = lengths[i] * lengths[j]
            if products[i, j] >= threshold * both and owners[i] != owners[j] and keepers[j] < 0:
                cosine = np.float32(products[i, j] / both)
                if cosine > best[i]:
                    best[i], keepers[i] = cosine, names[j]


@numba.njit(cache=True, nogil=True)
def _pairs(products: NDArray[np.float32], pair: _Pair, threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    owners, others, lengths, lengths_there = pair
    rows, columns, cosines = [0 for _ in range(0)], [0 for _ in range(0)], [np.float32(0) for _ in range(0)]
    for i in range(products.shape[0]):
        for j in range(products.shape[1]):
            both = lengths[i] * lengths_there[j]
            if products[i, j] >= threshold * both and owners[i] != others[j]:
                rows.append(i)
                columns.append(j)
                cosines.append(np.float32(products[i, j] / both))
    return np.array(rows, np.int64), np.array(columns, np.int64), np.array(cosines, np.float32)


@numba.njit(cache=True, nogil=True)
def _settle(first: NDArray[np.int64], second: NDArray[np.int64], goes: NDArray[np.bool_]) -> NDArray[np.int64]:
    chosen = [0 for _ in range(0)]
    for pair in range(len(first)):
        if not goes[first[pair]] and not goes[second[pair]]:
            goes[first[pair]] = True
            chosen.append(pair)
    return np.array(chosen, np.int64)
