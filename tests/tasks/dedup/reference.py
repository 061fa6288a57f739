"""What the kernels are held against: the same rules in plain Python, written from the module's docstring and sharing no code with it."""

import random
import re
import unicodedata

_UNSPACED = re.compile("[\u0e00-\u0eff\u3005-\u3007\u3031-\u312f\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002ffff]")
_SYMBOLS = "#%&()*-/@[]\\_{}"


def normalised(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).lower()
    visible = "".join(letter for letter in folded if unicodedata.category(letter) != "Cf")
    return " ".join(visible.split())


def tokens(text: str) -> list[str]:
    found: list[str] = []
    word = ""
    for letter in [*normalised(text), " "]:
        category = unicodedata.category(letter)
        if category[0] in "LNM" and not _UNSPACED.match(letter):
            word += letter
            continue
        found += [word] if word else []
        word = ""
        if category[0] in "LNMS" or letter in _SYMBOLS:
            found.append(letter)
    return found


def shingles(text: str, width: int = 5) -> list[tuple[str, ...]]:
    found = tokens(text)
    return [tuple(found[start : start + width]) for start in range(max(1, len(found) - width + 1))] if found else []


def similarity(one: str, other: str, width: int = 5) -> float:
    left, right = set(shingles(one, width)), set(shingles(other, width))
    return len(left & right) / len(left | right)


def some_text(seed: int, words: int = 200) -> str:
    rng = random.Random(seed)
    return " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(words))


def edited(text: str, edits: int, seed: int = 0) -> str:
    """Replace some words."""
    rng = random.Random(seed)
    words = text.split()
    for place in rng.sample(range(len(words)), edits):
        words[place] = f"changed{rng.randrange(10**6)}"
    return " ".join(words)
