"""Which constraints contradict a prompt, or each other, as far as a program can tell: better one fewer than one that nobody could meet."""

import re
from collections.abc import Sequence

from tasks.craft.constraints import Constraint

_FORM = re.compile(
    r"\b(?:json|yaml|csv|xml|html|markdown|table|tabular|code|function|program|script|sql|regex|poem|haiku|limerick|sonnet|lyrics|song|letter|e-?mail)\b", re.I
)
_NUMBER = r"(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|a few|a single|several)"
_LENGTH = re.compile(rf"\b{_NUMBER}[ -](?:word|sentence|paragraph|line|bullet|point|page)s?\b|\b(?:brief|short|long|concise)\b", re.I)
_LISTED = re.compile(r"\b(?:list|enumerate|bullet|steps?|table|comma|csv)\b", re.I)
_CASE = re.compile(r"\b(?:capital|upper-?case|lower-?case|all caps)\b", re.I)
_CODE = re.compile(r"\b(?:code|function|program|script|sql|regex|python|java|javascript)\b|```", re.I)
_ENDING = ("startend:end_checker", "startend:quotation", "detectable_content:postscript")
_LENGTHS = ("length_constraints:number_words", "length_constraints:number_sentences", "length_constraints:number_paragraphs")
_SHAPES = ("detectable_format:json_format", "detectable_format:number_bullet_lists", "detectable_format:multiple_sections", "combination:two_responses")
_CASES = ("change_case:english_capital", "change_case:english_lowercase", "change_case:capital_word_frequency")
_ALONE = {*_LENGTHS, *_SHAPES, *_ENDING, "detectable_format:title", "detectable_format:number_highlighted_sections"}
_WORDS_A_SENTENCE = 5


def clashes_with_prompt(constraint: Constraint, prompt: str) -> bool:
    """Say whether a prompt already asks for something that the constraint rules out or sets otherwise."""
    kind, arguments = constraint.kind, constraint.arguments
    if kind == "keywords:forbidden_words":
        return any(re.search(rf"\b{re.escape(word)}\b", prompt, re.I) for word in arguments["forbidden_words"])
    if kind in _LENGTHS:
        return bool(_LENGTH.search(prompt))
    if kind in _SHAPES:
        return bool(_FORM.search(prompt) or _LISTED.search(prompt) or _LENGTH.search(prompt))
    if kind in _CASES:
        return bool(_CASE.search(prompt) or _CODE.search(prompt)) or not _is_latin(prompt)
    if kind == "punctuation:no_comma":
        return bool(_LISTED.search(prompt) or _CODE.search(prompt))
    return bool(kind == "startend:quotation" and _FORM.search(prompt))


def clash(first: Constraint, second: Constraint) -> bool:
    """Say whether no answer could well meet both."""
    kinds = {first.kind, second.kind}
    if len(kinds) == 1 or any(len(kinds & set(group)) == 2 for group in (_ENDING, _SHAPES, _CASES)):
        return True
    if "detectable_format:json_format" in kinds or "combination:two_responses" in kinds:
        return bool((kinds - {"detectable_format:json_format", "combination:two_responses"}) & _ALONE)
    return _too_short(first, second) or _too_short(second, first) or _letter_in_keyword(first, second) or _letter_in_keyword(second, first)


def fits(constraint: Constraint, prompt: str, others: Sequence[Constraint]) -> bool:
    """Say whether a constraint can stand beside others in a prompt."""
    return not clashes_with_prompt(constraint, prompt) and not any(clash(constraint, other) for other in others)


def _too_short(few: Constraint, many: Constraint) -> bool:
    """Fewer words or sentences allowed than others need."""
    if few.arguments.get("relation") != "less than":
        return False
    words, sentences = few.arguments.get("num_words"), few.arguments.get("num_sentences")
    parts = many.arguments.get("num_paragraphs") or many.arguments.get("num_bullets") or many.arguments.get("num_sections") or 0
    needed = many.arguments.get("num_sentences", 0) if many.arguments.get("relation") == "at least" else 0
    if sentences is not None:
        least = many.arguments.get("num_words", 0) if many.arguments.get("relation") == "at least" else 0
        return bool(sentences <= parts or least > 40 * sentences)
    return bool(words is not None and words < _WORDS_A_SENTENCE * max(needed, parts))


def _letter_in_keyword(letters: Constraint, keywords: Constraint) -> bool:
    """A letter that should be rare is in words that must occur often."""
    if letters.arguments.get("let_relation") != "less than":
        return False
    wanted = [*keywords.arguments.get("keywords", ()), *[keywords.arguments.get("keyword", "")] * int(keywords.arguments.get("frequency", 1))]
    return bool(sum(word.lower().count(letters.arguments["letter"]) for word in wanted) >= letters.arguments["let_frequency"])


def _is_latin(text: str) -> bool:
    letters = [char for char in text if char.isalpha()]
    return sum(char.isascii() for char in letters) >= 0.9 * len(letters)
