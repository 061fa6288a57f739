"""The rehearsal models' tokens: a control token, a word, or one mark of punctuation. White space belongs to no token."""

import re

_TOKEN = re.compile(r"<extra_id_\d>|\w+|[^\w\s]")
_WORD = re.compile(r"\s*\S+\s*")


def count_tokens(text: str) -> int:
    """Count the tokens of a text."""
    return len(_TOKEN.findall(text))


def cut_tokens(text: str, most: int) -> str:
    """Keep the first `most` tokens of a text, with the white space before and between them; a text that is short enough stays as it is."""
    end = 0
    for number, token in enumerate(_TOKEN.finditer(text), start=1):
        if number > most:
            return text[:end]
        end = token.end()
    return text


def split_words(text: str, words: int) -> list[str]:
    """Split a text into pieces of so many words, white space kept: joined, they are the text."""
    found = _WORD.findall(text)
    return ["".join(found[start : start + words]) for start in range(0, len(found), words)] or ([text] if text else [])
