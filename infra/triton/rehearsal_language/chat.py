"""Read a rendered prompt back as turns, by the markers of the Nemotron-4 chat format."""

import re
from dataclasses import dataclass

_TURN = re.compile(r"<extra_id_0>System\n|<extra_id_1>(User|Assistant)\n")
_END = "<extra_id_2>"


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation."""

    role: str
    """system, user or assistant."""
    text: str


def read_turns(prompt: str) -> tuple[Turn, ...]:
    """Split a rendered conversation into its turns; a text without markers is one turn of no role (a raw prompt).

    Where the model is to go on, the last turn is an empty one of the role that it shall speak as.
    """
    marks = list(_TURN.finditer(prompt))
    if not marks:
        return (Turn("", prompt),)
    ends = [mark.start() for mark in marks[1:]] + [len(prompt)]
    return tuple(Turn((mark[1] or "system").lower(), prompt[mark.end() : end].removesuffix(_END).strip()) for mark, end in zip(marks, ends, strict=True))


def last_user_text(prompt: str) -> str:
    """Find what the user said last, or the whole of a raw prompt."""
    turns = read_turns(prompt)
    said = [turn.text for turn in turns if turn.role == "user" and turn.text]
    return said[-1] if said else turns[-1].text.strip()
