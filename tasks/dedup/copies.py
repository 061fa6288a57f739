"""The search for copies as a whole, pass by pass on Dask, and what its findings do to records.

Which copy is kept depends on nothing but the records: not on their order, nor on shards, partitions, workers or retries.
Near-likeness between two conversations on the same prompt does not count (its samples are meant to resemble each other, and
preference pairs are made of right and wrong twins); the same normalised text twice does, on whatever prompt.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from infra.cluster import count_workers, run_tasks
from infra.storage import read_table, write_text
from schemas.identity import canonical_json
from schemas.recipe import DedupOptions
from schemas.records import Conversation, Drop, Prompt, drop_record, drop_row
from tasks.dedup.plan import Kind, Plan, bands_of

if TYPE_CHECKING:
    from distributed import Client

LAYOUT = 1
"""Of what the passes leave behind: a resumed search takes only files of its own layout."""

_PARTITION_BYTES = 32 << 20
_PARTITION_ROWS = 100_000
"""A partition's hashes take some 700 bytes a row at 112 permutations."""
_PARTITIONS_PER_WORKER = 4
_BUCKET_BYTES = 32 << 20
_KEY_BYTES = 16

Text = TypeVar("Text", bound=Prompt | Conversation)


@dataclass(frozen=True, slots=True)
class Copy:
    """Why a record goes."""

    keeper_id: str
    method: str
    """`exact` or `near`."""
    similarity: float
    """Of a near copy, the share of equal values in the two signatures, or the true Jaccard similarity where the recipe asks for it."""


def find_copies(client: "Client", inputs: Sequence[Path], work: Path, options: DedupOptions, *, kind: Kind) -> Path:
    """Find the copies among all records of Parquet shards; write `copies.parquet` in `work` and return its path.

    One row a copy, in the order of ids: record_id, keeper_id, method, similarity. What an earlier, unfinished search of the same shards
    left in `work` is taken up. Raises StorageError; GristmillError if workers keep dying.
    """
    copies = work.absolute() / "copies.parquet"
    plan = make_plan(inputs, copies.parent / "scratch", options, kind=kind, workers=count_workers(client))
    if not _take_up(plan, copies):
        _search(client, plan, copies)
        shutil.rmtree(plan.scratch, ignore_errors=True)
    return copies


def read_copies(copies: Path, ids: Iterable[str]) -> dict[str, Copy]:
    """Read what was found about these records."""
    table = read_table(copies)
    mine = table.filter(pc.is_in(table["record_id"], pa.array(list(ids), pa.string())))
    return {row["record_id"]: Copy(row["keeper_id"], row["method"], row["similarity"]) for row in mine.to_pylist()}


def drop_copies(records: Sequence[Text], copies: Mapping[str, Copy], *, stage: str) -> tuple[list[Text], list[Drop]]:
    """Part records into those kept and the drops of the copies, each pointing at the record kept in its place."""
    ids = [record.prompt_id if isinstance(record, Prompt) else record.conversation_id for record in records]
    kept = [record for one, record in zip(ids, records, strict=True) if one not in copies]
    drops = [drop_record(record, stage=stage, **_why(copies[one])) for one, record in zip(ids, records, strict=True) if one in copies]
    return kept, drops


def drop_copies_from_table(table: pa.Table, copies: Path, kind: Kind, *, stage: str) -> tuple[pa.Table, list[Drop]]:
    """Do what `drop_copies` does to a shard as a table: no record becomes a Python object, but for the drops."""
    ids = table[f"{kind}_id"]
    found = read_copies(copies, ids.to_pylist())
    copied = pc.is_in(ids, pa.array(list(found), pa.string()))
    drops = [drop_row(kind, row, stage=stage, **_why(found[row[f"{kind}_id"]])) for row in table.filter(copied).to_pylist()]
    return table.filter(pc.invert(copied)), drops


def _why(copy: Copy) -> dict[str, Any]:
    how = "the same text, after normalisation, as" if copy.method == "exact" else f"a similarity of {copy.similarity:.3f} to"
    return {
        "reason": f"{copy.method}_duplicate",
        "detail": f"{how} {copy.keeper_id}",
        "points_to": copy.keeper_id,
        "similarity": copy.similarity,
    }


def make_plan(inputs: Sequence[Path], scratch: Path, options: DedupOptions, *, kind: Kind, workers: int) -> Plan:
    """Cut shards into partitions of about equal cost, bounded in size, and hash values into ranges."""
    from tasks.dedup.shards import count_rows

    rows = [count_rows(shard) for shard in inputs]
    costs = [max(shard.stat().st_size / _PARTITION_BYTES, count / _PARTITION_ROWS) for shard, count in zip(inputs, rows, strict=True)]
    most = min(1.0, sum(costs) / (workers * _PARTITIONS_PER_WORKER))
    groups = _group(costs, most)
    partitions = tuple(tuple(inputs[shard].absolute() for shard in group) for group in groups)
    bounds = tuple(accumulate((sum(rows[shard] for shard in group) for group in groups), initial=0))
    keys = sum(rows) * _KEY_BYTES * (bands_of(options.near).bands if options.near else 1)
    return Plan(kind, options, scratch, partitions, bounds, buckets=max(workers, -(-keys // _BUCKET_BYTES)) if inputs else 0)


def _group(costs: Sequence[float], most: float) -> list[list[int]]:
    """Group neighbours so that no group but one of a single member costs more than `most`."""
    groups: list[list[int]] = []
    filled = 0.0
    for number, cost in enumerate(costs):
        if not groups or filled + cost > most:
            groups.append([])
            filled = 0.0
        groups[-1].append(number)
        filled += cost
    return groups


def _take_up(plan: Plan, copies: Path) -> bool:
    """Say whether this very search is finished; clear away what another search left."""
    described = _describe(plan)
    note = copies.with_name("search.json")
    if not note.exists() or note.read_text(encoding="utf-8") != described:
        copies.unlink(missing_ok=True)
        shutil.rmtree(plan.scratch, ignore_errors=True)
        write_text(note, described)
    return copies.exists()


def _describe(plan: Plan) -> str:
    """Tell a search from any other: by its options, its layout, and its shards' names, sizes and times."""
    shards = [[(shard.name, shard.stat().st_size, shard.stat().st_mtime_ns) for shard in part] for part in plan.partitions]
    return canonical_json([LAYOUT, plan.kind, plan.options.model_dump(mode="json"), plan.buckets, shards]).decode()


def _search(client: "Client", plan: Plan, copies: Path) -> None:
    from tasks.dedup import steps

    parts = range(len(plan.partitions))
    run_tasks(client, partial(steps.sketch_partition, plan), parts)
    run_tasks(client, partial(steps.join_range, plan), range(plan.buckets))
    if plan.options.near:
        run_tasks(client, partial(steps.check_partition, plan), parts)
    run_tasks(client, partial(steps.cluster, plan), [0])
    run_tasks(client, partial(steps.describe_partition, plan), parts)
    run_tasks(client, partial(steps.gather_copies, plan), [copies])
