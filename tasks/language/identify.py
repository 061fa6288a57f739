"""A column of texts to the language of each, and how sure the model is of it."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

_CODES = "ar bg bn ca cs da de el en es et fa fi fr gu he hi hr hu id it ja ka kn ko lt lv ml mr nl no pa pl pt ro ru sk sl sq sr sv ta te th tr uk ur vi zh"
LANGUAGES = frozenset(_CODES.split())
"""ISO 639-1 codes that are told apart."""

_LONGEST = 2000
"""Characters looked at: beyond this the verdict no longer changes, and the cost is linear."""

_NOT_LANGUAGE = (
    r"(?s)```.*?(?:```|\z)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|\\\[.*?\\\]|\\\(.*?\\\)|https?://\S+|\S+@\S+|<[^<>\n]{1,200}>|[\d_=+*/^|{}\[\]()<>#~\\-]+"
)
_LETTER, _DENSE_LETTER = r"\p{L}", r"[\p{L}&&[\x{2E80}-\x{10FFFF}]]"
"""A character of a script that writes no spaces says as much as three letters."""
_SMALL, _CAPITAL = r"[\p{Lowercase}\p{Lt}]", r"\p{Lu}"


@dataclass(frozen=True, slots=True)
class _Model:
    """py3langid's model, cut to the languages told apart and laid out for the kernel."""

    languages: NDArray[np.str_]
    """By column; a language of two scripts has two."""
    twins: tuple[tuple[int, int], ...]
    """Columns of one language."""
    moves: NDArray[Any]
    rows: NDArray[np.int64]
    features: NDArray[np.int32]
    weights: NDArray[np.float32]
    prior: NDArray[np.float32]


def identify_languages(texts: pl.Series, *, fewest_letters: int) -> pl.DataFrame:
    """Name each text's likeliest `language` and the model's `confidence` in it; null where too little of it is language."""
    words = texts.str.head(4 * _LONGEST).str.replace_all(_NOT_LANGUAGE, " ").str.replace_all(r"\s+", " ").str.strip_chars().str.head(_LONGEST)
    asked = _tell_enough(words, fewest_letters).arg_true()
    languages, confidences = _classify(words[asked])
    language = pl.repeat(None, len(texts), dtype=pl.String, eager=True).scatter(asked, pl.Series(languages, dtype=pl.String))
    confidence = pl.repeat(None, len(texts), dtype=pl.Float64, eager=True).scatter(asked, pl.Series(confidences, dtype=pl.Float64))
    return pl.DataFrame({"language": language, "confidence": confidence})


def known_language(code: str) -> str:
    """Give back a code that can be told apart; for a pydantic field."""
    if code not in LANGUAGES:
        raise ValueError(f"{code!r} is not among the languages that can be told apart: {', '.join(sorted(LANGUAGES))}")
    return code


def _classify(words: pl.Series) -> tuple[list[str], list[float]]:
    from tasks.language.kernels import score_texts  # imports numba

    model = _model()
    column = _as_trained(words).to_arrow().cast("large_string")
    _, offsets, data = column.buffers()
    begins = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    scores = np.zeros((len(column), len(model.languages)), np.float32)
    if len(column):
        score_texts(np.frombuffer(data, np.uint8), begins, model.moves, model.rows, model.features, model.weights, model.prior, scores)
    chances = _normalise(scores, np.diff(begins), model.twins)
    best = chances.argmax(axis=1) if len(column) else np.zeros(0, np.int64)
    return model.languages[best].tolist(), chances[np.arange(len(best)), best].tolist()


def _tell_enough(words: pl.Series, letters: int) -> pl.Series:
    """Say which texts have so many letters; nearly all show it in their beginning, and the others alone are counted whole."""
    told = _count_letters(words.str.head(4 * letters)) >= letters
    rest = (~told).arg_true()
    return told.scatter(rest, _count_letters(words[rest]) >= letters)


def _count_letters(words: pl.Series) -> pl.Series:
    return words.str.count_matches(_LETTER) + 2 * words.str.count_matches(_DENSE_LETTER)


def _as_trained(words: pl.Series) -> pl.Series:
    """Write texts as the model was trained on them: composed, and what is all capitals in small letters."""
    shouted = (~words.str.contains(_SMALL) & words.str.contains(_CAPITAL)).arg_true()
    words = words.scatter(shouted, words[shouted].str.to_lowercase())
    beyond_ascii = (words.str.len_bytes() != words.str.len_chars()).arg_true()
    return words.scatter(beyond_ascii, words[beyond_ascii].str.normalize("NFC"))


def _normalise(scores: NDArray[np.float32], sizes: NDArray[np.int64], twins: tuple[tuple[int, int], ...]) -> NDArray[np.float32]:
    """Make scores chances, at a temperature of the root of a text's bytes, as py3langid does; and one of each pair of columns."""
    cooled = scores / np.sqrt(np.maximum(sizes, 1)).astype(np.float32)[:, None]
    chances: NDArray[np.float32] = np.exp(cooled - cooled.max(axis=1, keepdims=True, initial=-np.inf)).astype(np.float32)
    chances /= chances.sum(axis=1, keepdims=True)
    for first, second in twins:
        chances[:, first] += chances[:, second]
        chances[:, second] = 0
    return chances


@cache
def _model() -> _Model:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES)
    languages = list(identifier.nb_classes)
    firsts = {code: languages.index(code) for code in languages}
    return _Model(
        np.array(languages),
        tuple((firsts[code], column) for column, code in enumerate(languages) if firsts[code] != column),
        np.asarray(identifier.tk_nextmove),
        np.asarray(identifier.tk_row, np.int64),
        np.asarray(identifier.tk_output, np.int32),
        np.ascontiguousarray(identifier.nb_ptc, np.float32),
        np.ascontiguousarray(identifier.nb_pc, np.float32),
    )
