"""Compiled loops over texts in Arrow's buffers: no Python object a document, no copy of the text, the GIL let go.

A word is hashed letter by letter, as FNV does, over entries of the code point table; a shingle by the polynomial over its tokens' hashes, finished by
MurmurHash3's 64-bit mixer. The shingle's halves (low, high) feed the permutation family h_p = (a_p * low mod 2^32) xor high, with a_p odd: one
32-bit multiplication, one exclusive or, one minimum, of which a vector unit does eight or sixteen at once. Of each minimum the lower 16 bits are
kept (Li and König, b-bit minwise hashing, 2010): unlike texts agree in one value of 65,536 by chance. A digest is two 64-bit hashes of unlike
construction over the normalised text.

`tokenise` takes no branch by kinds of letters: it writes a token or a letter always, and moves on past it only where it counts. With branches, each end of
a word is guessed wrongly by the processor, at some 20 cycles, and reading took 2.2 times as long.

Compiled at first use (some seconds) and cached on disk beside this file, or in the user's cache where that is read-only.
"""

import numpy as np
from numba import njit

from tasks.dedup.text import COMPLEX, HASH_SHIFT, IGNORED, IN_WORD, IS_BLANK, IS_TOKEN, KIND_SHIFT, POINT_BITS, WORD

BLOCK = 2048
"""Shingles whose minima are taken in one go: 16 KB, so that they stay in the first-level cache for all permutations."""
LANES = 64
"""Shingles are padded to a multiple of this by repeating the last, which no minimum minds, so that vector loops leave no rest."""
UNSEEN = np.uint16(0xFFFF)
"""A signature's values where there is no shingle."""

_PRIME = np.uint64(0x9E6C63D0676A9A99)
_FACTOR = np.uint64(0xD6E8FEB86659FD93)
_RADIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_HALF = np.uint64(32)
_33 = np.uint64(33)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TWO = np.uint64(2)
_BYTE = np.uint64(8)
_LOW = np.uint64(0xFFFFFFFF)
_NOT_ASCII = np.uint64(0x8080808080808080)
_BLANK = np.uint8(0x20)
_POINT = np.uint64((1 << POINT_BITS) - 1)
_IN_WORD, _IS_TOKEN, _IS_BLANK = np.uint64(IN_WORD), np.uint64(IS_TOKEN), np.uint64(IS_BLANK)
_SHIFT = np.uint64(KIND_SHIFT)
_HASH = np.uint64(HASH_SHIFT)
_KINDS = np.uint64(7)
_BEYOND = np.uint64(WORD << KIND_SHIFT | 1 << IN_WORD)
_LARGEST = np.uint32(0xFFFFFFFF)


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
    return mix(np.uint64(point)) << _HASH | _BEYOND | np.uint64(point), length


@njit(cache=True, nogil=True)
def kind_of(entry):  # type: ignore[no-untyped-def]
    """Read the kind of code point from a table's entry."""
    return (entry >> _SHIFT) & _KINDS


@njit(cache=True, nogil=True)
def find_complex(data, offsets, table, found):  # type: ignore[no-untyped-def]
    """Mark the texts that hold a code point which NFKC can't take by itself."""
    words = data[: len(data) // 8 * 8].view(np.uint64)
    for row in range(len(found)):
        at, stop = offsets[row], offsets[row + 1]
        while at < stop:
            # Eight bytes of ASCII at once, none of which is complex.
            word = at >> 3
            while word < len(words) and words[word] & _NOT_ASCII == _ZERO:
                word += 1
            at = max(at, word << 3)
            if at >= stop:
                break
            entry, length = look_up(data, at, stop, table)
            if kind_of(entry) == COMPLEX:
                found[row] = True
                break
            at += length


@njit(cache=True, nogil=True)
def tokenise(data, at, stop, table, tokens, normal, digest):  # type: ignore[no-untyped-def]
    """Hash a text's tokens into `tokens` and its normalised whole, for which `normal` is room, into `digest`; return how many tokens.

    `tokens` needs room for one more than the text has bytes, `normal` for twice as many and 16. Places are unsigned, so that Numba doesn't
    look for negative ones.
    """
    at, stop = np.uint64(at), np.uint64(stop)
    count = size = word = inside = _ZERO
    blank = _ONE
    while at < stop:
        lead = data[at]
        if lead < 0x80:
            entry = table[lead]
            at += _ONE
        else:
            entry, length = look_up(data, np.int64(at), np.int64(stop), table)
            at += np.uint64(length)
            if kind_of(entry) == IGNORED:
                continue
            point = entry & _POINT
            if point >= 0x80:
                normal[size], normal[size + _ONE] = np.uint8(0x80 | point >> (_TWO * _BYTE)), np.uint8(point >> _BYTE)
                size += _TWO
        lettered, spaced = (entry >> _IN_WORD) & _ONE, (entry >> _IS_BLANK) & _ONE
        tokens[count] = word
        count += inside & ~lettered
        tokens[count] = entry
        count += (entry >> _IS_TOKEN) & _ONE
        word = ((word ^ entry) * _PRIME) & (_ZERO - lettered)
        inside = lettered
        normal[size] = np.uint8(entry)
        size += _ONE - (spaced & blank)
        blank = spaced
    tokens[count] = word
    count += inside
    # A blank at the end, always: a text that has one is the same as a text that has none.
    normal[size] = _BLANK
    hash_bytes(normal, size + _ONE - blank, digest)
    return np.int64(count)


@njit(cache=True, nogil=True)
def hash_bytes(normal, size, digest):  # type: ignore[no-untyped-def]
    """Hash the first bytes of a buffer, eight at a time; those that follow are overwritten."""
    words = normal.view(np.uint64)
    for place in range(size, (size + _BYTE - _ONE) // _BYTE * _BYTE):
        normal[place] = 0
    first, second = size, _FACTOR
    for place in range((size + _BYTE - _ONE) // _BYTE):
        first, second = mix_in(first, words[place]), second * _FACTOR + mix(words[place])
    digest[0], digest[1] = mix(first), mix(second)


@njit(cache=True, nogil=True)
def mix_in(state, value):  # type: ignore[no-untyped-def]
    """Take eight bytes into a hash."""
    state = (state ^ value) * _PRIME
    return state ^ (state >> _33)


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
def take_minima(low, high, shingles, factors, minima, signature):  # type: ignore[no-untyped-def]
    """Take the lower bits of each permutation's least value over the shingles; `minima` is room for the whole values."""
    minima[:] = _LARGEST
    padded = (shingles + LANES - 1) // LANES * LANES
    for place in range(shingles, padded):
        low[place], high[place] = low[shingles - 1], high[shingles - 1]
    for start in range(0, padded, BLOCK):
        block_low, block_high = low[start : min(start + BLOCK, padded)], high[start : min(start + BLOCK, padded)]
        for lane in range(len(factors)):
            factor, least = factors[lane], minima[lane]
            for place in range(len(block_low)):
                # Numba widens each operation to 64 bits unless told otherwise; held at 32, a vector takes eight.
                least = min(least, np.uint32(np.uint32(factor * block_low[place]) ^ block_high[place]))
            minima[lane] = least
    for lane in range(len(factors)):
        signature[lane] = np.uint16(minima[lane])


@njit(cache=True, nogil=True)
def sign(data, offsets, source, target, table, width, factors, digests, counts, signatures):  # type: ignore[no-untyped-def]
    """Fill in digest, shingle count and signature (row `target[i]`) of each text (`source[i]`)."""
    longest = 0
    for row in source:
        longest = max(longest, offsets[row + 1] - offsets[row])
    tokens, normal = np.empty(longest + 1, np.uint64), np.empty((longest + 8) // 4 * 8, np.uint8)
    low = np.empty(longest + LANES, np.uint32)
    high = np.empty(longest + LANES, np.uint32)
    minima = np.empty(len(factors), np.uint32)
    for place in range(len(source)):
        row, into = source[place], target[place]
        count = tokenise(data, offsets[row], offsets[row + 1], table, tokens, normal, digests[into])
        counts[into] = shingle(tokens, count, width, low, high)
        if len(factors) and counts[into]:
            take_minima(low, high, counts[into], factors, minima, signatures[into])


@njit(cache=True, nogil=True)
def sort_values(values, room, places):  # type: ignore[no-untyped-def]
    """Sort 32-bit values by a byte at a time, the lowest first, with `room` for as many: comparing instead took five times as long."""
    for shift in range(0, 32, 8):
        places[:] = 0
        for one in range(len(values)):
            places[(values[one] >> np.uint32(shift)) & np.uint32(255)] += 1
        before = 0
        for byte in range(256):
            before, places[byte] = before + places[byte], before
        for one in range(len(values)):
            byte = (values[one] >> np.uint32(shift)) & np.uint32(255)
            room[places[byte]] = values[one]
            places[byte] += 1
        # Four times there and back: what began in `values` ends there.
        values, room = room[: len(values)], values


@njit(cache=True, nogil=True)
def collect(data, offsets, source, target, table, width, starts, shingles):  # type: ignore[no-untyped-def]
    """Write each text's shingles, sorted and without repeats, from `starts[target[i]]` on; return nothing but the sets' sizes."""
    longest = 0
    for row in source:
        longest = max(longest, offsets[row + 1] - offsets[row])
    tokens, normal = np.empty(longest + 1, np.uint64), np.empty((longest + 8) // 4 * 8, np.uint8)
    low = np.empty(longest + LANES, np.uint32)
    high = np.empty(longest + LANES, np.uint32)
    room, places = np.empty(longest + LANES, np.uint32), np.empty(256, np.int64)
    digest = np.empty(2, np.uint64)
    sizes = np.zeros(len(source), np.int64)
    for place in range(len(source)):
        row = source[place]
        count = tokenise(data, offsets[row], offsets[row + 1], table, tokens, normal, digest)
        made = shingle(tokens, count, width, low, high)
        sort_values(low[:made], room, places)
        at = starts[target[place]]
        for one in range(made):
            if one == 0 or low[one] != low[one - 1]:
                shingles[at + sizes[place]] = low[one]
                sizes[place] += 1
    return sizes
