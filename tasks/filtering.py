"""Runs all of a recipe's filters in one pass over a table of conversations, and accounts for every row.

The first filter in the recipe's order that hits a row drops it. A filter that `bars: chosen` drops nothing: it puts its name into the
row's `gate`, the first such filter's name if there are several.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_type_hints

import polars as pl
import pyarrow as pa

from schemas.contract import from_table, to_table
from schemas.records import ATTRIBUTES, Conversation, Drop, drop_record
from tasks.catalogue import LoadedFilter


@dataclass(frozen=True, slots=True)
class Filtered:
    """What a pass made of a table: rows in == rows kept + drops."""

    kept: pa.Table
    """In the order given, with gates set."""
    drops: tuple[Drop, ...]
    gated: dict[str, int]
    """Rows kept that are barred from being chosen, by filter."""


def filter_table(table: pa.Table, filters: Sequence[LoadedFilter]) -> Filtered:
    """Filter a table of conversations."""
    hits = find_hits(to_batch(table), filters)
    kept = table.filter(pa.array((hits["dropped_by"].is_null()).to_list(), type=pa.bool_()))
    new = hits.filter(pl.col("dropped_by").is_null())["gated_by"].to_list()
    gates = [old or name for old, name in zip(kept["gate"].to_pylist(), new, strict=True)]
    at = kept.schema.get_field_index("gate")
    kept = kept.set_column(at, kept.schema.field(at), pa.array(gates, type=pa.string()))
    gated = Counter(name for name in gates if name is not None)
    return Filtered(kept, _drop_hits(table, hits["dropped_by"], filters), dict(sorted(gated.items())))


def filter_conversations(conversations: Sequence[Conversation], filters: Sequence[LoadedFilter]) -> tuple[tuple[Conversation, ...], tuple[Drop, ...]]:
    """Filter a few conversations, as records: those kept, with gates set, and the drops."""
    filtered = filter_table(to_table(conversations, Conversation), filters)
    return tuple(from_table(filtered.kept, Conversation)), filtered.drops


def to_batch(table: pa.Table) -> pl.DataFrame:
    """Make the columns that filters see.

    prompt (the prompt's turns), asked (the last of them), answers (list of generated assistant turns), answer (the same, joined), last_answer, finish_reason,
    prompt_tokens, completion_tokens, technique, category, response, reward and the five attributes (null where not scored), passed
    (null where no verifier judged).
    """
    generated = pl.col("messages").list.slice(pl.col("prompt_turns"))
    said = pl.element().filter(pl.element().struct.field("role") == "assistant").struct.field("content")
    plain = ("finish_reason", "prompt_tokens", "completion_tokens", "technique", "category", "response")
    wanted = table.select(["messages", "prompt_turns", "scores", "verdict", *plain])
    frame = pl.DataFrame(pl.from_arrow(wanted)).select(
        pl.col("messages").list.head(pl.col("prompt_turns")).list.eval(pl.element().struct.field("content")).list.join("\n\n").alias("prompt"),
        pl.col("messages").list.get(pl.col("prompt_turns") - 1).struct.field("content").alias("asked"),
        generated.list.eval(said).alias("answers"),
        *plain,
        *(pl.col("scores").struct.field(name).alias(name) for name in ("reward", *ATTRIBUTES)),
        pl.col("verdict").struct.field("passed").alias("passed"),
    )
    return frame.with_columns(pl.col("answers").list.join("\n\n").alias("answer"), pl.col("answers").list.last().fill_null("").alias("last_answer"))


def find_hits(batch: pl.DataFrame, filters: Sequence[LoadedFilter]) -> pl.DataFrame:
    """Name, for each row, the first filter that drops it (`dropped_by`) and the first that gates it (`gated_by`)."""
    quick = batch.select(_expressions(batch, filters))
    dropped_by = pl.repeat(None, batch.height, dtype=pl.String, eager=True)
    gated_by = dropped_by
    for number, one in enumerate(filters):
        alive = dropped_by.is_null()
        hit = alive & (quick[str(number)] if str(number) in quick.columns else _ask_slowly(one, batch, alive))
        name = pl.Series([one.name])
        if one.bars_row:
            dropped_by = name.zip_with(hit, dropped_by)
        else:
            gated_by = name.zip_with(hit & gated_by.is_null(), gated_by)
    return pl.DataFrame({"dropped_by": dropped_by, "gated_by": gated_by})


def _expressions(batch: pl.DataFrame, filters: Sequence[LoadedFilter]) -> list[pl.Expr]:
    """Collect the filters that polars computes by itself, all in one pass."""
    return [one.function(batch, **one.parameters).fill_null(False).alias(str(number)) for number, one in enumerate(filters) if not _is_slow(one)]


def _ask_slowly(one: LoadedFilter, batch: pl.DataFrame, alive: pl.Series) -> pl.Series:
    """Ask a filter that works row by row, only about rows that no filter before it has dropped."""
    rows = alive.arg_true()
    answers = one.function(batch[rows], **one.parameters)
    return pl.repeat(False, batch.height, dtype=pl.Boolean, eager=True).scatter(rows, answers.fill_null(False))


def _is_slow(one: LoadedFilter) -> bool:
    return get_type_hints(one.function)["return"] is pl.Series


def _drop_hits(table: pa.Table, dropped_by: pl.Series, filters: Sequence[LoadedFilter]) -> tuple[Drop, ...]:
    rows = dropped_by.is_not_null().arg_true().to_list()
    how = {one.name: ", ".join(f"{name}={value}" for name, value in one.parameters.items()) for one in filters}
    lost = from_table(table.take(rows), Conversation) if rows else []
    return tuple(drop_record(record, stage="filter", reason=dropped_by[row], detail=how[dropped_by[row]]) for row, record in zip(rows, lost, strict=True))
