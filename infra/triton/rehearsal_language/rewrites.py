"""Rewrites of a text: questions with answers out of it, fewer sentences, a list of them, or the same in slightly other words."""

import re

from infra.triton.rehearsal_language.draw import Draw
from infra.triton.rehearsal_language.topics import subject_of

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_ASKED = (
    "What does the text say about {t}?",
    "Which statement is made about {t}?",
    "Is it true what the text tells of {t}?",
    "Why is {t} mentioned?",
    "How does the text describe {t}?",
    "Which is meant, {t} or something else?",
    "What can be learnt about {t}?",
    "What is said of {t}, compared with the rest?",
)
_OTHER_WORDS = {
    "was built": "was constructed",
    "about": "roughly",
    "because": "since",
    "open": "operate",
    "When": "Once",
    "few": "hardly any",
    "faster": "more quickly",
    "began": "started",
    "may": "can",
    "shows": "indicates",
    "large": "considerable",
    "also": "likewise",
    "but": "yet",
    "keeps": "retains",
    "made": "produced",
}
_OPENINGS = {
    "diverse_qa": "Questions on the text, with answers:",
    "distil": "The text, shortened:",
    "encyclopaedic": "The text in other words:",
}


def rewrite(kind: str, text: str, draw: Draw, *, malformed_rate: float) -> str:
    """Rewrite a text as one kind of request asks; at the malformed rate, without the form that was asked for."""
    sentences = [one.strip() for one in _SENTENCE.split(text) if one.strip()] or [text]
    if draw.chance(malformed_rate):
        return " ".join(sentences[: 1 + len(sentences) // 3])
    body = _BODIES[kind](sentences, draw)
    opening = _OPENINGS.get(kind)
    return f"{opening}\n{body}" if opening and draw.chance(0.9) else body


def _pairs(sentences: list[str], draw: Draw) -> str:
    asked = draw.several(_ASKED, min(8, len(sentences)))
    told = draw.several(sentences, len(asked))
    return "\n\n".join(f"Question: {form.format(t=subject_of(one))}\nAnswer: {one}" for form, one in zip(asked, told, strict=True))


def _shorter(sentences: list[str], draw: Draw) -> str:
    kept = set(draw.several(range(len(sentences)), max(1, 2 * len(sentences) // 3)))
    return " ".join(one for number, one in enumerate(sentences) if number in kept)


def _facts(sentences: list[str], draw: Draw) -> str:
    lead = draw.pick(("", "", "These are the facts:\n"))
    return lead + "\n".join(f"- {one}" for one in sentences)


def _in_other_words(sentences: list[str], draw: Draw) -> str:
    text = " ".join(sentences)
    for word, other in _OTHER_WORDS.items():
        text = re.sub(rf"\b{word}\b", other, text)
    return f"**{text}**" if draw.chance(0.1) else text


_BODIES = {"diverse_qa": _pairs, "distil": _shorter, "extract_knowledge": _shorter, "knowledge_list": _facts, "encyclopaedic": _in_other_words}
