"""Great Expectations over one Parquet partition, made to run on a Dask worker; results merge into one document a data set.

Nested columns are laid flat with Arrow first (a table of rows, and one of each list's items), so that Great Expectations checks plain
pandas columns (tasks/validation/suites.py).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.storage import read_table
from schemas.contract import arrow_schema, from_row
from schemas.errors import ContractError
from schemas.expectations import COUNT, Expectation, Severity, expectations
from schemas.records import Drop, drop_record
from tasks.validation.row_rules import Ints, row_rules
from tasks.validation.suites import run_suite

NAMED_ROWS = 20
"""Failing rows named for each expectation in the merged document: enough to look at, however many failed."""

PARTITION_ROWS = 50_000
PARTITION_BYTES = 128 << 20
"""Of Parquet before compression. A check holds a partition as Arrow, and its flat columns as pandas objects: some three times as much."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one expectation found in one partition."""

    name: str
    severity: Severity
    evaluated: int
    """Items looked at: rows, or turns, models and so on inside them."""
    unexpected: int
    """Items that failed."""
    rows: tuple[int, ...]
    """Places of the rows that they are in, ascending."""
    record_ids: tuple[str, ...]
    """Ids of the first of those rows."""

    @property
    def fails(self) -> bool:
        """Whether data with this result must not be published."""
        return self.unexpected > 0 and self.severity == "critical"


@dataclass(frozen=True, slots=True)
class PartitionResult:
    """What validation found in one partition."""

    record: str
    """The record class's name."""
    part: str
    """The file's name."""
    rows: int
    checks: tuple[CheckResult, ...]

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The checks that keep the data from being published."""
        return tuple(check for check in self.checks if check.fails)


@dataclass(frozen=True, slots=True)
class SplitRows:
    """A partition's rows parted by their validation."""

    good: pa.Table
    drops: tuple[Drop, ...]


def validate_partition(paths: Path | Sequence[Path], record: type, *, context_tokens: int | None = None) -> PartitionResult:
    """Check Parquet files, taken as one partition, against their contract. Raises ContractError if the columns are not the contract's at all."""
    files = [paths] if isinstance(paths, Path) else list(paths)
    table = pa.concat_tables(read_contracted(path, record) for path in files)
    return validate_table(table, record, part=files[0].name, context_tokens=context_tokens)


def partition_parts(paths: Sequence[Path], *, rows: int = PARTITION_ROWS, size: int = PARTITION_BYTES) -> tuple[tuple[Path, ...], ...]:
    """Group files, in order, into partitions of so many rows or bytes at most, or of one file: a suite costs 0.4 s however few rows it looks at."""
    groups: list[list[Path]] = []
    rows_left = bytes_left = 0
    for path in paths:
        footer = pq.read_metadata(path)
        weight = sum(footer.row_group(number).total_byte_size for number in range(footer.num_row_groups))
        if not groups or footer.num_rows > rows_left or weight > bytes_left:
            groups.append([])
            rows_left, bytes_left = rows, size
        groups[-1].append(path)
        rows_left, bytes_left = rows_left - footer.num_rows, bytes_left - weight
    return tuple(tuple(group) for group in groups)


def read_contracted(path: Path, record: type) -> pa.Table:
    """Read a Parquet file whose schema must be exactly the contract's. Raises ContractError or StorageError."""
    table = read_table(path)
    wanted = arrow_schema(record)
    if not table.schema.equals(wanted, check_metadata=False):
        raise ContractError(f"{path}: its columns are not those of {record.__name__}: {_schema_difference(table.schema, wanted)}")
    return table


def validate_table(table: pa.Table, record: type, *, part: str = "", context_tokens: int | None = None) -> PartitionResult:
    """Run a record class's suite over a table of its rows."""
    rows = _as_structs(table)
    ids = table.column(0)
    checks: list[CheckResult] = []
    for name, wanted in groupby(sorted(expectations(record), key=_by_table), key=_by_table):
        frame = _flatten(rows, record, name, context_tokens)
        checks.extend(_run(frame, tuple(wanted), ids, record, name))
    return PartitionResult(record.__name__, part, table.num_rows, tuple(checks))


def merge_results(results: Iterable[PartitionResult], record: type) -> dict[str, Any]:
    """Join all partitions' results into the document that a release keeps under expectations/."""
    parts = sorted(results, key=lambda one: one.part)
    merged = [_merge_check(spec, [check for part in parts for check in part.checks if check.name == spec.name]) for spec in expectations(record)]
    return {
        "record": record.__name__,
        "great_expectations": version("great-expectations"),
        "success": not any(part.failures for part in parts),
        "partitions": len(parts),
        "rows": sum(part.rows for part in parts),
        "expectations": merged,
    }


def refuse_failures(results: Iterable[PartitionResult]) -> None:
    """Raise ContractError naming each failed expectation with its first rows, if there is any."""
    failed = [(part, check) for part in results for check in part.failures]
    if not failed:
        return
    lines = [f"  {part.record} {part.part}: {check.name} failed for {len(check.rows)} rows, first {check.record_ids[0]}" for part, check in failed[:8]]
    more = [f"  and {len(failed) - 8} more"] if len(failed) > 8 else []
    raise ContractError("\n".join(["the data breaks its contract; nothing was published:", *lines, *more]))


def split_failures(table: pa.Table, result: PartitionResult, record: type) -> SplitRows:
    """Part the rows that failed from the good ones; a bad row's reason is the first expectation that it failed."""
    reasons: dict[int, list[str]] = {}
    for check in result.failures:
        for row in check.rows:
            reasons.setdefault(row, []).append(check.name)
    good = np.setdiff1d(np.arange(table.num_rows), np.fromiter(reasons, np.int64, len(reasons)))
    drops = tuple(_drop(table, row, names, record) for row, names in sorted(reasons.items()))
    return SplitRows(table.take(pa.array(good)), drops)


def _by_table(expectation: Expectation) -> str:
    return expectation.table


@dataclass(frozen=True, slots=True)
class _Frame:
    """Flat columns, and the row of the partition that each item comes from."""

    items: pa.StructArray
    row: Ints
    extra: dict[str, Any]

    def column(self, name: str) -> Any:
        if name in self.extra:
            return self.extra[name]
        found = pc.struct_field(self.items, name.removesuffix(COUNT).split("."))
        return pc.list_value_length(found) if name.endswith(COUNT) else found


def _flatten(rows: pa.StructArray, record: type, table: str, context_tokens: int | None) -> _Frame:
    """Descend into a list's items or an optional record's present values."""
    if not table:
        return _Frame(rows, np.arange(len(rows)), dict(row_rules(rows, record, context_tokens=context_tokens)))
    items, row = rows, np.arange(len(rows))
    for name in table.split("."):
        items = pc.struct_field(items, name)
        if pa.types.is_list(items.type):
            row = row[pc.list_parent_indices(items).to_numpy(zero_copy_only=False)]
            items = pc.list_flatten(items)
        else:
            present = pc.is_valid(items)
            row, items = row[present.to_numpy(zero_copy_only=False)], items.filter(present)
    return _Frame(items, row, {})


def _run(frame: _Frame, wanted: tuple[Expectation, ...], ids: pa.ChunkedArray, record: type, table: str) -> list[CheckResult]:
    if not len(frame.row):
        return [CheckResult(one.name, one.severity, 0, 0, (), ()) for one in wanted]
    found = run_suite(record, table, {one.column: frame.column(one.column) for one in wanted})
    return [_check_result(one, found[one.name], frame.row, ids) for one in wanted]


def _check_result(expectation: Expectation, items: list[int], row: Ints, ids: pa.ChunkedArray) -> CheckResult:
    rows = tuple(int(one) for one in np.unique(row[np.array(items, np.int64)]))
    named = tuple(str(one) for one in ids.take(pa.array(rows[:NAMED_ROWS], pa.int64())).to_pylist())
    return CheckResult(expectation.name, expectation.severity, len(row), len(items), rows, named)


def _merge_check(spec: Expectation, found: Sequence[CheckResult]) -> dict[str, Any]:
    ids = [one for check in found for one in check.record_ids][:NAMED_ROWS]
    unexpected = sum(check.unexpected for check in found)
    return {
        "name": spec.name,
        "type": spec.type,
        "column": ".".join(part for part in (spec.table, spec.column) if part),
        "kwargs": dict(spec.kwargs),
        "severity": spec.severity,
        "success": unexpected == 0,
        "evaluated": sum(check.evaluated for check in found),
        "unexpected": unexpected,
        "record_ids": ids,
    }


def _drop(table: pa.Table, row: int, reasons: list[str], record: type) -> Drop:
    values = _finite(table.slice(row, 1).to_pylist()[0])
    detail = f"also failed: {', '.join(reasons[1:])}" if len(reasons) > 1 else ""
    return drop_record(from_row(record, values), stage="validate", reason=reasons[0], detail=detail, nth=row)


def _finite(value: Any) -> Any:
    """Replace NaN and infinity, which the drop's JSON can't hold, by null."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_structs(table: pa.Table) -> pa.StructArray:
    column = table.combine_chunks().to_struct_array()
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _schema_difference(found: pa.Schema, wanted: pa.Schema) -> str:
    if found.names != wanted.names:
        return f"found {', '.join(found.names)}; wanted {', '.join(wanted.names)}"
    return "; ".join(f"{field.name} is {found.field(field.name)}, wanted {field}" for field in wanted if not found.field(field.name).equals(field))
