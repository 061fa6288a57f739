"""What is embedded of a record: all its turns, each on a line of its own, as tasks/dedup compares them; cut to what the model takes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tasks.dedup.arrays import Records
from tasks.dedup.plan import Kind
from tasks.dedup.shards import join_turns, rows_of
from tasks.semantic.vectors import FACTS

CHARACTERS_PER_TOKEN = 3
"""Few enough that a text cut by it fits into the model's context: English has four or more."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A shard's records that are to be embedded."""

    facts: Records
    """Of dtype FACTS; `row` is the place in the shard."""
    ids: list[str]
    """Under which their calls are kept: of the prompt."""
    texts: list[str]


def read_texts(table: pa.Table, kind: Kind, without: Records, *, context_tokens: int) -> Texts:
    """Take a shard's texts, but for the rows that tasks/dedup found to be copies."""
    stays = np.setdiff1d(np.arange(table.num_rows), without["row"])
    kept = table.take(pa.array(stays)).combine_chunks()
    facts = np.empty(kept.num_rows, FACTS)
    rows = [rows_of(batch, kind) for batch in kept.to_batches()]
    for name in ("id_high", "id_low", "owner", "score", "gated"):
        facts[name] = np.concatenate([np.empty(0, facts.dtype[name]), *(one[name] for one in rows)])
    facts["row"] = stays
    longest = context_tokens * CHARACTERS_PER_TOKEN
    return Texts(facts, kept["prompt_id"].to_pylist(), [text[:longest] for text in _turns(kept)])


def _turns(table: pa.Table) -> Iterator[str]:
    for batch in table.to_batches():
        yield from join_turns(batch.column("messages")).to_pylist()
