"""Takes the courtesies out of what a model says when it plays the user: thanks, praise, assent, and its name before the colon.

Real people seldom open each turn with thanks, and a model trained on such turns learns to expect them. Whole sentences of courtesy are
taken off both ends, then a courteous opening off the first sentence that is left; a question is never a courtesy.
"""

import re

_PRAISE = "great|good|helpful|useful|interesting|fascinating|wonderful|amazing|awesome|excellent|informative|insightful|fantastic|nice|perfect|brilliant|lovely"
_THING = "answer|explanation|points?|question|idea|suggestions?|tips|advice|job|work|overview|summary|start"
_GLAD = r"i(?:['’]d| would|['’]ll| will) be (?:happy|glad|delighted) to\b.*"

_ASSENT = "sure(?: thing)?|certainly|of course|absolutely|gladly|no problem|you['’]re welcome|got it|i see|understood|makes sense|okay|ok|alright"

_SENTENCES = (
    r"(?:many )?thanks(?! to\b).*",
    r"thank you\b.*",
    rf"(?:that|this|it)(?:['’]s| is| was| sounds)(?: \w+){{0,3}} (?:{_PRAISE}|clear)\b(?!.*\bbut\b).*",
    r"(?:that|this|it)(?: all| really)? (?:makes|made)(?: \w+){0,3} sense\b(?!.*\bbut\b).*",
    r"(?:that|this|it)(?:['’]ll| will| really| certainly| does)? helps?(?: \w+){0,4}",
    rf"(?:what an? |very |really |such an? )?(?:{_PRAISE})(?: (?:{_THING}))?",
    r"i (?:really |truly |greatly |do |very much )?appreciate\b.*",
    r"i(?:['’]m| am) (?:so |very |really )?(?:grateful|thankful)\b.*",
    rf"(?:{_ASSENT})(?:, {_GLAD})?",
    _GLAD,
)
_IS_COURTESY = re.compile(rf"(?:(?:oh|ah|wow|hey|hi|hello|okay|ok|well)[,!]? )?(?:{'|'.join(_SENTENCES)})", re.IGNORECASE | re.DOTALL)
_OPENINGS = (
    r"\W{0,3}(?:user|human|me|(?:the )?(?:user['’]?s? )?(?:next|follow-?up) (?:message|question|turn))\W{0,2}:\W{0,3}",
    r"(?:sure[,!]? )?here(?:['’]s| is) (?:the|my|a|your)\b[^.!?:\n]{0,40}(?:message|question|reply|turn)\b[^.!?:\n]{0,40}:",
    r"(?:thanks|thank you)(?! to\b)(?: [^,.!?\n]{1,80})?, (?:(?:but|and|so)\b)?",
    r"(?:sure|of course|great|okay|ok|got it|i see|right|interesting), (?:(?:but|and|so)\b)?",
)
_OPENING = re.compile(rf"(?:{'|'.join(_OPENINGS)})\s*", re.IGNORECASE)


def strip_courtesies(text: str) -> str:
    """Leave what the user has to say; empty where there was nothing but courtesy."""
    before, left = None, text.strip()
    while left != before:
        before = left
        left = _unquoted(left)
        opening = _OPENING.match(left)
        left = _trim(left[opening.end() :] if opening else left)
    return left[:1].upper() + left[1:]


def _trim(text: str) -> str:
    """Take sentences of mere courtesy off both ends."""
    sentences = re.split(r"(?<=[.!?])\s+|\n+", text)
    begin, end = 0, len(text)
    for sentence in sentences:
        if not _is_courtesy(sentence):
            break
        begin = text.index(sentence, begin) + len(sentence)
    for sentence in reversed(sentences):
        if end <= begin or not _is_courtesy(sentence):
            break
        end = text.rindex(sentence, begin, end)
    return text[begin:end].strip()


def _is_courtesy(sentence: str) -> bool:
    bare = sentence.strip().rstrip(".!…:) ")
    return not sentence.strip().endswith("?") and (not bare or _IS_COURTESY.fullmatch(bare) is not None)


def _unquoted(text: str) -> str:
    closing = {'"': '"', "“": "”"}.get(text[:1])
    inner = text[1:-1]
    return inner.strip() if closing and len(text) > 2 and text.endswith(closing) and text[0] not in inner and closing not in inner else text
