"""The rehearsal models' tokens: a word, or one mark of punctuation. White space belongs to no token."""

import re

_TOKEN = re.compile(r"\w+|[^\w\s]")


def count_tokens(text: str) -> int:
    """Count the tokens of a text."""
    return sum(1 for _ in _TOKEN.finditer(text))


def cut_tokens(text: str, most: int) -> str:
    """Keep the first `most` tokens of a text, with the white space before and between them; a text that is short enough stays as it is."""
    for number, token in enumerate(_TOKEN.finditer(text), start=1):
        if number > most:
            return text[:end]
        end = token.end()
    return text
