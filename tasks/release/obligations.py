"""What is in a release by model, source and licence, counted from its rows, and what that asks of whoever holds it."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import RecipeError
from schemas.licences import Licence, allowed_uses, find_joined, find_licence
from schemas.records import Drop


class ModelOnRows(NamedTuple):
    """A model in a role, as rows name it."""

    role: str
    model: str
    revision: str
    licence: str
    engine: str


class SourceOnRows(NamedTuple):
    """A seed source, as rows name it."""

    name: str
    licence: str


@dataclass
class Usage:
    """Rows by data set that each model and source touched; filled table by table."""

    models: dict[ModelOnRows, Counter[str]] = field(default_factory=dict)
    sources: dict[SourceOnRows, Counter[str]] = field(default_factory=dict)
    rehearsal: bool = False
    """Whether any row is a rehearsal's."""

    def count(self, table: pa.Table, record: type, data_set: str) -> None:
        """Add a table's rows."""
        if table.num_rows == 0:
            return
        if record is Drop:
            self._count_drops(table)
            return
        provenance = table.column("provenance").combine_chunks()
        provenance = provenance.combine_chunks() if isinstance(provenance, pa.ChunkedArray) else provenance
        self.rehearsal = self.rehearsal or bool(pc.any(pc.struct_field(provenance, "rehearsal")).as_py())
        for names, rows in _distinct(pc.struct_field(provenance, "models"), ModelOnRows._fields):
            self.models.setdefault(ModelOnRows(*names), Counter())[data_set] += rows
        for names, rows in _distinct(pc.struct_field(provenance, "sources"), SourceOnRows._fields):
            self.sources.setdefault(SourceOnRows(*names), Counter())[data_set] += rows

    def licences(self) -> tuple[Licence, ...]:
        """List the licences of every model and source on a row, by id. Raises RecipeError for an unknown one."""
        joined = {one.licence for one in self.models} | {one.licence for one in self.sources}
        found = {licence.id: licence for one in joined for licence in find_joined(one)}
        return tuple(found[name] for name in sorted(found))

    def _count_drops(self, table: pa.Table) -> None:
        for text in table.column("record").to_pylist():
            provenance = json.loads(text).get("provenance") or {}
            self.rehearsal = self.rehearsal or bool(provenance.get("rehearsal"))
            for model in {ModelOnRows(*(use[name] for name in ModelOnRows._fields)) for use in provenance.get("models", ())}:
                self.models.setdefault(model, Counter())["dropped"] += 1
            for source in {SourceOnRows(one["name"], one["licence"]) for one in provenance.get("sources", ())}:
                self.sources.setdefault(source, Counter())["dropped"] += 1


@dataclass(frozen=True, slots=True)
class Obligations:
    """What the licences ask of data, and of models trained on it. Facts, not legal advice."""

    licences: tuple[Licence, ...]
    display: tuple[str, ...]
    """Said prominently where the data, or a model trained on it, is offered."""
    model_name_prefixes: tuple[str, ...]
    """What the name of a model trained on the data begins with."""
    attributions: tuple[str, ...]
    """Lines that the data card and NOTICE carry."""

    def to_json(self) -> dict[str, Any]:
        """Write machine-readably, for the manifest."""
        return {
            "licences": [_licence_json(one) for one in self.licences],
            "display": list(self.display),
            "model_name_prefixes": list(self.model_name_prefixes),
            "attributions": list(self.attributions),
        }


def _licence_json(one: Licence) -> dict[str, Any]:
    return {
        "id": one.id,
        "title": one.title,
        "url": one.url,
        "version": one.version,
        "training_allowed": one.training_allowed,
        "allowed_uses": list(allowed_uses(one)),
        "forbids": dict(one.forbids),
        "acceptable_use": one.acceptable_use,
    }


def compute_obligations(licences: Iterable[Licence]) -> Obligations:
    """Join what several licences ask."""
    found = tuple(licences)
    return Obligations(
        found,
        tuple(dict.fromkeys(one.display for one in found if one.display)),
        tuple(dict.fromkeys(one.model_name_prefix for one in found if one.model_name_prefix)),
        tuple(dict.fromkeys(one.attribution for one in found if one.attribution)),
    )


def known_licences(names: Iterable[str]) -> tuple[Licence, ...]:
    """Look up those licences that are known; for showing, where an unknown one must not stop the page."""
    return tuple(_find_quietly(names))


def _find_quietly(names: Iterable[str]) -> Iterator[Licence]:
    for name in sorted({part for joined in names for part in joined.split(" AND ")}):
        try:
            yield find_licence(name)
        except RecipeError:
            continue


def _distinct(lists: pa.ListArray, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Count the rows in which each combination of the named fields occurs, once a row however often it does."""
    items = pc.list_flatten(lists)
    columns: dict[str, Any] = {name: pc.struct_field(items, name) for name in names}
    flat = pa.table(columns | {"row": pc.list_parent_indices(lists)})
    once = flat.group_by([*names, "row"]).aggregate([])
    for row in once.group_by(list(names)).aggregate([("row", "count")]).to_pylist():
        yield tuple(row[name] for name in names), row["row_count"]
