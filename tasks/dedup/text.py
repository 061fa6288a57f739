"""What counts as the same letter, word or symbol: one table over code points, made from Unicode's own properties.

Normalisation, for exact and near copies alike: NFKC, then lower case (one code point to one). White space and control characters
are one space; format characters (soft hyphen, zero-width joiners, byte order mark) are nothing.

Exact copies have the same normalised text, punctuation included. Near copies are compared by tokens:

- a run of letters, digits and marks is one token;
- a character of a script written without spaces (Han, kana, Thai, Lao, Khmer, Burmese …) is one token;
- a symbol is one token (`+ - * / = < > ( ) { } # …` and all of Unicode's S categories), so that `3 + 4` and `3 - 4` differ;
- punctuation of prose (`. , ; : ! ?`, quotes, dashes and the rest of Unicode's P categories) only separates.
"""

import unicodedata
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NORMALISATION = "nfkc-lower-tokens/1"
"""Names these rules and the hashes made by them: signatures of another name can't be compared."""

SPACE, IGNORED, PUNCTUATION, WORD, CHARACTER, SYMBOL, COMPLEX = range(7)
"""Kinds of code points. A COMPLEX one changes its neighbours or its number under NFKC: its whole text goes through Arrow's normaliser first."""

POINT_BITS, IN_WORD, IS_TOKEN, IS_BLANK, KIND_SHIFT, HASH_SHIFT = 21, 21, 22, 23, 24, 32
"""A table entry: the normalised code point in the lower 21 bits, a blank's being 32; a bit each for part of a word, a token by itself, and a blank; the
kind; and in the upper half a hash of the code point."""

LIMIT = 0x33480
"""Code points from here on are unassigned, tags or private, and count as words."""

_ASCII_SYMBOLS = "#%&()*-/@[]\\_{}"
"""ASCII that Unicode calls punctuation and that carries meaning in mathematics and code."""

_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x2E80, 0x2FDF),  # Han radicals
    (0x3005, 0x3007),  # Han marks
    (0x3021, 0x3029),  # Hangzhou numerals
    (0x3031, 0x312F),  # kana, Bopomofo
    (0x31A0, 0x31FF),  # Bopomofo and kana extensions
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0xA4CF),  # Han, Yi
    (0xA9E0, 0xA9FF),  # Burmese extension
    (0xAA60, 0xAA7F),  # Burmese extension
    (0xF900, 0xFAFF),  # Han, compatibility
    (0x1AFF0, 0x1B16F),  # kana extensions
    (0x20000, 0x33479),  # Han extensions
)
_CATEGORIES = (
    "Lu",
    "Ll",
    "Lt",
    "Lm",
    "Lo",
    "Mn",
    "Mc",
    "Me",
    "Nd",
    "Nl",
    "No",
    "Pc",
    "Pd",
    "Ps",
    "Pe",
    "Pi",
    "Pf",
    "Po",
    "Sm",
    "Sc",
    "Sk",
    "So",
    "Zs",
    "Zl",
    "Zp",
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Cn",
)
_KIND_OF = {"Z": SPACE, "Cc": SPACE, "Cf": IGNORED, "P": PUNCTUATION, "L": WORD, "N": WORD, "M": WORD, "S": SYMBOL, "C": SYMBOL}
_HANGUL_JAMO = slice(0x1100, 0x1200)
_SURROGATES = slice(0xD800, 0xE000)

Table = NDArray[np.uint64]


def normalise(texts: pa.Array) -> pa.Array:
    """Put texts into NFKC and lower case."""
    return pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))


@cache
def raw_table() -> Table:
    """Map code points of text as it came."""
    normal = normalise(_letters())
    single = np.asarray(pc.equal(pc.utf8_length(normal), 1))
    target = np.arange(LIMIT, dtype=np.uint32)
    target[single] = _points(normal.filter(pa.array(single)))
    known = np.minimum(target, LIMIT - 1)
    return _entries(np.where(single & ~_joining()[known], _kinds()[known], COMPLEX), target)


@cache
def normal_table() -> Table:
    """Map code points of text that `normalise` has been through: nothing is complex any more."""
    raw = raw_table()
    plain = _entries(_kinds(), np.arange(LIMIT, dtype=np.uint32))
    return np.where((raw >> np.uint64(KIND_SHIFT)) & np.uint64(7) == COMPLEX, plain, raw)


def _entries(kinds: NDArray[np.integer], target: NDArray[np.uint32]) -> Table:
    points = np.where(kinds == SPACE, ord(" "), target).astype(np.uint64)
    hashes = (points + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(HASH_SHIFT)
    alone = np.isin(kinds, (CHARACTER, SYMBOL))
    for bit, held in ((IN_WORD, kinds == WORD), (IS_TOKEN, alone), (IS_BLANK, kinds == SPACE)):
        points |= held.astype(np.uint64) << np.uint64(bit)
    return hashes << np.uint64(HASH_SHIFT) | kinds.astype(np.uint64) << np.uint64(KIND_SHIFT) | points


def _letters() -> pa.Array:
    """Every code point as a string of its own; surrogates, which have no UTF-8, as blanks."""
    points = np.arange(LIMIT, dtype="<u4")
    points[_SURROGATES] = ord(" ")
    ends = np.cumsum(1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000), dtype=np.int32)
    text = points.tobytes().decode("utf-32-le").encode()
    return pa.StringArray.from_buffers(LIMIT, pa.py_buffer(np.insert(ends, 0, 0)), pa.py_buffer(text))


def _points(letters: pa.Array) -> NDArray[np.uint32]:
    text = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(letters)], pa.int32()), letters), "")[0].as_py()
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


@cache
def _categories() -> NDArray[np.uint8]:
    """Each code point's place in _CATEGORIES."""
    numbers = {name: number for number, name in enumerate(_CATEGORIES)}
    return np.fromiter(map(numbers.__getitem__, map(unicodedata.category, map(chr, range(LIMIT)))), np.uint8, LIMIT)


def _joining() -> NDArray[np.bool_]:
    """Which code points may melt into the one before: marks, and the letters that Hangul syllables are made of."""
    joining = np.isin(_categories(), [_CATEGORIES.index(mark) for mark in ("Mn", "Mc", "Me")])
    joining[_HANGUL_JAMO] = True
    return joining


@cache
def _kinds() -> NDArray[np.uint8]:
    kinds = np.array([_KIND_OF.get(name, _KIND_OF.get(name[0])) for name in _CATEGORIES], np.uint8)[_categories()]
    for first, last in _UNSPACED:
        span = kinds[first : last + 1]
        span[span == WORD] = CHARACTER
    kinds[[ord(symbol) for symbol in _ASCII_SYMBOLS]] = SYMBOL
    return kinds
