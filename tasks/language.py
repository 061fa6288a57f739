"""Which language a text is in, by py3langid's model, offline.

The choice is restricted to languages with enough training text to be told apart: among all 97, short English is taken for Latin, Maltese
or Breton too often. Code, formulas, links and numbers say nothing about the language and are taken out first.
"""

import re
from functools import cache
from typing import Any

_CODES = "ar bg bn ca cs da de el en es et fa fi fr gu he hi hr hu id it ja ka kn ko lt lv ml mr nl no pa pl pt ro ru sk sl sq sr sv ta te th tr uk ur vi zh"
LANGUAGES = frozenset(_CODES.split())
"""ISO 639-1 codes that are told apart."""

_LONGEST = 2000
"""Characters looked at: beyond this the verdict no longer changes, and the cost is linear."""

_NOT_LANGUAGE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|\\\[.*?\\\]|\\\(.*?\\\)|https?://\S+|\S+@\S+|<[^<>\n]{1,200}>|[\d_=+*/^|{}\[\]()<>#~\\-]+",
    re.DOTALL,
)


def identify_language(text: str, *, fewest_letters: int) -> tuple[str, float] | None:
    """Name a text's likeliest language and the model's confidence in it; None where too little of it is language."""
    words = " ".join(_NOT_LANGUAGE.sub(" ", text[: 4 * _LONGEST]).split())[:_LONGEST]
    # A character of a script that writes no spaces says as much as three letters.
    if sum(3 if char >= "\u2e80" else 1 for char in words if char.isalpha()) < fewest_letters:
        return None
    language, confidence = _identifier().classify(words)
    return str(language), float(confidence)


def known_language(code: str) -> str:
    """Give back a code that can be told apart; for a pydantic field."""
    if code not in LANGUAGES:
        raise ValueError(f"{code!r} is not among the languages that can be told apart: {', '.join(sorted(LANGUAGES))}")
    return code


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES)
    return identifier
