"""Compiled loops over texts in Arrow's buffers: no Python object a document, no copy of the text, the GIL let go.

A word is hashed by FNV-1a over its code points; a shingle by the polynomial over its tokens' hashes, finished by MurmurHash3's 64-bit
mixer. The shingle's halves (low, high) feed the permutation family h_p = (a_p * low mod 2^32) xor high, with a_p odd: one 32-bit
multiplication, one exclusive or, one minimum, of which a vector unit does eight or sixteen at once. A digest is two 64-bit hashes of
unlike construction over the normalised code points.

Compiled at first use (some seconds) and cached on disk beside this file, or in the user's cache where that is read-only.
"""

import numpy as np
from numba import njit

from tasks.dedup.text import CHARACTER, COMPLEX, IGNORED, KIND_SHIFT, SPACE, WORD

BLOCK = 2048
"""Shingles whose minima are taken in one go: 16 KB, so that they stay in the first-level cache for all permutations."""
LANES = 64
"""Shingles are padded to a multiple of this by repeating the last, which no minimum minds, so that vector loops leave no rest."""
UNSEEN = np.uint32(0xFFFFFFFF)
"""A signature's value before any shingle."""

_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_FACTOR = np.uint64(0xD6E8FEB86659FD93)
_RADIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_HALF = np.uint64(32)
_33 = np.uint64(33)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_LOW = np.uint64(0xFFFFFFFF)
_BLANK = np.uint64(0x20)
_POINT = np.uint32((1 << KIND_SHIFT) - 1)
_SHIFT = np.uint32(KIND_SHIFT)
_BEYOND = np.uint32(WORD << KIND_SHIFT)


@njit(cache=True, nogil=True)
def mix(value):  # type: ignore[no-untyped-def]
    """Spread 64 bits."""
    value = (value ^ (value >> _33)) * _MIX_1
    value = (value ^ (value >> _33)) * _MIX_2
    return value ^ (value >> _33)


@njit(cache=True, nogil=True)
def look_up(data, at, stop, table):  # type: ignore[no-untyped-def]
    """Read the UTF-8 sequence at `at`: its table entry and its length. A broken one reads as its first byte."""
    lead = np.int64(data[at])
    if lead < 0x80:
        return table[lead], 1
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if lead < 0xC0 or at + length > stop:
        return table[lead], 1
    point = lead & (0xFF >> (length + 1))
    for follow in range(1, length):
        point = (point << 6) | (np.int64(data[at + follow]) & 0x3F)
    if point < len(table):
        return table[point], length
    return _BEYOND | np.uint32(point), length


@njit(cache=True, nogil=True)
def find_complex(data, offsets, rows, table, found):  # type: ignore[no-untyped-def]
    """Mark those of the rows that hold a code point which NFKC can't take by itself."""
    for row in rows:
        at, stop = offsets[row], offsets[row + 1]
        while at < stop:
            entry, length = look_up(data, at, stop, table)
            if entry >> _SHIFT == COMPLEX:
                found[row] = True
                break
            at += length


@njit(cache=True, nogil=True)
def tokenise(data, at, stop, table, tokens, digest):  # type: ignore[no-untyped-def]
    """Hash a text's tokens into `tokens` and its normalised whole into `digest`; return how many tokens."""
    count = 0
    word, first, second = _BASIS, _BASIS, _FACTOR
    started = blank_due = False
    while at < stop:
        entry, length = look_up(data, at, stop, table)
        at += length
        kind, point = entry >> _SHIFT, np.uint64(entry & _POINT)
        if kind == IGNORED:
            continue
        if kind == WORD:
            word = (word ^ point) * _PRIME
        else:
            if word != _BASIS:
                tokens[count] = word
                word = _BASIS
                count += 1
            if kind >= CHARACTER:
                tokens[count] = mix(point)
                count += 1
            elif kind == SPACE:
                blank_due = started
                continue
        if blank_due:
            first, second = (first ^ _BLANK) * _PRIME, second * _FACTOR + _BLANK
            blank_due = False
        first, second = (first ^ point) * _PRIME, second * _FACTOR + point
        started = True
    if word != _BASIS:
        tokens[count] = word
        count += 1
    digest[0], digest[1] = mix(first), mix(second)
    return count


@njit(cache=True, nogil=True)
def shingle(tokens, count, width, low, high):  # type: ignore[no-untyped-def]
    """Hash each run of `width` tokens; fewer tokens than that are one shingle, none are none. Return how many shingles."""
    leaving = _ONE
    for _ in range(width):
        leaving *= _RADIX
    rolled = _ZERO
    shingles = 0
    for place in range(count):
        rolled = rolled * _RADIX + tokens[place]
        if place >= width:
            rolled -= leaving * tokens[place - width]
        if place >= width - 1 or place == count - 1:
            mixed = mix(rolled)
            low[shingles] = mixed & _LOW
            high[shingles] = mixed >> _HALF
            shingles += 1
    return shingles


@njit(cache=True, nogil=True)
def take_minima(low, high, shingles, factors, signature):  # type: ignore[no-untyped-def]
    """Take each permutation's least value over the shingles."""
    padded = (shingles + LANES - 1) // LANES * LANES
    for place in range(shingles, padded):
        low[place], high[place] = low[shingles - 1], high[shingles - 1]
    for start in range(0, padded, BLOCK):
        block_low, block_high = low[start : min(start + BLOCK, padded)], high[start : min(start + BLOCK, padded)]
        for lane in range(len(factors)):
            factor, least = factors[lane], signature[lane]
            for place in range(len(block_low)):
                # Numba widens each operation to 64 bits unless told otherwise; held at 32, a vector takes eight.
                least = min(least, np.uint32(np.uint32(factor * block_low[place]) ^ block_high[place]))
            signature[lane] = least


@njit(cache=True, nogil=True)
def sign(data, offsets, source, target, table, width, factors, digests, counts, signatures):  # type: ignore[no-untyped-def]
    """Fill in digest, shingle count and signature (row `target[i]`) of each text (`source[i]`)."""
    longest = 0
    for row in source:
        longest = max(longest, offsets[row + 1] - offsets[row])
    tokens = np.empty(longest + 1, np.uint64)
    low = np.empty(longest + LANES, np.uint32)
    high = np.empty(longest + LANES, np.uint32)
    for place in range(len(source)):
        row, into = source[place], target[place]
        count = tokenise(data, offsets[row], offsets[row + 1], table, tokens, digests[into])
        counts[into] = shingle(tokens, count, width, low, high)
        if len(factors) and counts[into]:
            take_minima(low, high, counts[into], factors, signatures[into])


@njit(cache=True, nogil=True)
def collect(data, offsets, source, target, table, width, starts, shingles):  # type: ignore[no-untyped-def]
    """Write each text's shingles, sorted and without repeats, from `starts[target[i]]` on; return nothing but the sets' sizes."""
    longest = 0
    for row in source:
        longest = max(longest, offsets[row + 1] - offsets[row])
    tokens = np.empty(longest + 1, np.uint64)
    low = np.empty(longest + LANES, np.uint32)
    high = np.empty(longest + LANES, np.uint32)
    digest = np.empty(2, np.uint64)
    sizes = np.zeros(len(source), np.int64)
    for place in range(len(source)):
        row = source[place]
        count = tokenise(data, offsets[row], offsets[row + 1], table, tokens, digest)
        found = np.sort(low[: shingle(tokens, count, width, low, high)])
        at = starts[target[place]]
        for one in range(len(found)):
            if one == 0 or found[one] != found[one - 1]:
                shingles[at + sizes[place]] = found[one]
                sizes[place] += 1
    return sizes
