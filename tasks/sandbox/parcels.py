"""What crosses between the two processes of a sandbox: plain values, written as JSON can, less whatever a subclass makes of them.

Standard library only, as the inmate loads it by its path.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from importlib import import_module
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

_DEEPEST = 60
LIBRARY = frozenset(
    {"bisect", "cmath", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq", "itertools", "json", "math", "operator"}
    | {"random", "re", "statistics", "string", "textwrap"}
)
"""Modules of Python's own that an answer may have imported for the tests' use: they are taken from the tests' own side, where none is patched."""
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
    if kind is ModuleType and value.__name__ in LIBRARY:
        return ["m", value.__name__]
    home = value.__self__.__name__ if kind is BuiltinFunctionType and isinstance(value.__self__, ModuleType) else getattr(value, "__module__", "")
    if kind in (BuiltinFunctionType, FunctionType) and home in LIBRARY:
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
    if module not in LIBRARY or (function and function[0].startswith("_")):
        raise ValueError("not of the library that is shared")
    found = import_module(module)
    return getattr(found, function[0]) if function else found
