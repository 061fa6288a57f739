"""The rehearsal embedding: hashed words and character triples, so that texts with common words lie close together."""

import math
from functools import lru_cache

from infra.triton.rehearsal_language.draw import hash_parts
from infra.triton.rehearsal_language.vocabulary import content_words

DIMENSIONS = 128


def embed(text: str) -> list[float]:
    """Give a text's vector, of length 1; of length 0 where the text has no content words."""
    vector = [0.0] * DIMENSIONS
    for word in content_words(text):
        for place, weight in _features(word):
            vector[place] += weight
    norm = math.sqrt(sum(value * value for value in vector))
    return [value / norm for value in vector] if norm else vector


@lru_cache(maxsize=65536)
def _features(word: str) -> tuple[tuple[int, float], ...]:
    triples = [word[at : at + 3] for at in range(len(word) - 2)]
    # A word counts as much as all its triples together, which let inflections of it come close.
    return (_place(word, 1.0), *(_place(f"~{triple}", 1.0 / len(triples)) for triple in triples))


def _place(feature: str, weight: float) -> tuple[int, float]:
    number = hash_parts(feature)
    return number % DIMENSIONS, weight if number >> 63 else -weight
