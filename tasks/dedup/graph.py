"""Compiled loops over bands and edges: keys of bands, pairs that share one, how alike they are, and union-find."""

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
def deal_groups(keys, ids, order):  # type: ignore[no-untyped-def]
    """Order each group of equal keys that is larger than the window by a hash of id and key, so that each band deals it anew.

    `keys` are sorted; `order` holds places, in that order at first. A smaller group's order bears on nothing.
    """
    start = 0
    while start < len(keys):
        stop = start + 1
        while stop < len(keys) and keys[stop] == keys[start]:
            stop += 1
        if stop - start > WINDOW + 1:
            hashes = np.empty(stop - start, np.uint64)
            for place in range(start, stop):
                hashes[place - start] = mix(ids[place] ^ keys[place])
            order[start:stop] = start + np.argsort(hashes)
        start = stop


@njit(cache=True, nogil=True)
def pair_up(keys, facts, rows, order, skip_equal):  # type: ignore[no-untyped-def]
    """Pair each row with the next ones of equal key, at most `WINDOW`.

    Not paired are two of equal owner, two of earlier releases and, with `skip_equal`, two equal texts, which are joined otherwise.
    """
    room = _list_pairs(keys, facts, rows, order, skip_equal, rows[:0], rows[:0])
    first, second = np.empty(room, np.int64), np.empty(room, np.int64)
    _list_pairs(keys, facts, rows, order, skip_equal, first, second)
    return first, second


@njit(cache=True, nogil=True)
def _list_pairs(keys, facts, rows, order, skip_equal, first, second):  # type: ignore[no-untyped-def]
    made = 0
    for place in range(len(keys)):
        one = facts[order[place]]
        for follower in range(place + 1, min(place + 1 + WINDOW, len(keys))):
            if keys[follower] != keys[place]:
                break
            other = facts[order[follower]]
            if one.owner == other.owner or (one.released and other.released):
                continue
            if skip_equal and one.digest_high == other.digest_high and one.digest_low == other.digest_low:
                continue
            if made < len(first):
                left, right = rows[order[place]], rows[order[follower]]
                first[made], second[made] = min(left, right), max(left, right)
            made += 1
    return made


@njit(cache=True, nogil=True)
def agreement(signatures, others, left, right):  # type: ignore[no-untyped-def]
    """Compare signatures pair by pair: the share of places at which two have the same value."""
    result = np.empty(len(left), np.float32)
    lanes = signatures.shape[1]
    for pair in range(len(left)):
        one, other = signatures[left[pair]], others[right[pair]]
        equal = 0
        for lane in range(lanes):
            equal += one[lane] == other[lane]
        result[pair] = equal / lanes
    return result


@njit(cache=True, nogil=True)
def _find_root(parents, node):  # type: ignore[no-untyped-def]
    """Follow a node to its cluster's root, halving the path."""
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


@njit(cache=True, nogil=True)
def unite(parents, first, second):  # type: ignore[no-untyped-def]
    """Join the clusters of each pair and say which pairs joined two. A root is its cluster's least node, so that no order of edges matters to it."""
    joined = np.zeros(len(first), np.bool_)
    for edge in range(len(first)):
        one, other = _find_root(parents, first[edge]), _find_root(parents, second[edge])
        parents[max(one, other)] = min(one, other)
        joined[edge] = one != other
    return joined


@njit(cache=True, nogil=True)
def flatten(parents):  # type: ignore[no-untyped-def]
    """Point nodes straight at their roots."""
    for node in range(len(parents)):
        parents[node] = _find_root(parents, node)


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
