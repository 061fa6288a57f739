"""Great Expectations itself: one ephemeral context and one suite for each flat table, built once a process.

Its import costs seconds, so it happens inside functions, on the worker that validates. Read in 1.24.1: an ephemeral context writes no file
and opens no connection, and nothing counts usage any more; releases before that do unless the environment says no, so it does.
"""

import os
import threading
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import pyarrow as pa

from schemas.errors import ContractError
from schemas.expectations import expectations

_LOCK = threading.Lock()


def run_suite(record: type, table: str, columns: Mapping[str, Any]) -> dict[str, list[int]]:
    """Check the flat columns of one table of a record class; the places of the items that failed, by expectation."""
    import pandas as pd

    data = pd.DataFrame({name: _as_pandas(column) for name, column in columns.items()})
    # Great Expectations keeps its current context and its metrics in module state.
    with _LOCK:
        batch, suite = _suite(record, table)
        outcome = batch.get_batch({"dataframe": data}).validate(suite, result_format="COMPLETE")
    return {one.expectation_config.meta["name"]: _unexpected(one) for one in outcome.results}


def _as_pandas(column: Any) -> Any:
    return column.to_pandas() if isinstance(column, pa.Array) else column


def _unexpected(result: Any) -> list[int]:
    if "unexpected_index_list" in result.result:
        return list(result.result["unexpected_index_list"] or ())
    if result.success:
        return []
    name = result.expectation_config.meta["name"]
    raise ContractError(f"Great Expectations could not evaluate {name}: {result.exception_info}")


@cache
def _context() -> Any:
    # Read at import.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx

        context: Any = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    return context


@cache
def _suite(record: type, table: str) -> tuple[Any, Any]:
    """Build a flat table's batch definition and suite, once a process."""
    context = _context()
    import great_expectations as gx

    name = f"{record.__name__}.{table}"
    batch = context.data_sources.add_pandas(name).add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    specs = [one for one in expectations(record) if one.table == table]
    checks = [_implementation(one.type)(column=one.column, severity=one.severity, meta={"name": one.name}, **one.kwargs) for one in specs]
    return batch, gx.ExpectationSuite(name=name, expectations=checks)


def _implementation(name: str) -> Any:
    from great_expectations.expectations.registry import get_expectation_impl

    return get_expectation_impl(name)
