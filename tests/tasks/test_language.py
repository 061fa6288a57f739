import gzip
import json
from pathlib import Path

import pytest

from tasks.language import LANGUAGES, identify_language, known_language


def test_identify_language_tells_nothing_of_too_little_text() -> None:
    assert identify_language("Hello there.", fewest_letters=40) is None
    assert identify_language("```\nlong_code = that_is * not_language\n```", fewest_letters=10) is None


def test_known_language_refuses_what_can_not_be_told_apart() -> None:
    assert known_language("en") == "en"
    with pytest.raises(ValueError, match="'xx' is not among"):
        known_language("xx")


def test_identify_language_knows_every_passage_of_xquad(shared_data: Path) -> None:
    with gzip.open(shared_data / "xquad_12_languages.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    found = [(row["lang"], identify_language(row["context"], fewest_letters=40)) for row in rows]
    assert {lang for lang, _ in found} <= LANGUAGES
    assert [lang for lang, got in found if got is None or got[0] != lang] == []


def test_identify_language_is_almost_never_sure_and_wrong_about_english(shared_data: Path) -> None:
    with gzip.open(shared_data / "gsm8k_model_solutions.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["solution"] for line in file]
    found = [identify_language(text, fewest_letters=40) for text in texts]
    assert sum(one is not None and one[0] != "en" and one[1] >= 0.8 for one in found) == 0
    assert sum(one is not None for one in found) > 2000
