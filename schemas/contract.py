"""A data contract stated once: from a frozen dataclass to its Arrow schema, its rows, and its bounds.

Field types become Arrow types; `X | None` makes a nullable field, anything else a required one. Bounds that Arrow can't
say stand beside the type as `Annotated` marks (`Range`, `OneOf`, `NonEmpty`, `Unique`, `HexId`); the Great Expectations suites are made of them.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin, get_type_hints

import pyarrow as pa

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Range:
    """The number lies in [low, high]; `warn` reports a breach without failing the data."""

    low: float
    high: float
    warn: bool = False


@dataclass(frozen=True, slots=True)
class OneOf:
    """The value is one of these."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NonEmpty:
    """The string or list is not empty."""


@dataclass(frozen=True, slots=True)
class Unique:
    """No two rows of a data set share the value."""


@dataclass(frozen=True, slots=True)
class HexId:
    """The string is a content id: 32 lower-case hex digits."""


Mark = Range | OneOf | NonEmpty | Unique | HexId

Int32 = Annotated[int, pa.int32()]
Float32 = Annotated[float, pa.float32()]
UInt64 = Annotated[int, pa.uint64()]
Id = Annotated[str, HexId()]

_PLAIN: dict[type, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


@dataclass(frozen=True, slots=True)
class FieldContract:
    """One top-level field: its Arrow field and its marks."""

    arrow: pa.Field
    marks: tuple[Mark, ...]
    record: type | None = None
    """The record class nested in it, as a struct or as the items of a list."""


@cache
def field_contracts(record: type) -> tuple[FieldContract, ...]:
    """List the contract of each field of a record class, in order."""
    hints = get_type_hints(record, include_extras=True)
    return tuple(_field_contract(field.name, hints[field.name]) for field in dataclasses.fields(record))


@cache
def arrow_schema(record: type) -> pa.Schema:
    """Derive the one Arrow schema that every file of this record class has."""
    return pa.schema([contract.arrow for contract in field_contracts(record)])


def to_row(record: Any) -> dict[str, Any]:
    """Turn a record into a plain row for Arrow or JSON (nested dataclasses to dicts, tuples to lists)."""
    return {field.name: _plain(getattr(record, field.name)) for field in dataclasses.fields(record)}


def from_row(record: type[Record], row: Mapping[str, Any]) -> Record:
    """Build a record from a row that `to_row` or Arrow's `to_pylist` made."""
    hints = _hints(cast(type, record))
    return record(**{name: _build(hints[name], value) for name, value in row.items()})


def to_table(records: typing.Iterable[Any], record: type) -> pa.Table:
    """Write records as a table of exactly their contract's schema."""
    return pa.Table.from_pylist([to_row(one) for one in records], schema=arrow_schema(record))


def from_table(table: pa.Table, record: type[Record]) -> list[Record]:
    """Read a table's rows back as records."""
    return [from_row(record, row) for row in table.to_pylist()]


def _field_contract(name: str, hint: Any) -> FieldContract:
    inner, nullable = _strip_optional(hint)
    return FieldContract(pa.field(name, _arrow_type(inner), nullable=nullable), _marks(inner), _nested_record(inner))


def _strip_optional(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (typing.Union, types.UnionType):
        rest = [arg for arg in get_args(hint) if arg is not type(None)]
        if len(rest) != 1:
            raise TypeError(f"a field is of one type or of one type and None, not {hint}")
        return rest[0], True
    return hint, False


def _marks(hint: Any) -> tuple[Mark, ...]:
    if get_origin(hint) is not Annotated:
        return ()
    base, *extras = get_args(hint)
    return (*_marks(base), *(extra for extra in extras if isinstance(extra, Mark)))


def _nested_record(hint: Any) -> type | None:
    if get_origin(hint) is Annotated:
        return _nested_record(get_args(hint)[0])
    if get_origin(hint) is tuple:
        return _nested_record(_strip_optional(get_args(hint)[0])[0])
    return cast(type, hint) if dataclasses.is_dataclass(hint) else None


def _arrow_type(hint: Any) -> pa.DataType:
    if get_origin(hint) is Annotated:
        base, *extras = get_args(hint)
        given = [extra for extra in extras if isinstance(extra, pa.DataType)]
        return given[0] if given else _arrow_type(base)
    if get_origin(hint) is typing.Literal:
        return pa.string()
    if get_origin(hint) is tuple:
        item, nullable = _strip_optional(get_args(hint)[0])
        return pa.list_(pa.field("element", _arrow_type(item), nullable=nullable))
    if dataclasses.is_dataclass(hint):
        return pa.struct(list(arrow_schema(cast(type, hint))))
    return _PLAIN[hint]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_row(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


@cache
def _hints(record: type) -> dict[str, Any]:
    return get_type_hints(record)


def _build(hint: Any, value: Any) -> Any:
    inner, _ = _strip_optional(hint)
    if value is None:
        return None
    if get_origin(inner) is tuple:
        item = get_args(inner)[0]
        return tuple(_build(item, one) for one in value)
    if dataclasses.is_dataclass(inner):
        return from_row(cast(type, inner), value)
    return value
