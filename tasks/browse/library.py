"""One release, open to be browsed: its data sets indexed when first asked for, and the threads between their rows."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tasks.browse.asking import Found, Question, answer
from tasks.browse.index import Index, Place, build_index
from tasks.browse.reading import Row, RowReader
from tasks.release.inputs import DATA_SETS
from tasks.release.manifest import read_manifest

_MOST_RELATED = 30
_DEEPEST = 12
"""Parents followed."""


@dataclass(frozen=True, slots=True)
class Related:
    """A row that has to do with another."""

    data_set: str
    id: str
    what: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of a page."""

    id: str
    split: str
    row: Row


@dataclass(frozen=True, slots=True)
class Shown:
    """A row, whole, with where it comes from and what came of it."""

    data_set: str
    id: str
    split: str
    row: Row
    ancestors: tuple[Listed, ...]
    """The prompts that it was made from, its own first."""
    related: tuple[Related, ...]


class Library:
    """A release's rows. Raises NotFoundError, StorageError."""

    def __init__(self, release: Path) -> None:
        self.release = release
        self.manifest: dict[str, Any] = read_manifest(release)
        self.data_sets = tuple(name for name in DATA_SETS if any((release / name).rglob("part-*.parquet")))
        self._indexes: dict[str, Index] = {}
        self._lock = threading.Lock()
        self._reader = RowReader()

    def index(self, data_set: str) -> Index:
        """Index a data set, once."""
        with self._lock:
            if data_set not in self._indexes:
                self._indexes[data_set] = build_index(self.release, data_set)
            return self._indexes[data_set]

    def count(self, data_set: str) -> int:
        """Count a data set's rows, by the manifest."""
        return sum(rows for name, rows in self.manifest["rows"].items() if name.partition("/")[0] == data_set)

    def find(self, question: Question) -> tuple[Found, list[Listed]]:
        """Answer a question with a page of rows."""
        index = self.index(question.data_set)
        found = answer(index, question)
        places = [index.place(number) for number in found.numbers]
        rows = self._reader.rows(places)
        return found, [Listed(index.frame["id"][number], place.split, row) for number, place, row in zip(found.numbers, places, rows, strict=True)]

    def show(self, data_set: str, row_id: str) -> Shown | None:
        """Read a row and its surroundings; None if there is none of that id."""
        index = self.index(data_set)
        number = _number_of(index, row_id)
        if number is None:
            return None
        place = index.place(number)
        row = self._reader.row(place)
        return Shown(data_set, row_id, place.split, row, self._ancestors(data_set, row), self._related(data_set, row_id, row))

    def _listed(self, index: Index, number: int) -> Listed:
        place: Place = index.place(number)
        return Listed(index.frame["id"][number], place.split, self._reader.row(place))

    def _ancestors(self, data_set: str, row: Row) -> tuple[Listed, ...]:
        if "prompts" not in self.data_sets:
            return ()
        index, found, wanted = self.index("prompts"), list[Listed](), [_prompt_of(data_set, row)] if data_set != "prompts" else _parents(row)
        seen: set[str] = set()
        while wanted and len(found) < _DEEPEST:
            one = wanted.pop(0)
            if one is None or one in seen:
                continue
            seen.add(one)
            number = _number_of(index, one)
            if number is not None:
                found.append(self._listed(index, number))
                wanted += _parents(found[-1].row)
        return tuple(found)

    def _related(self, data_set: str, row_id: str, row: Row) -> tuple[Related, ...]:
        if data_set == "dropped":
            return self._pointed_at(row)
        prompt = row_id if data_set == "prompts" else _prompt_of(data_set, row)
        found = [*self._siblings("sft", prompt, "answer to the same prompt"), *self._siblings("preferences", prompt, "pair of answers to the same prompt")]
        found += self._drops_of(row_id, row)
        return tuple(one for one in found if one.id != row_id)[:_MOST_RELATED]

    def _siblings(self, data_set: str, prompt: str | None, what: str) -> list[Related]:
        if prompt is None or data_set not in self.data_sets:
            return []
        rows = self.index(data_set).frame.filter(pl.col("prompt") == prompt)
        return [Related(data_set, one, what) for one in rows["id"].head(_MOST_RELATED).to_list()]

    def _drops_of(self, row_id: str, row: Row) -> list[Related]:
        if "dropped" not in self.data_sets:
            return []
        ids = [row_id, *(row[name] for name in ("chosen_id", "rejected_id") if name in row)]
        rows = self.index("dropped").frame.filter(pl.col("record").is_in(ids)).head(_MOST_RELATED)
        return [Related("dropped", one["id"], f"dropped at {one['stage']}: {one['reason']}") for one in rows.iter_rows(named=True)]

    def _pointed_at(self, row: Row) -> tuple[Related, ...]:
        target = row.get("points_to")
        if not target:
            return ()
        held = [name for name in ("sft", "prompts", "preferences") if name in self.data_sets and _number_of(self.index(name), target) is not None]
        return tuple(Related(name, target, "kept in its place") for name in held)


def _number_of(index: Index, row_id: str) -> int | None:
    found = index.frame.select((pl.col("id") == row_id).arg_true())
    return int(found.item(0, 0)) if len(found) else None


def _prompt_of(data_set: str, row: Row) -> str | None:
    record: Mapping[str, Any] = row["record"] if data_set == "dropped" and isinstance(row.get("record"), Mapping) else row
    found = record.get("prompt_id")
    return found if isinstance(found, str) else None


def _parents(row: Row) -> list[str | None]:
    lineage = row.get("lineage") or {}
    return [lineage.get("parent"), *(lineage.get("parents") or ())]
