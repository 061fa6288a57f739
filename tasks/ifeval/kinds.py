"""The 25 kinds of instruction: each a function of a reply and of the instruction's own arguments, found by its id in `KINDS`."""

import json
import re
from collections.abc import Callable, Sequence

from tasks.ifeval.language import is_language
from tasks.ifeval.words import count_capital_words, count_sentences, count_words

Check = Callable[..., bool]
_HIGHLIGHTS = (re.compile(r"\*[^\n*]*\*"), re.compile(r"\*\*[^\n*]*\*\*"))
_BULLETS = (re.compile(r"^\s*\*[^*].*$", re.MULTILINE), re.compile(r"^\s*-.*$", re.MULTILINE))
_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_WORD_END = frozenset(".,?!'\"")
_FENCE = re.compile(r"^```(?:json|Json|JSON)?|```$")
_POSTSCRIPTS = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}


def _compare(count: int, relation: str, mark: int) -> bool:
    if relation == "at least":
        return count >= mark
    if relation == "less than":
        return count < mark
    raise ValueError(f"relation {relation!r} is neither 'at least' nor 'less than'")


def _occurrences(pattern: str, reply: str) -> int:
    # The reference takes keywords for regular expressions; one that is none (`C++`) is taken by the letter.
    try:
        return len(re.findall(pattern, reply, re.IGNORECASE))
    except re.error:
        return len(re.findall(re.escape(pattern), reply, re.IGNORECASE))


def has_keywords(reply: str, *, keywords: Sequence[str]) -> bool:
    """Every keyword is there."""
    return all(_occurrences(keyword, reply) for keyword in keywords)


def has_keyword_often(reply: str, *, relation: str, keyword: str, frequency: int) -> bool:
    """A keyword is there so many times."""
    return _compare(_occurrences(keyword, reply), relation, frequency)


def lacks_words(reply: str, *, forbidden_words: Sequence[str]) -> bool:
    """None of the words is there as a whole word."""
    return not any(re.search(rf"\b{re.escape(word)}\b", reply, re.IGNORECASE) for word in forbidden_words)


def has_letter_often(reply: str, *, let_relation: str, letter: str, let_frequency: int) -> bool:
    """A letter is there so many times."""
    return _compare(reply.lower().count(letter.lower()), let_relation, let_frequency)


def is_in_language(reply: str, *, language: str) -> bool:
    """The whole reply is in one language."""
    return is_language(reply, language)


def has_sentences(reply: str, *, relation: str, num_sentences: int) -> bool:
    """There are so many sentences."""
    return _compare(count_sentences(reply), relation, num_sentences)


def has_words(reply: str, *, relation: str, num_words: int) -> bool:
    """There are so many words."""
    return _compare(count_words(reply), relation, num_words)


def has_paragraphs(reply: str, *, num_paragraphs: int) -> bool:
    """There are just so many paragraphs, `***` between them, none of them empty."""
    parts = re.split(r"\s?\*\*\*\s?", reply)
    inner = parts[1:-1]
    return all(part.strip() for part in inner) and sum(1 for part in parts if part.strip()) == num_paragraphs


def starts_paragraph_with(reply: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """There are just so many paragraphs, an empty line between them, and one of them begins with a word."""
    parts = reply.split("\n\n")
    filled = sum(1 for part in parts if part.strip())
    if filled != num_paragraphs or nth_paragraph > filled or not parts[nth_paragraph - 1].strip():
        return False
    word = parts[nth_paragraph - 1].split()[0].lstrip("'").lstrip('"').lower()
    end = next((at for at, letter in enumerate(word) if letter in _WORD_END), len(word))
    return word[:end] == first_word.lower()


def has_placeholders(reply: str, *, num_placeholders: int) -> bool:
    """There are at least so many places to fill in, in square brackets."""
    return len(re.findall(r"\[.*?\]", reply)) >= num_placeholders


def has_postscript(reply: str, *, postscript_marker: str) -> bool:
    """There is a postscript under its mark."""
    mark = postscript_marker.strip()
    return re.search(_POSTSCRIPTS.get(mark, re.escape(mark.lower())), reply.lower()) is not None


def has_bullets(reply: str, *, num_bullets: int) -> bool:
    """There are just so many bullet points in Markdown."""
    return sum(len(pattern.findall(reply)) for pattern in _BULLETS) == num_bullets


def is_one_of_three(reply: str) -> bool:
    """One of three fixed answers is given."""
    return any(option in reply for option in _OPTIONS)


def has_highlights(reply: str, *, num_highlights: int) -> bool:
    """There are at least so many highlighted stretches in Markdown."""
    return sum(bool(found.strip("*").strip()) for pattern in _HIGHLIGHTS for found in pattern.findall(reply)) >= num_highlights


def has_sections(reply: str, *, section_spliter: str, num_sections: int) -> bool:
    """There are at least so many numbered sections."""
    return len(re.findall(rf"{re.escape(section_spliter.strip())}\s?\d+", reply)) >= num_sections


def is_json(reply: str) -> bool:
    """The whole reply is JSON, in a fence or not."""
    try:
        json.loads(_FENCE.sub("", reply.strip()).strip())
    except (ValueError, RecursionError):
        return False
    return True


def has_title(reply: str) -> bool:
    """There is a title in double angular brackets."""
    return any(found.strip("<>").strip() for found in re.findall(r"<<[^\n]+>>", reply))


def has_two_responses(reply: str) -> bool:
    """There are two different responses, six asterisks between them."""
    parts = [part.strip() for part in reply.split("******")]
    filled = [part for part in parts if part]
    return all(parts[1:-1]) and len(filled) == 2 and filled[0] != filled[1]


def repeats_prompt(reply: str, *, prompt_to_repeat: str) -> bool:
    """The request is repeated before it is answered."""
    return reply.strip().lower().startswith(prompt_to_repeat.strip().lower())


def ends_with(reply: str, *, end_phrase: str) -> bool:
    """The reply ends with a phrase."""
    return reply.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def has_capital_words(reply: str, *, capital_relation: str, capital_frequency: int) -> bool:
    """There are so many words in capitals."""
    return _compare(count_capital_words(reply), capital_relation, capital_frequency)


def is_english_in_capitals(reply: str) -> bool:
    """The whole reply is English, in capital letters."""
    return reply.isupper() and is_language(reply, "en")


def is_english_in_small_letters(reply: str) -> bool:
    """The whole reply is English, in small letters."""
    return reply.islower() and is_language(reply, "en")


def lacks_commas(reply: str) -> bool:
    """There is no comma."""
    return "," not in reply


def is_quoted(reply: str) -> bool:
    """The whole reply stands in double quotation marks."""
    reply = reply.strip()
    return len(reply) > 1 and reply[0] == reply[-1] == '"'


KINDS: dict[str, Check] = {
    "keywords:existence": has_keywords,
    "keywords:frequency": has_keyword_often,
    "keywords:forbidden_words": lacks_words,
    "keywords:letter_frequency": has_letter_often,
    "language:response_language": is_in_language,
    "length_constraints:number_sentences": has_sentences,
    "length_constraints:number_paragraphs": has_paragraphs,
    "length_constraints:number_words": has_words,
    "length_constraints:nth_paragraph_first_word": starts_paragraph_with,
    "detectable_content:number_placeholders": has_placeholders,
    "detectable_content:postscript": has_postscript,
    "detectable_format:number_bullet_lists": has_bullets,
    "detectable_format:constrained_response": is_one_of_three,
    "detectable_format:number_highlighted_sections": has_highlights,
    "detectable_format:multiple_sections": has_sections,
    "detectable_format:json_format": is_json,
    "detectable_format:title": has_title,
    "combination:two_responses": has_two_responses,
    "combination:repeat_prompt": repeats_prompt,
    "startend:end_checker": ends_with,
    "change_case:capital_word_frequency": has_capital_words,
    "change_case:english_capital": is_english_in_capitals,
    "change_case:english_lowercase": is_english_in_small_letters,
    "punctuation:no_comma": lacks_commas,
    "startend:quotation": is_quoted,
}
