"""Counts words and sentences as IFEval's reference does, without the trained model that it downloads for the purpose.

The reference splits sentences by NLTK's Punkt, whose rules are followed here (a full stop ends a sentence unless it belongs to an
abbreviation, to an initial, or is followed by a small letter after a number) with a short list of abbreviations in place of the trained one.
"""

import re

_ABBREVIATIONS = re.compile(
    r"mrs?|ms|dr|prof|[sjm]r|rev|gen|col|sgt|capt|lt|gov|sen|rep|hon|adm|ave|blvd|inc|corp|co|ltd|vs|etc|e\.g|i\.e|[ap]\.m|u\.[skn]|d\.c|ph\.d|st|ft|mt|"
    r"jan|feb|mar|apr|aug|sept?|oct|nov|dec|no|vol|fig|op|p\.(?:p\.)?s"
)
_STARTERS = re.compile(
    r"the|th(?:is|at|ese|ose|ere|ey|en)|it|s?he|we|when|while|i[nf]?|o[nr]|at|but|and|so|however|as|for|my|our|his|her|your?|please|let|now|what|how",
    re.IGNORECASE,
)
_END = re.compile(r"""(?P<word>\S*?)(?P<mark>[.?!])(?=[)";}\]*:@'({\[!?]|\s+(?P<next>\S+))""")
_CLOSING = re.compile(r"""["')\]}]+(?:\s+|$)""")
_WORD = re.compile(r"\w+")
_CONTRACTION = re.compile(r"(?=(?:n't|'(?:s|m|d|ll|re|ve))$)", re.IGNORECASE)
_TOKEN = re.compile(
    r"""\.\.\.|(?:[^\W\d_]\.)+(?=\s|$|[,;:)\]"'])|\w[\w.\-/+'’*~|^=\\]*|\S""",
    re.VERBOSE,
)


def count_words(text: str) -> int:
    """Count runs of letters, digits and underscores."""
    return len(_WORD.findall(text))


def count_sentences(text: str) -> int:
    """Count the sentences of a text."""
    begin, count = 0, 0
    for match in _END.finditer(text):
        if not _ends_sentence(match):
            continue
        end = match.end("mark")
        closing = _CLOSING.match(text, end)
        count += bool(text[begin:end].strip())
        begin = closing.end() if closing else end
    return count + bool(text[begin:].strip())


def _ends_sentence(match: re.Match[str]) -> bool:
    if match["mark"] != ".":
        return True
    word = match["word"].lstrip("\"'([{*_").lower()
    following = match["next"] or ""
    if word.endswith("."):
        return False
    if _ABBREVIATIONS.fullmatch(word):
        return _starts_sentence(following)
    if word.isdigit():
        return not following[:1].islower()
    if len(word) == 1 and word.isalpha() and following:
        return _starts_sentence(following)
    return True


def _starts_sentence(following: str) -> bool:
    first = _WORD.search(following)
    return first is not None and first.group()[:1].isupper() and _STARTERS.fullmatch(first.group()) is not None


def count_capital_words(text: str) -> int:
    """Count tokens all in capitals; a contraction is the two that it is made of: `I'd` counts once, `I'D` twice."""
    return sum(part.isupper() for token in _TOKEN.findall(text) for part in _CONTRACTION.split(token, maxsplit=1))
