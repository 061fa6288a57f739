"""Finds techniques, judges, verifiers and filters by looking into their folders, and says what options each one takes.

Nothing is registered: a new technique, judge or verifier is a new file, a new filter a new function in a module of
tasks/filters/.
"""

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType, NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo

from schemas.errors import RecipeError
from schemas.recipe import Strict
from tasks.wordlists import WordList

Filter = TypeVar("Filter", bound=Callable[..., object])
Kind = Literal["prompts", "responses", "judges", "verifiers", "filters"]

_SINGULAR = {"prompts": "prompt technique", "responses": "response technique", "judges": "judge", "verifiers": "verifier", "filters": "filter"}


@dataclass(frozen=True, slots=True)
class OptionDoc:
    """One option as a user sees it."""

    name: str
    type: str
    default: str | None
    """As YAML would write it; None where the option is required."""
    doc: str


@dataclass(frozen=True, slots=True)
class ModuleDoc:
    """One technique, judge, verifier or filter as a user sees it."""

    kind: Kind
    name: str
    purpose: str
    options: tuple[OptionDoc, ...]


@cache
def names(kind: Kind) -> tuple[str, ...]:
    """List what there is of a kind."""
    if kind == "filters":
        return tuple(sorted(_filters()))
    package = importlib.import_module(f"tasks.{kind}")
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


def find_module(kind: Kind, name: str) -> ModuleType:
    """Find a technique, judge or verifier by name. Raises RecipeError with the names there are."""
    _refuse_unknown(kind, name)
    return importlib.import_module(f"tasks.{kind}.{name}")


def find_filter(name: str) -> Callable[..., Any]:
    """Find a filter by name. Raises RecipeError with the names there are."""
    _refuse_unknown("filters", name)
    return _filters()[name]


def options_of(kind: Kind, name: str) -> type[BaseModel]:
    """Find the class that checks a module's options; one without any takes none."""
    if kind == "filters":
        return _filter_options(name)
    found: type[BaseModel] = getattr(find_module(kind, name), "Options", Strict)
    return found


def describe(kind: Kind) -> tuple[ModuleDoc, ...]:
    """Say of everything of a kind what it is for and which options it takes."""
    return tuple(ModuleDoc(kind, name, _purpose(kind, name), describe_options(options_of(kind, name))) for name in names(kind))


def describe_options(options: type[BaseModel], prefix: str = "", defaults: BaseModel | None = None) -> tuple[OptionDoc, ...]:
    """Say which options a class of them has, those of a nested class by their dotted names."""
    return tuple(doc for name, field in options.model_fields.items() for doc in _describe_option(prefix + name, field, getattr(defaults, name, None)))


def reads_reward(function: Filter) -> Filter:
    """Mark a filter that reads rewards, so that a recipe in which they mean nothing is refused when it is loaded."""
    function.reads_reward = True  # type: ignore[attr-defined]
    return function


def suggest(name: str, known: tuple[str, ...]) -> str:
    """Say which names there are, the nearest first as a guess at what was meant."""
    near = difflib.get_close_matches(name, known, n=1)
    return (f"did you mean {near[0]!r}? " if near else "") + f"there are {', '.join(known) or 'none'}"


def _refuse_unknown(kind: Kind, name: str) -> None:
    if name not in names(kind):
        raise RecipeError(f"unknown {_SINGULAR[kind]} {name!r}: {suggest(name, names(kind))}")


@cache
def _filters() -> dict[str, Callable[..., Any]]:
    package = importlib.import_module("tasks.filters")
    modules = [importlib.import_module(f"tasks.filters.{one.name}") for one in pkgutil.iter_modules(package.__path__)]
    found = [(function, module) for module in modules for _, function in inspect.getmembers(module, inspect.isfunction)]
    return {function.__name__: function for function, module in found if function.__module__ == module.__name__ and not function.__name__.startswith("_")}


@cache
def _filter_options(name: str) -> type[BaseModel]:
    function = find_filter(name)
    hints = get_type_hints(function, include_extras=True)
    keywords = [one for one in inspect.signature(function).parameters.values() if one.kind is one.KEYWORD_ONLY]
    fields: dict[str, Any] = {one.name: (hints[one.name], ... if one.default is one.empty else one.default) for one in keywords}
    return create_model(name, __base__=Strict, **fields)


def _purpose(kind: Kind, name: str) -> str:
    doc = inspect.getdoc(find_filter(name) if kind == "filters" else find_module(kind, name)) or ""
    return doc.partition("\n")[0]


def _describe_option(name: str, field: FieldInfo, given: Any) -> tuple[OptionDoc, ...]:
    default = given if given is not None or field.is_required() else field.get_default(call_default_factory=True)
    nested = field.annotation
    if isinstance(nested, type) and issubclass(nested, BaseModel):
        return describe_options(nested, f"{name}.", default)
    required = field.is_required() and given is None
    return (OptionDoc(name, _type_name(field.annotation), None if required else _as_yaml(default), field.description or ""),)


def _type_name(annotation: Any) -> str:
    """Write a type as a user of YAML thinks of it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}"
    if origin is dict:
        return "mapping"
    if arguments:
        return " | ".join(map(_type_name, arguments))
    return {str: "text", int: "whole number", float: "number", bool: "true | false", NoneType: "null", WordList: "file of words"}.get(
        annotation, str(annotation)
    )


def _as_yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value) if value != "" else '""'
