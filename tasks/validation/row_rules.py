"""The rules of a row that span its fields, computed column-wise over Arrow: a boolean for each row, under each rule's name.

The rules themselves, with their meaning, are listed in schemas/expectations.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import RecipeError
from schemas.licences import find_licence
from schemas.records import ATTRIBUTES, Conversation, Preference, Prompt

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

SYSTEM, USER, ASSISTANT = 0, 1, 2
MARGIN_TOLERANCE = 1e-4
"""Relative; rewards and margin are 32-bit floats, good to about 1e-7."""


@dataclass(frozen=True, slots=True)
class Turns:
    """The roles of a column of conversations, laid flat."""

    roles: Ints
    """Of each turn; -1 for an unknown role."""
    row: Ints
    """The row that each turn belongs to."""
    place: Ints
    """The turn's place in its row, from 0."""
    count: Ints
    """Turns of each row."""

    @classmethod
    def of(cls, column: pa.ListArray) -> "Turns":
        """Lay out a `list<struct<role, content>>` column."""
        row = pc.list_parent_indices(column).to_numpy(zero_copy_only=False).astype(np.int64)
        names = pc.struct_field(pc.list_flatten(column), "role")
        roles = pc.fill_null(pc.index_in(names, value_set=pa.array(["system", "user", "assistant"])), -1)
        count = np.bincount(row, minlength=len(column))
        starts = np.concatenate(([0], np.cumsum(count)[:-1])) if len(column) else np.zeros(0, np.int64)
        return cls(roles.to_numpy(zero_copy_only=False).astype(np.int64), row, np.arange(len(row)) - starts[row], count)

    def alternate(self, first: int) -> Bools:
        """Whether turns alternate from `first` on, after an optional system turn."""
        has_system = np.zeros(len(self.count), np.int64)
        has_system[self.row[(self.place == 0) & (self.roles == SYSTEM)]] = 1
        nth = self.place - has_system[self.row]
        wanted = np.where(nth % 2 == 0, first, USER + ASSISTANT - first)
        wrong = self.row[(nth >= 0) & (self.roles != wanted)]
        fine: Bools = np.bincount(wrong, minlength=len(self.count)) == 0
        return fine

    def begin_with(self, role: int) -> Bools:
        """Whether the first turn is of the role."""
        return self._at(np.zeros(len(self.count), np.int64), role)

    def end_with(self, role: int) -> Bools:
        """Whether the last turn is of the role."""
        return self._at(self.count - 1, role)

    def _at(self, places: Ints, role: int) -> Bools:
        found = np.zeros(len(self.count), np.bool_)
        found[self.row[(self.place == places[self.row]) & (self.roles == role)]] = True
        return found


def row_rules(rows: pa.StructArray, record: type, *, context_tokens: int | None = None) -> Mapping[str, Bools]:
    """Compute every rule of a record class over its rows."""
    rules = _RULES.get(record)
    return rules(rows, context_tokens) if rules else {}


def _of_prompts(rows: pa.StructArray, _context: int | None) -> Mapping[str, Bools]:
    turns = Turns.of(pc.struct_field(rows, "messages"))
    return {"turns_alternate": turns.alternate(USER), "ends_with_user": turns.end_with(USER), "licences_are_known": _licences_are_known(rows)}


def _of_conversations(rows: pa.StructArray, context: int | None) -> Mapping[str, Bools]:
    turns = Turns.of(pc.struct_field(rows, "messages"))
    return {
        "turns_alternate": turns.alternate(USER),
        "ends_with_assistant": turns.end_with(ASSISTANT),
        "prompt_is_shorter_than_messages": _numbers(pc.struct_field(rows, "prompt_turns")) < turns.count,
        "completion_fits_context": _completion_fits(rows, context),
        "is_not_gated": _bools(pc.is_null(pc.struct_field(rows, "gate"))),
        "rewards_are_finite": _rewards_are_finite(rows, "scores"),
        "a_model_touched_it": _a_model_touched_it(rows),
        "licences_are_known": _licences_are_known(rows),
    }


def _of_preferences(rows: pa.StructArray, _context: int | None) -> Mapping[str, Bools]:
    prompt, chosen, rejected = (Turns.of(pc.struct_field(rows, name)) for name in ("prompt", "chosen", "rejected"))
    ends = [answer.begin_with(ASSISTANT) & answer.alternate(ASSISTANT) & answer.end_with(ASSISTANT) for answer in (chosen, rejected)]
    return {
        "turns_alternate": prompt.alternate(USER),
        "prompt_ends_with_user": prompt.end_with(USER),
        "answers_end_with_assistant": ends[0] & ends[1],
        "chosen_differs_from_rejected": _answers_differ(rows),
        "margin_is_the_difference": _margin_is_the_difference(rows),
        "rewards_are_finite": _rewards_are_finite(rows, "chosen_scores") & _rewards_are_finite(rows, "rejected_scores"),
        "a_model_touched_it": _a_model_touched_it(rows),
        "licences_are_known": _licences_are_known(rows),
    }


_RULES: Mapping[type, Callable[[pa.StructArray, int | None], Mapping[str, Bools]]] = {
    Prompt: _of_prompts,
    Conversation: _of_conversations,
    Preference: _of_preferences,
}


def _completion_fits(rows: pa.StructArray, context: int | None) -> Bools:
    if context is None:
        return np.ones(len(rows), np.bool_)
    estimated = _bools(pc.fill_null(pc.struct_field(rows, "tokens_inferred"), True))
    return estimated | (_numbers(pc.struct_field(rows, "completion_tokens")) <= context)


def _rewards_are_finite(rows: pa.StructArray, scores: str) -> Bools:
    fine = np.ones(len(rows), np.bool_)
    for name in ("reward", *ATTRIBUTES):
        fine &= _bools(pc.fill_null(pc.is_finite(pc.struct_field(rows, [scores, name])), True))
    return fine


def _a_model_touched_it(rows: pa.StructArray) -> Bools:
    return _bools(pc.greater(pc.fill_null(pc.list_value_length(pc.struct_field(rows, ["provenance", "models"])), 0), 0))


def _licences_are_known(rows: pa.StructArray) -> Bools:
    fine = np.ones(len(rows), np.bool_)
    for part in ("models", "sources"):
        used = pc.struct_field(rows, ["provenance", part])
        names = pc.struct_field(pc.list_flatten(used), "licence")
        unknown = [name for name in pc.unique(names).to_pylist() if not _is_known(name)]
        bad = _bools(pc.is_in(names, value_set=pa.array(unknown, pa.string())))
        fine[pc.list_parent_indices(used).to_numpy(zero_copy_only=False)[bad]] = False
    return fine


def _is_known(licence: str | None) -> bool:
    try:
        return licence is not None and all(find_licence(part) for part in licence.split(" AND "))
    except RecipeError:
        return False


def _answers_differ(rows: pa.StructArray) -> Bools:
    same_id = _bools(pc.fill_null(pc.equal(pc.struct_field(rows, "chosen_id"), pc.struct_field(rows, "rejected_id")), True))
    return ~(same_id | _same_turns(pc.struct_field(rows, "chosen"), pc.struct_field(rows, "rejected")))


def _same_turns(one: pa.ListArray, other: pa.ListArray) -> Bools:
    """Whether rows have the same contents turn by turn, compared in place: joined to one text first, two answers a row took most of a pair's whole check."""
    counts = [pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False) for column in (one, other)]
    same: Bools = counts[0] == counts[1]
    left, right = (one, other) if same.all() else (column.filter(pa.array(same)) for column in (one, other))
    contents = [pc.struct_field(pc.list_flatten(column), "content") for column in (left, right)]
    unlike = pc.list_parent_indices(left).to_numpy(zero_copy_only=False)[~_bools(pc.fill_null(pc.equal(*contents), True))]
    same[np.flatnonzero(same)[np.unique(unlike)]] = False
    return same


def _margin_is_the_difference(rows: pa.StructArray) -> Bools:
    margin = _numbers(pc.struct_field(rows, "margin"))
    chosen, rejected = (_numbers(pc.struct_field(rows, [name, "reward"])) for name in ("chosen_scores", "rejected_scores"))
    expected = chosen - rejected
    close = np.abs(margin - expected) <= MARGIN_TOLERANCE * np.maximum(1.0, np.maximum(np.abs(chosen), np.abs(rejected)))
    return close | (np.isnan(margin) & np.isnan(expected))


def _numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    """Read numbers with null as NaN, so that no comparison with it holds."""
    numbers: npt.NDArray[np.float64] = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return numbers


def _bools(column: Any) -> Bools:
    found: Bools = column.to_numpy(zero_copy_only=False)
    return found.astype(np.bool_)
