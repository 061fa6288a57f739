import pytest

from tasks.ifeval.language import is_language
from tasks.ifeval.words import count_capital_words, count_sentences, count_words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("One.", 1),
        ("No full stop", 1),
        ("One. Two! Three? Four", 4),
        ("Dr. Smith met Mr. Jones in the U.S. last year.", 1),
        ("I met J. Smith. He left.", 2),
        ("He stayed in the U.S. The others left.", 2),
        ("It costs 3.5 dollars. Well.", 2),
        ("Wait... what now?", 1),
        ('"Stop." He did.', 2),
        ("1. First\n2. Second", 3),
        ("She lives at no. 5 of that street.", 1),
    ],
)
def test_count_sentences_ends_them_where_the_reference_does(text: str, count: int) -> None:
    assert count_sentences(text) == count


def test_count_words_takes_runs_of_letters_and_digits() -> None:
    assert count_words("It's a well-known fact: 3.5 km_h") == 9


@pytest.mark.parametrize(("text", "count"), [("NASA and the FBI.", 2), ("I'd say", 1), ("I'D SAY", 3), ("DON'T!", 2), ("U.S. and A-B", 2), ("none", 0)])
def test_count_capital_words_counts_tokens_in_capitals(text: str, count: int) -> None:
    assert count_capital_words(text) == count


def test_is_language_takes_what_has_no_letters_for_any() -> None:
    assert is_language("Wo ist der Bahnhof, bitte? Ich habe mich verlaufen.", "de")
    assert not is_language("Wo ist der Bahnhof, bitte? Ich habe mich verlaufen.", "en")
    assert is_language("12345", "en")
