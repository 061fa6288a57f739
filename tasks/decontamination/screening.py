"""What hits do to records: one that holds a benchmark's text becomes a drop named `contaminated`, pointing at the benchmark's row.

Of a prompt every turn is looked at; of a conversation the turns that were generated, its prompt having been screened before.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.records import Drop, Prompt, drop_record, drop_row

if TYPE_CHECKING:
    from tasks.decontamination.index import Hit

REASON = "contaminated"


def drop_contaminated_prompts(prompts: Sequence[Prompt], benchmarks: Path | None) -> tuple[list[Prompt], list[Drop]]:
    """Part prompts into clean ones and drops; `benchmarks` is what `keep_benchmarks` gave."""
    if benchmarks is None or not prompts:
        return list(prompts), []
    texts = [(number, turn.content) for number, prompt in enumerate(prompts) for turn in prompt.messages]
    owners = np.array([number for number, _ in texts])
    hits = _first_hits(pa.array([text for _, text in texts], pa.large_string()), owners, benchmarks)
    drops = [drop_record(prompts[number], stage="screen", **_why(hit)) for number, hit in hits.items()]
    return [prompt for number, prompt in enumerate(prompts) if number not in hits], drops


def drop_contaminated_conversations(table: pa.Table, benchmarks: Path | None) -> tuple[pa.Table, list[Drop]]:
    """Part a shard of conversations in the same way; no record becomes a Python object, but for the drops."""
    if benchmarks is None or not table.num_rows:
        return table, []
    texts, owners = _generated_turns(table)
    hits = _first_hits(texts, owners, benchmarks)
    hit = np.zeros(table.num_rows, np.bool_)
    hit[list(hits)] = True
    dropped = zip(np.flatnonzero(hit).tolist(), table.filter(pa.array(hit)).to_pylist(), strict=True)
    drops = [drop_row("conversation", row, stage="filter", **_why(hits[number])) for number, row in dropped]
    return table.filter(pa.array(~hit)), drops


def _generated_turns(table: pa.Table) -> tuple[pa.Array, np.ndarray[Any, Any]]:
    """Lay out the generated turns of all rows, with the row of each."""
    messages = table["messages"].combine_chunks()
    owners = np.asarray(pc.list_parent_indices(messages))
    ends = np.cumsum(np.asarray(pc.list_value_length(messages)))
    turn = np.arange(len(owners)) - np.concatenate([[0], ends[:-1]])[owners]
    generated = turn >= np.asarray(table["prompt_turns"])[owners]
    return pc.struct_field(pc.list_flatten(messages), "content").filter(pa.array(generated)), owners[generated]


def _first_hits(texts: pa.Array, owners: np.ndarray[Any, Any], benchmarks: Path) -> "dict[int, Hit]":
    """Keep each record's first hit, in the order of its turns."""
    from tasks.decontamination.index import find_hits, load_index  # imports numba

    hits = find_hits(texts, load_index(benchmarks))
    first: dict[int, Hit] = {}
    for place in sorted(hits):
        first.setdefault(int(owners[place]), hits[place])
    return first


def _why(hit: "Hit") -> dict[str, Any]:
    return {
        "reason": REASON,
        "detail": hit.detail,
        "points_to": hit.row,
        "benchmark": hit.benchmark,
        "ngram": hit.ngram,
        "similarity": hit.similarity,
    }
