"""Constraints that a program can verify, in words of our own, with drawn arguments: the kinds and arguments that the verifier `ifeval` reads.

Left out of IFEval's 25 are kinds that need an argument out of the prompt itself or clash with most prompts: repeating the prompt, another
language, one of three fixed answers, and the first word of a paragraph.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Arguments = dict[str, Any]

_WORDS = ("however", "example", "balance", "because", "simple", "result", "change", "together", "season", "reason")
_AVOIDED = ("very", "really", "important", "things", "always", "never", "basically", "interesting")
_ENDINGS = ("That is all there is to say.", "Now it is your turn.", "Make of it what you will.")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint as it stands in a prompt, and as the verifier reads it."""

    kind: str
    text: str
    arguments: Arguments


def draw_constraint(kind: str, seed: int) -> Constraint:
    """Draw a constraint's arguments; the same ones for the same seed."""
    draw, text = _FORMS[kind]
    arguments = draw(random.Random(seed))
    shown = {name: ", ".join(value) if isinstance(value, list) else value for name, value in arguments.items()}
    return Constraint(kind, text.format(**shown), arguments)


def _none(_: random.Random) -> Arguments:
    return {}


def _number(name: str, low: int, high: int, step: int = 1) -> Callable[[random.Random], Arguments]:
    return lambda draw: {name: draw.randrange(low, high + 1, step)}


def _compared(relation: str, number: str, low: int, high: int, step: int = 1) -> Callable[[random.Random], Arguments]:
    return lambda draw: {relation: draw.choice(("at least", "less than")), number: draw.randrange(low, high + 1, step)}


def _often(draw: random.Random) -> Arguments:
    return {"relation": "at least", "keyword": draw.choice(_WORDS), "frequency": draw.randint(2, 4)}


def _letters(draw: random.Random) -> Arguments:
    return {"let_relation": draw.choice(("at least", "less than")), "letter": draw.choice("bcdfghkmpw"), "let_frequency": draw.randint(4, 12)}


_FORMS: dict[str, tuple[Callable[[random.Random], Arguments], str]] = {
    "keywords:existence": (lambda draw: {"keywords": draw.sample(_WORDS, 2)}, "These words must occur in your answer: {keywords}."),
    "keywords:frequency": (_often, 'Use the word "{keyword}" {relation} {frequency} times.'),
    "keywords:forbidden_words": (lambda draw: {"forbidden_words": draw.sample(_AVOIDED, 3)}, "Do without these words: {forbidden_words}."),
    "keywords:letter_frequency": (_letters, 'The letter "{letter}" should occur {let_relation} {let_frequency} times in your answer.'),
    "length_constraints:number_sentences": (_compared("relation", "num_sentences", 4, 12), "Your answer should have {relation} {num_sentences} sentences."),
    "length_constraints:number_words": (_compared("relation", "num_words", 60, 300, 20), "Your answer should have {relation} {num_words} words."),
    "length_constraints:number_paragraphs": (
        _number("num_paragraphs", 2, 5),
        "Write exactly {num_paragraphs} paragraphs, parted by a line that holds three asterisks: ***",
    ),
    "detectable_content:number_placeholders": (
        _number("num_placeholders", 1, 4),
        "Leave at least {num_placeholders} blanks to be filled in, each as a word in square brackets, such as [name].",
    ),
    "detectable_content:postscript": (
        lambda draw: {"postscript_marker": draw.choice(("P.S.", "P.P.S"))},
        "Add a postscript at the end that begins with {postscript_marker}",
    ),
    "detectable_format:number_bullet_lists": (
        _number("num_bullets", 2, 6),
        "Give exactly {num_bullets} bullet points, each on a line that begins with an asterisk and a blank.",
    ),
    "detectable_format:number_highlighted_sections": (
        _number("num_highlights", 1, 4),
        "Mark at least {num_highlights} passages of your answer with asterisks, like *this passage*.",
    ),
    "detectable_format:multiple_sections": (
        lambda draw: {"section_spliter": draw.choice(("Section", "PART")), "num_sections": draw.randint(2, 4)},
        "Part your answer into {num_sections} sections, each opened by {section_spliter} and its number, such as {section_spliter} 1.",
    ),
    "detectable_format:json_format": (_none, "Give the whole answer as JSON."),
    "detectable_format:title": (_none, "Give your answer a title between double angle brackets, like <<a title>>."),
    "combination:two_responses": (_none, "Give two different answers, with a line of six asterisks between them and nowhere else: ******"),
    "startend:end_checker": (lambda draw: {"end_phrase": draw.choice(_ENDINGS)}, "End with exactly these words, and nothing after them: {end_phrase}"),
    "startend:quotation": (_none, "Put the whole of your answer between double quotation marks."),
    "change_case:capital_word_frequency": (
        lambda draw: {"capital_relation": draw.choice(("at least", "less than")), "capital_frequency": draw.randint(2, 6)},
        "Words all in capital letters should occur {capital_relation} {capital_frequency} times.",
    ),
    "change_case:english_capital": (_none, "Answer in English, in capital letters only."),
    "change_case:english_lowercase": (_none, "Answer in English, in small letters only, without a single capital."),
    "punctuation:no_comma": (_none, "Use no commas at all."),
}
CONSTRAINTS = tuple(_FORMS)
"""Kinds that can be drawn."""
