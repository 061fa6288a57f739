"""Keeps an answer's program and the tests of it apart: two processes in one sandbox that exchange plain values and nothing else.

In one interpreter an answer can pass any test: by a result that is equal to everything, by other built-in functions, by reading the tests or the
report's secret from memory. Here the tests' process holds the tests and alone can report; the answer's process is asked to call its functions. Numbers,
texts and containers cross by value, less whatever a subclass makes of them; any other object stays where it is and is worked on through a `Remote`, which is
equal to nothing but itself. Standard library only, as the inmate loads it by its path.
"""

import ast
import builtins
import json
import os
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from importlib import import_module
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

_DEEPEST = 60
_MOST_ITEMS = 1_000_000
_LONGEST_MESSAGE = 1 << 24
_LIBRARY = frozenset(
    {"bisect", "cmath", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq", "itertools", "json", "math", "operator"}
    | {"random", "re", "statistics", "string", "textwrap"}
)
"""Modules of Python's own that an answer may have imported for the tests' use: they are taken from the tests' own side, where none is patched."""
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


_SERIES: dict[str, Any] = {"l": list, "t": tuple, "s": set, "z": frozenset, "q": deque}
_MOMENTS: dict[str, Any] = {"date": date, "datetime": datetime, "time": time}

Keep = Callable[[Any], int]
"""Of an object that can't cross: keep it here, and give the number under which the other side may name it."""


def pack(value: Any, keep: Keep, depth: int = 0) -> Any:
    """Write a value as JSON can: by the methods of the plain types, so that a subclass has no say in what is sent."""
    if value is None or value is True or value is False:
        return value
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        return "".join(str.__iter__(value))
    if isinstance(value, int):
        return ["i", hex(int.__add__(value, 0))]
    if isinstance(value, float):
        return ["f", float.hex(value)]
    for tag, kind in _SERIES.items():
        if isinstance(value, kind):
            return [tag, [pack(one, keep, depth + 1) for one in kind.__iter__(value)]]
    if isinstance(value, dict):
        tag = "k" if isinstance(value, Counter) else "o" if isinstance(value, OrderedDict) else "d"
        return [tag, [[pack(key, keep, depth + 1), pack(one, keep, depth + 1)] for key, one in dict.items(value)]]
    return _pack_rarer(value, keep)


def _pack_rarer(value: Any, keep: Keep) -> Any:
    kind = type(value)
    if kind is complex:
        return ["c", [value.real.hex(), value.imag.hex()]]
    if kind in (bytes, bytearray):
        return ["b" if kind is bytes else "y", value.hex()]
    if kind is Fraction:
        return ["r", [hex(value.numerator), hex(value.denominator)]]
    if kind is Decimal:
        return ["n", str(value)]
    if kind is range:
        return ["g", [value.start, value.stop, value.step]]
    if kind in (date, datetime, time):
        return [kind.__name__, value.isoformat()]
    if kind is timedelta:
        return ["timedelta", [value.days, value.seconds, value.microseconds]]
    if kind is ModuleType and value.__name__ in _LIBRARY:
        return ["m", value.__name__]
    home = value.__self__.__name__ if kind is BuiltinFunctionType and isinstance(value.__self__, ModuleType) else getattr(value, "__module__", "")
    if kind in (BuiltinFunctionType, FunctionType) and home in _LIBRARY:
        return ["u", [home, value.__name__]]
    return ["h", keep(value)]


def unpack(packed: Any, find: Callable[[int], Any]) -> Any:
    """Read a value that `pack` wrote; what is kept on the other side is given by `find`. Raises ValueError for anything else."""
    if packed is None or isinstance(packed, bool | str):
        return packed
    if not isinstance(packed, list) or len(packed) != 2:
        raise ValueError("no value")
    tag, body = packed
    match tag:
        case "i":
            return int(body, 16)
        case "f":
            return float.fromhex(body)
        case "d" | "k" | "o":
            made = {"d": dict, "k": Counter, "o": OrderedDict}[tag]()
            made.update({unpack(key, find): unpack(one, find) for key, one in body})
            return made
        case "l" | "t" | "s" | "z" | "q":
            return _SERIES[tag](unpack(one, find) for one in body)
        case "h":
            return find(body)
    return _unpack_rarer(tag, body)


def _unpack_rarer(tag: str, body: Any) -> Any:
    match tag:
        case "c":
            return complex(float.fromhex(body[0]), float.fromhex(body[1]))
        case "b":
            return bytes.fromhex(body)
        case "y":
            return bytearray.fromhex(body)
        case "r":
            return Fraction(int(body[0], 16), int(body[1], 16))
        case "n":
            return Decimal(body)
        case "g":
            return range(*body)
        case "date" | "datetime" | "time":
            return _MOMENTS[tag].fromisoformat(body)
        case "timedelta":
            return timedelta(*body)
        case "m" | "u":
            return _from_library(body)
    raise ValueError("no value")


def _from_library(named: Any) -> Any:
    """Find a module of Python's own library, or a function in it, on this side."""
    module, *function = [named] if isinstance(named, str) else named
    if module not in _LIBRARY or (function and function[0].startswith("_")):
        raise ValueError("not of the library that is shared")
    found = import_module(module)
    return getattr(found, function[0]) if function else found


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
    return given | {name: import_module(name) for name in bases & given.keys() & _LIBRARY}
