"""Keeps an answer's program and the tests of it apart: two processes in one sandbox that exchange plain values and nothing else.

In one interpreter an answer can pass any test: by a result that is equal to everything, by other built-in functions, by reading the tests or the
report's secret from memory. Here the tests' process holds the tests and alone can report; the answer's process is asked to call its functions. Numbers,
texts and containers cross by value (parcels.py); any other object stays where it is and is worked on through a `Remote`, which is
equal to nothing but itself. Standard library only, as the inmate loads it by its path.
"""

import ast
import builtins
import json
import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from tasks.sandbox.parcels import LIBRARY, pack, unpack

_MOST_ITEMS = 1_000_000
_LONGEST_MESSAGE = 1 << 24
_GONE = "the answer's program ended before its last line"


class GoneError(Exception):
    """The answer's process is no more."""


class Line:
    """One end of the line between the two processes: JSON texts with their length before them."""

    def __init__(self, read: int, write: int) -> None:
        self._read = read
        self._write = write

    def send(self, message: Any) -> None:
        """Send a message."""
        data = json.dumps(message).encode()
        self._put(len(data).to_bytes(8, "big") + data)

    def receive(self) -> Any:
        """Wait for a message. Raises GoneError where there will be none, ValueError for one that is none."""
        size = int.from_bytes(self._take(8), "big")
        if size > _LONGEST_MESSAGE:
            raise ValueError("the answer's program sent too much")
        return json.loads(self._take(size))

    def _put(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._write, data) :]
        except BrokenPipeError as error:
            raise GoneError(_GONE) from error

    def _take(self, size: int) -> bytes:
        parts = []
        while size:
            part = os.read(self._read, min(size, 1 << 16))
            if not part:
                raise GoneError(_GONE)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


# The answer's side


def serve_answer(program: str, line: Line) -> None:
    """Run the answer's program, tell its names, and do what the tests' side asks until it is gone."""
    kept: list[Any] = []

    def keep(value: Any) -> int:
        kept.append(value)
        return len(kept) - 1

    space: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(compile(program, "<answer>", "exec"), space)  # noqa: S102 - what the sandbox is for
        line.send({"names": {name: pack(value, keep) for name, value in space.items() if name != "__builtins__"}})
    except BaseException as fault:
        line.send({"fault": _describe(fault)})
        return
    while True:
        asked = line.receive()
        try:
            reply: Any = {"value": pack(_do(asked, kept), keep)}
        except BaseException as fault:
            reply = {"raised": [type(fault).__name__, str(fault)[:500]]}
        line.send(reply)


def _do(asked: Any, kept: list[Any]) -> Any:
    target = kept[asked["of"]]
    given = unpack(asked["with"], kept.__getitem__)
    match asked["do"]:
        case "call":
            return target(*given[0], **given[1])
        case "get":
            return getattr(target, given)
        case "set":
            return setattr(target, *given)
        case "iterate":
            return [one for one, _ in zip(target, range(_MOST_ITEMS), strict=False)]
        case "item":
            return target[given]
        case "put":
            target[given[0]] = given[1]
            return None
        case "has":
            return given in target
        case "len":
            return len(target)
        case "bool":
            return bool(target)
        case "str":
            return str(target)
    raise ValueError("asked for nothing known")


def _describe(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {str(fault)[:500]}".rstrip(": ")


# The tests' side


class Remote:
    """An object of the answer's process, worked on from here. It is equal to itself alone, and has no order."""

    __slots__ = ("_line", "_number")

    def __init__(self, line: Line, number: int) -> None:
        object.__setattr__(self, "_line", line)
        object.__setattr__(self, "_number", number)

    def __call__(self, *given: Any, **named: Any) -> Any:  # noqa: D102 - magic, too
        return _ask(self, "call", (given, named))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _ask(self, "get", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _ask(self, "set", (name, value))

    def __iter__(self) -> Iterator[Any]:
        return iter(_ask(self, "iterate"))

    def __getitem__(self, key: Any) -> Any:
        return _ask(self, "item", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _ask(self, "put", (key, value))

    def __contains__(self, value: Any) -> bool:
        return bool(_ask(self, "has", value))

    def __len__(self) -> int:
        return int(_ask(self, "len"))

    def __bool__(self) -> bool:
        return bool(_ask(self, "bool"))

    def __str__(self) -> str:
        return str(_ask(self, "str"))


def _ask(remote: Remote, what: str, given: Any = None) -> Any:
    line: Line = object.__getattribute__(remote, "_line")
    line.send({"do": what, "of": object.__getattribute__(remote, "_number"), "with": pack(given, _name_remote)})
    reply = line.receive()
    if "raised" in reply:
        raise _error(*reply["raised"])
    return unpack(reply["value"], lambda number: Remote(line, int(number)))


def _name_remote(value: Any) -> int:
    if not isinstance(value, Remote):
        raise TypeError(f"the tests hand over a {type(value).__name__}, which can't leave their process")
    return int(object.__getattribute__(value, "_number"))


def _error(name: str, said: str) -> Exception:
    """Make of an error on the other side the same one of Python's own here; any other is a RuntimeError."""
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(said)
        except TypeError:  # UnicodeError's kin want more than a text
            pass
    return RuntimeError(f"{name}: {said}")


def run_tests(tests: str, line: Line) -> None:
    """Run tests against what the answer's program defined. Raises whatever a test raises, and RuntimeError where the program failed."""
    told = line.receive()
    if "fault" in told:
        raise RuntimeError(told["fault"])
    tree = ast.parse(tests, "<tests>")
    given = {str(name): unpack(value, lambda number: Remote(line, int(number))) for name, value in told["names"].items()}
    space = _without_shadows(given, tree) | {"__name__": "__tests__"}
    exec(compile(tree, "<tests>", "exec"), space)  # noqa: S102 - in the sandbox as well


def _without_shadows(given: dict[str, Any], tests: ast.Module) -> dict[str, Any]:
    """Leave out what an answer puts in the place of the tests' own tools.

    Built-in names of its own it may have only where the tests use nothing else of it: then they are what is tested. A module of Python's that the tests
    use without importing it is taken from this side.
    """
    used = {node.id for node in ast.walk(tests) if isinstance(node, ast.Name)}
    bases = {node.value.id for node in ast.walk(tests) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)}
    tools = frozenset(dir(builtins))
    if used & (given.keys() - tools):
        given = {name: value for name, value in given.items() if name not in tools}
    return given | {name: import_module(name) for name in bases & given.keys() & LIBRARY}
