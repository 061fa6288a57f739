import gzip
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from tasks.language import LANGUAGES, identify_languages, known_language


def identify(texts: Sequence[str], *, fewest_letters: int = 40) -> list[tuple[str | None, float | None]]:
    found = identify_languages(pl.Series(texts, dtype=pl.String), fewest_letters=fewest_letters)
    return list(zip(found["language"].to_list(), found["confidence"].to_list(), strict=True))


def test_identify_languages_tells_nothing_of_too_little_text() -> None:
    assert identify(["Hello there.", "", "42", "x" + " " * 500 + "y"]) == [(None, None)] * 4
    assert identify(["```\nlong_code = that_is * not_language\n```"], fewest_letters=10) == [(None, None)]
    assert identify([]) == []


def test_identify_languages_counts_letters_beyond_a_beginning_without_any() -> None:
    assert identify(["... " * 100 + "Letters come late in this text, but there are enough of them."])[0][0] == "en"
    assert identify(["这是一个用中文写的短句子,没有空格。"])[0][0] == "zh"


def test_identify_languages_gives_py3langid_s_own_verdicts(shared_data: Path) -> None:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    theirs = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    theirs.set_languages(LANGUAGES)
    with gzip.open(shared_data / "xquad_12_languages.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [" ".join(re.sub(r"[^\w\s,;:.]|[\d_]", " ", json.loads(line)["context"]).split())[:2000] for line in file]
    texts += [text.upper() for text in texts[::7]] + ["".join(unicodedata.normalize("NFD", text)[:1500]) for text in texts[::5]]
    for text, (language, confidence) in zip(texts, identify(texts, fewest_letters=1), strict=True):
        expected = theirs.classify(text)
        assert language == expected[0]
        assert confidence == pytest.approx(expected[1], abs=1e-4)


def test_known_language_refuses_what_can_not_be_told_apart() -> None:
    assert known_language("en") == "en"
    with pytest.raises(ValueError, match="'xx' is not among"):
        known_language("xx")


def test_identify_language_knows_every_passage_of_xquad(shared_data: Path) -> None:
    with gzip.open(shared_data / "xquad_12_languages.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    spoken = [row["lang"] for row in rows]
    assert set(spoken) <= LANGUAGES
    assert [language for language, _ in identify([row["context"] for row in rows])] == spoken


def test_identify_language_is_almost_never_sure_and_wrong_about_english(shared_data: Path) -> None:
    with gzip.open(shared_data / "gsm8k_model_solutions.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["solution"] for line in file]
    found = [(language, sure) for language, sure in identify(texts) if sure is not None]
    assert sum(language != "en" and sure >= 0.8 for language, sure in found) == 0
    assert len(found) > 2000
