"""Write a list: as asked, or in one of the ways in which a model gets it wrong."""

import json

from infra.triton.rehearsal_language.draw import Draw

_CHATTER = (
    "Sure! Here are {n} ideas for you:",
    "Of course. I have put together the following list:",
    "Great question! Below you will find what you asked for.",
)
_FAREWELL = ("Let me know if you would like more!", "I hope this helps.", "Would you like me to go deeper into any of these?")


def write_list(items: list[str], draw: Draw, *, malformed_rate: float) -> str:
    """Number the items, one a line; at the malformed rate, deform the list instead."""
    if items and draw.chance(malformed_rate):
        return _deform(items, draw)
    return _numbered(items)


def _numbered(items: list[str]) -> str:
    return "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))


def _deform(items: list[str], draw: Draw) -> str:
    way = draw.number(0, 7)
    if way == 0:
        return "\n".join(f"- {item}" for item in items)
    if way == 1:
        return json.dumps(items, ensure_ascii=False)
    if way == 2:
        return f"{draw.pick(_CHATTER).format(n=len(items))}\n\n{_numbered(items)}\n\n{draw.pick(_FAREWELL)}"
    if way == 3:
        return _numbered(items[: max(1, len(items) // 2)])
    if way == 4:
        return _numbered([*items, *(f"{item} (continued)" for item in items[: 1 + len(items) // 3])])
    if way == 5:
        return "There are many. " + "; ".join(items[:-1]) + f"; and finally {items[-1]}."
    if way == 6:
        return "\n".join(f"**{number})** *{item}*" for number, item in enumerate(items, start=1))
    return _numbered([item if number % 3 else items[0] for number, item in enumerate(items)])
