"""Compiled loops over bands and edges: keys of bands, pairs that share one, union-find, and the overlap of sets."""

import numpy as np
from numba import njit

from tasks.dedup.kernels import mix

WINDOW = 32
"""Neighbours that a row is paired with in a group of equal keys. Of a group up to this size every pair is a candidate; in a larger one, whose
order is a hash's, each row meets 64 chance others a band, which joins all but slivers, and work stays linear."""

_ONE = np.uint64(1)


@njit(cache=True, nogil=True)
def band_keys(signatures, bands, rows):  # type: ignore[no-untyped-def]
    """Hash each band of `rows` values, its number among them."""
    keys = np.empty((len(signatures), bands), np.uint64)
    for document in range(len(signatures)):
        for band in range(bands):
            key = np.uint64(band) + _ONE
            for place in range(band * rows, (band + 1) * rows):
                key = mix(key ^ np.uint64(signatures[document, place])) + _ONE
            keys[document, band] = key
    return keys


@njit(cache=True, nogil=True)
def mix_all(values):  # type: ignore[no-untyped-def]
    """Spread 64 bits of each."""
    mixed = np.empty(len(values), np.uint64)
    for place in range(len(values)):
        mixed[place] = mix(values[place])
    return mixed


@njit(cache=True, nogil=True)
def pair_up(keys, owners, rows):  # type: ignore[no-untyped-def]
    """Pair each row with the next ones of equal key, at most `WINDOW`, but not with one of equal owner. `keys` are in order."""
    room = _list_pairs(keys, owners, rows, rows[:0], rows[:0])
    first, second = np.empty(room, np.int64), np.empty(room, np.int64)
    _list_pairs(keys, owners, rows, first, second)
    return first, second


@njit(cache=True, nogil=True)
def _list_pairs(keys, owners, rows, first, second):  # type: ignore[no-untyped-def]
    made = 0
    for one in range(len(keys)):
        for other in range(one + 1, min(one + 1 + WINDOW, len(keys))):
            if keys[other] != keys[one]:
                break
            if owners[other] == owners[one]:
                continue
            if made < len(first):
                first[made], second[made] = rows[one], rows[other]
            made += 1
    return made


@njit(cache=True, nogil=True)
def _find_root(parents, row):  # type: ignore[no-untyped-def]
    """Follow a row to its cluster's root, halving the path."""
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row


@njit(cache=True, nogil=True)
def unite(parents, first, second):  # type: ignore[no-untyped-def]
    """Join the clusters of each pair. The root is the least row, so that no order of edges matters."""
    for edge in range(len(first)):
        one, other = _find_root(parents, first[edge]), _find_root(parents, second[edge])
        parents[max(one, other)] = min(one, other)


@njit(cache=True, nogil=True)
def flatten(parents, rows):  # type: ignore[no-untyped-def]
    """Point rows straight at their roots."""
    for row in rows:
        parents[row] = _find_root(parents, row)


@njit(cache=True, nogil=True)
def jaccard(starts, stops, values, other_starts, other_stops, other_values):  # type: ignore[no-untyped-def]
    """Compare sets pair by pair: set i is the sorted run of `values` from its start to its stop."""
    result = np.zeros(len(starts), np.float32)
    for pair in range(len(starts)):
        one, other, shared = starts[pair], other_starts[pair], 0
        while one < stops[pair] and other < other_stops[pair]:
            left, right = values[one], other_values[other]
            shared += left == right
            one += left <= right
            other += right <= left
        union = stops[pair] - starts[pair] + other_stops[pair] - other_starts[pair] - shared
        if union:
            result[pair] = shared / union
    return result
