"""What Great Expectations is asked to check, derived from the record contracts so that a contract is stated once.

Plain values, no Great Expectations import: tasks/validation/partitions.py turns them into suites. A record's rows are looked at as flat tables: the
rows themselves, and one table for each list of records and each optional record inside them (`messages`, `scores`, `provenance.models`).
An expectation's name is the drop reason of a row that fails it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import pyarrow as pa

from schemas.contract import FieldContract, HexId, Mark, NonEmpty, OneOf, Range, Unique, field_contracts
from schemas.records import Conversation, Preference, Prompt

Severity = Literal["critical", "warning"]

HEX_ID = "^[0-9a-f]{32}$"
COUNT = ".count"
"""A flat column of this ending holds the length of the list of the name before it."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One thing that every row, or every item of a table inside the rows, must fulfil."""

    name: str
    """In snake_case: the drop reason of a row that fails."""
    table: str
    """Dotted path of the list or optional record whose items are checked; empty for the rows themselves."""
    column: str
    """Dotted path of the value inside an item."""
    type: str
    """Great Expectations' name of the check."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = "critical"
    """`warning` is reported and fails nothing."""


@dataclass(frozen=True, slots=True)
class RowRule:
    """A rule across the fields of a row, which no single field's contract can say; tasks/validation/row_rules.py computes it."""

    name: str
    meaning: str


_ALTERNATE = RowRule("turns_alternate", "after an optional system turn, user and assistant take turns, the user first")
_LICENCES = RowRule("licences_are_known", "every model and source on the row has a licence that schemas/licences.py knows")
_TOUCHED = RowRule("a_model_touched_it", "at least one model is named in the provenance")
_FINITE = RowRule("rewards_are_finite", "no reward or attribute is NaN or infinite")

ROW_RULES: Mapping[type, tuple[RowRule, ...]] = {
    Prompt: (_ALTERNATE, RowRule("ends_with_user", "the last turn is the user's"), _LICENCES),
    Conversation: (
        _ALTERNATE,
        RowRule("ends_with_assistant", "the last turn is the assistant's"),
        RowRule("prompt_is_shorter_than_messages", "at least one turn was generated after the prompt's"),
        RowRule("completion_fits_context", "counted completion tokens do not exceed the model's context"),
        RowRule("is_not_gated", "no filter bars the row from instruction data"),
        _FINITE,
        _TOUCHED,
        _LICENCES,
    ),
    Preference: (
        _ALTERNATE,
        RowRule("prompt_ends_with_user", "the prompt's last turn is the user's"),
        RowRule("answers_end_with_assistant", "chosen and rejected begin and end with the assistant and alternate"),
        RowRule("chosen_differs_from_rejected", "the two answers differ in text and in id"),
        RowRule("margin_is_the_difference", "margin = chosen reward - rejected reward, and null where one is missing"),
        _FINITE,
        _TOUCHED,
        _LICENCES,
    ),
}


@cache
def expectations(record: type) -> tuple[Expectation, ...]:
    """List everything expected of a record class's rows, in the order of its fields, row rules last."""
    rules = (Expectation(rule.name, "", rule.name, "expect_column_values_to_be_in_set", {"value_set": [True]}) for rule in ROW_RULES.get(record, ()))
    return (*_walk(record, "", ""), *rules)


def _walk(record: type, table: str, prefix: str) -> Iterator[Expectation]:
    for contract in field_contracts(record):
        column = prefix + contract.arrow.name
        yield from _of_field(contract, table, column)
        if contract.record is None:
            continue
        if contract.arrow.nullable or pa.types.is_list(contract.arrow.type):
            yield from _walk(contract.record, _join(table, column), "")
        else:
            yield from _walk(contract.record, table, f"{column}.")


def _of_field(contract: FieldContract, table: str, column: str) -> Iterator[Expectation]:
    is_list = pa.types.is_list(contract.arrow.type)
    if not contract.arrow.nullable and (contract.record is None or is_list):
        checked = column + COUNT if is_list else column
        yield Expectation(_name(table, column, "not_null"), table, checked, "expect_column_values_to_not_be_null")
    for mark in contract.marks:
        yield _of_mark(mark, table, column, is_list=is_list)


def _of_mark(mark: Mark, table: str, column: str, *, is_list: bool) -> Expectation:
    match mark:
        case Range(low, high, warn):
            bounds = {"min_value": low, "max_value": high}
            severity: Severity = "warning" if warn else "critical"
            return Expectation(_name(table, column, "in_range"), table, column, "expect_column_values_to_be_between", bounds, severity)
        case OneOf(values):
            return Expectation(_name(table, column, "in_set"), table, column, "expect_column_values_to_be_in_set", {"value_set": list(values)})
        case NonEmpty() if is_list:
            return Expectation(_name(table, column, "not_empty"), table, column + COUNT, "expect_column_values_to_be_between", {"min_value": 1})
        case NonEmpty():
            return Expectation(_name(table, column, "not_empty"), table, column, "expect_column_value_lengths_to_be_between", {"min_value": 1})
        case Unique():
            return Expectation(_name(table, column, "unique"), table, column, "expect_column_values_to_be_unique")
        case HexId():
            return Expectation(_name(table, column, "hex_id"), table, column, "expect_column_values_to_match_regex", {"regex": HEX_ID})


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _name(table: str, column: str, fault: str) -> str:
    return f"{_join(table, column).replace('.', '_')}_{fault}"
