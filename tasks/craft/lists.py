r"""Reads a list out of a model's answer, in whatever shape it came: the one parser of all techniques.

Numbered and bulleted lines, JSON and Python arrays (also cut off in the middle), objects with an array, YAML, code fences, bold and
quoted items, chatter before and after. An item is always a piece of the text, white space, markup and JSON escapes aside: nothing is
invented, and prose gives no items. `Topic: explanation` stays one item, bullets nested under an item are not items of their own.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[^\n`]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(
    r"""^(?P<indent>[ \t]*)(?:\#+[ \t]+)?(?P<open>[*_]{2})?
    (?:(?P<number>(?:(?:sub-?topic|topic|question|problem|item)[ ]\#?)?(?:\(\d{1,4}\)|\d{1,4}\\?[.):](?!\d)))(?P<close>[*_]{2})?[ \t]*
    |(?P<bullet>[-*+•‣◦●▪–—](?=[ \t]))[ \t]+)
    (?P<text>.*\S)[ \t]*$""",
    re.VERBOSE | re.IGNORECASE,
)
_LABEL = re.compile(r"^(?:sub-?topic|topic|question|problem|item)(?:[ ]?\#?\d{1,4})?[ ]?:[ ]+(?=\S)", re.IGNORECASE)
_BOLD = re.compile(r"(?<!\w)(\*\*|__)(?=\S)(.{1,200}?)(?<=\S)\1(?!\w)")  # bounded, or a row of stars would take quadratic time
_CHECKBOX = re.compile(r"^\[[ xX]\][ ]+")
_OPENING = re.compile(r"^[ \t]*(?:[\w ]{1,40}[:=][ \t]*)?([\[{])", re.MULTILINE)
_ELEMENT = re.compile(r"""\s*,?\s*(?:"(?P<double>(?:[^"\\\n]|\\.)*)"|'(?P<single>(?:[^'\\\n]|\\.)*)')""")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN_KEY = re.compile(r"(?:[a-z]+[ _-]?)?\d+", re.IGNORECASE)
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`", "*": "*", "_": "_"}
_TAB = "    "
_MOST_OPENINGS = 20
"""Brackets that are tried: a list is near the start of an answer, and each try may read to its end."""


@dataclass(frozen=True, slots=True)
class _Line:
    indent: int
    content: int
    """Column at which the item's text begins."""
    numbered: bool
    text: str


def parse_list(text: str) -> tuple[str, ...]:
    """Read the items of a list in order, without repeats; nothing where there is no list."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    fenced = "\n".join(match.group(2) for match in _FENCE.finditer(text))
    found = _read(fenced) or _plain_lines(fenced) if fenced else ()
    return _distinct(found or _read(_FENCE.sub("", text)) or _read(text))


def _read(text: str) -> tuple[str, ...]:
    return tuple(_brackets(text)) or tuple(_marked_lines(text))


def _distinct(items: Iterable[str]) -> tuple[str, ...]:
    kept: dict[str, str] = {}
    for item in map(_clean, items):
        if any(char.isalnum() for char in item) and not _LONE_SURROGATE.search(item):
            kept.setdefault(item.casefold(), item)
    return tuple(kept.values())


def _clean(item: str) -> str:
    """Take markup off an item: emphasis, quotes, labels such as `Question 3:`, a trailing comma."""
    item = " ".join(item.split())
    before = None
    while item != before:
        before = item
        item = _BOLD.sub(r"\2", _CHECKBOX.sub("", item))
        item = _LABEL.sub("", item).strip().removesuffix(",").rstrip()
        item = _unquote(item)
    return item


def _unquote(item: str) -> str:
    for mark in ("**", "__"):
        if item.startswith(mark) and item.endswith(mark) and len(item) > 4 and mark not in item[2:-2]:
            return item[2:-2].strip()
    closing = _QUOTES.get(item[:1])
    inner = item[1:-1]
    if closing and len(item) > 2 and item.endswith(closing) and item[0] not in inner and closing not in inner:
        return inner.strip()
    return item


def _plain_lines(fenced: str) -> tuple[str, ...]:
    """Take each line of a fence for an item, where there are several and none is marked."""
    lines = [line.strip() for line in fenced.split("\n") if line.strip()]
    return tuple(lines) if len(lines) > 1 and lines[0][0] not in "[{" else ()


def _marked_lines(text: str) -> Iterator[str]:
    """Give the items of a numbered or bulleted list; where both stand side by side, bullets explain the numbers."""
    groups = list(_top_lines(text.split("\n")))
    numbered = any(line.numbered for line, _ in groups)
    for line, more in groups:
        if line.numbered or not numbered:
            yield " ".join((line.text, *more))


def _top_lines(lines: list[str]) -> Iterator[tuple[_Line, list[str]]]:
    """Give each marked line that is not nested under another, with the indented lines that go on with its text."""
    top: tuple[_Line, list[str]] | None = None
    going_on = False
    for raw in lines:
        expanded = raw.replace("\t", _TAB)
        line = _marked(expanded)
        if line and top and _is_nested(line, top[0]):
            going_on = False
        elif line:
            if top:
                yield top
            top, going_on = (line, []), True
        elif top and going_on and expanded.startswith("  ") and expanded.strip():
            top[1].append(expanded.strip())
        else:
            going_on = False
    if top:
        yield top


def _marked(line: str) -> _Line | None:
    match = _MARKER.match(line)
    if match is None or (match["open"] and match["bullet"]):
        return None
    text = match["text"]
    if match["open"] and not match["close"]:
        text = match["open"] + text  # **1. Topic**: the emphasis goes on into the text
    return _Line(len(match["indent"]), match.start("text"), match["number"] is not None, text)


def _is_nested(line: _Line, top: _Line) -> bool:
    deeper = line.indent - top.indent
    return line.indent >= top.content or deeper >= 2 or (deeper >= 1 and top.numbered and not line.numbered)


def _brackets(text: str) -> Iterator[str]:
    """Give the strings of the first JSON or Python array or object that opens a line."""
    for match in islice(_OPENING.finditer(text), _MOST_OPENINGS):
        items = list(_decode(text, match.start(1))) or list(_scan_array(text, match.start(1)))
        if items:
            yield from items
            return


def _decode(text: str, start: int) -> Iterator[str]:
    try:
        value = json.JSONDecoder(strict=False).raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        return
    yield from _strings(value)


def _strings(value: Any) -> Iterator[str]:
    """Give the items of a decoded array, or of an object that holds one or is one."""
    if isinstance(value, list):
        yield from (one for one in map(_string, value) if one)
    elif isinstance(value, dict):
        arrays = [one for one in value.values() if isinstance(one, list)]
        if len(arrays) == 1:
            yield from _strings(arrays[0])
        elif arrays or not all(_PLAIN_KEY.fullmatch(str(key)) for key in value):
            yield from (str(key) for key in value)
        else:
            yield from (one for one in map(_string, value.values()) if one)


def _string(value: Any) -> str | None:
    """Read an element: a string, a whole number, or the first string of an object."""
    if isinstance(value, dict):
        return next((one for one in value.values() if isinstance(one, str)), None)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def _scan_array(text: str, start: int) -> Iterator[str]:
    """Give the whole strings of an array of strings that is Python's, was never closed, or lacks a comma."""
    if text[start] != "[":
        return
    at = start + 1
    while match := _ELEMENT.match(text, at):
        yield match["single"].replace("\\'", "'") if match["single"] is not None else _unescape(match["double"])
        at = match.end()


def _unescape(inner: str) -> str:
    try:
        return str(json.loads(f'"{inner}"', strict=False))
    except ValueError:
        return inner.replace('\\"', '"')
