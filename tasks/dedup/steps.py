"""What a worker does in a search: one function a pass, each reading files, writing one result whole, and doing nothing if that is there.

    sketch    a partition's texts to facts of rows, signatures, and keys in order (of bands, of digests)
    join      one range of all partitions' keys to pairs of rows that share one
    check     a partition's candidate pairs to edges between rows that are alike
    cluster   all edges to clusters, each with its keeper
    describe  a partition's copies to ids, method and similarity
    gather    all copies to one file

Only `sketch` sees text. Memory: a batch of texts and a partition's hashes; a range of keys; a partition's pairs; some 9 bytes a row of
the corpus in `cluster`.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.storage import read_table, write_table
from tasks.dedup import graph
from tasks.dedup.arrays import KEY, PAIR, ROW, Records, Rows, gather_rows, join_fields, load, read_range, save
from tasks.dedup.compare import similarities
from tasks.dedup.plan import Plan, bands_of, least_agreement
from tasks.dedup.shards import format_ids, read_batches
from tasks.dedup.sketch import ShingleSets, Sketches, shingle_sets, sketch

COPIES = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("keeper_id", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("similarity", pa.float32(), nullable=False),
    ]
)
_HASHES = 1 << 64


def sketch_partition(plan: Plan, part: int) -> None:
    """Sketch a partition's texts, a batch at a time."""
    done = plan.scratch_file("rows", part)
    if done.exists():
        return
    facts: list[Records] = [np.empty(0, ROW)]
    made: list[Sketches] = [sketch(pa.array([], pa.string()), shingle=plan.near.shingle, permutations=plan.signature)]
    sets: list[ShingleSets] = []
    for shard in plan.partitions[part]:
        for batch in read_batches(shard, plan.kind):
            facts.append(batch.rows)
            made.append(sketch(batch.texts, shingle=plan.near.shingle, permutations=plan.signature))
            if plan.options.near and plan.near.verify:
                sets.append(shingle_sets(batch.texts, made[-1].counts, shingle=plan.near.shingle))
    if plan.options.near and plan.near.verify:
        _save_sets(plan, part, sets)
    rows = np.concatenate(facts)
    _save_keys(plan, part, rows, made)
    save(done, rows)


def join_range(plan: Plan, bucket: int) -> None:
    """Pair the rows that share a key in one range of hashes; copies of the whole text are edges at once, those of a band candidates."""
    low, high = (_HASHES * edge // plan.buckets for edge in (bucket, bucket + 1))
    for name, pair, wanted in (("digests", _pair_exact, plan.options.exact), ("bands", _pair_near, plan.options.near)):
        done = plan.scratch_file(f"{name}-pairs", bucket)
        if done.exists() or not wanted:
            continue
        ranges = [read_range(plan.scratch_file(name, part), "key", low, high) for part in range(len(plan.partitions))]
        keys = _with_company(np.concatenate(ranges))
        save(done, np.unique(pair(keys, gather_rows(plan, keys["row"]))))


def check_partition(plan: Plan, part: int) -> None:
    """Keep those candidates, from all ranges, that begin in this partition and are alike."""
    done = plan.scratch_file("edges", part)
    if done.exists():
        return
    low, high = plan.bounds[part], plan.bounds[part + 1]
    pairs = np.unique(np.concatenate([read_range(plan.scratch_file("bands-pairs", bucket), "first", low, high) for bucket in range(plan.buckets)]))
    near = plan.near
    least = near.threshold if near.verify else least_agreement(near.threshold, near.permutations)
    save(done, pairs[similarities(plan, pairs["first"], pairs["second"]) >= least])


def cluster(plan: Plan, _: int) -> None:
    """Join edges to clusters and choose each one's keeper: not gated before gated, the best score, the least id."""
    done = plan.scratch_file("found")
    if done.exists():
        return
    parents = np.arange(plan.bounds[-1])
    touched = np.zeros(len(parents), np.bool_)
    for path in _edge_files(plan):
        edges = np.array(load(path))
        graph.unite(parents, edges["first"], edges["second"])
        touched[edges["first"]] = touched[edges["second"]] = True
    members = np.flatnonzero(touched)
    graph.flatten(parents, members)
    save(done, _choose(members, parents[members], gather_rows(plan, members)))


def describe_partition(plan: Plan, part: int) -> None:
    """Name a partition's copies, their keepers, and how alike they are."""
    done = _described(plan, part)
    if done.exists():
        return
    found = read_range(plan.scratch_file("found"), "first", plan.bounds[part], plan.bounds[part + 1])
    copies, keepers = gather_rows(plan, found["first"]), gather_rows(plan, found["second"])
    exact = (copies["digest_high"] == keepers["digest_high"]) & (copies["digest_low"] == keepers["digest_low"]) & plan.options.exact
    similarity = np.ones(len(found), np.float32)
    similarity[~exact] = similarities(plan, found["first"][~exact], found["second"][~exact])
    methods = pa.array(np.where(exact, "exact", "near"), pa.string())
    columns = [_ids(copies), _ids(keepers), methods, pa.array(similarity)]
    write_table(done, pa.Table.from_arrays(columns, schema=COPIES))


def gather_copies(plan: Plan, copies: Path) -> None:
    """Write all copies in the order of their ids."""
    tables = [read_table(_described(plan, part)) for part in range(len(plan.partitions))]
    write_table(copies, pa.concat_tables([COPIES.empty_table(), *tables]).sort_by("record_id"))


def _save_sets(plan: Plan, part: int, sets: list[ShingleSets]) -> None:
    sizes = np.concatenate([np.empty(0, np.int64), *(np.diff(one.starts) for one in sets)])
    save(plan.scratch_file("set-starts", part), np.concatenate([[0], np.cumsum(sizes)]))
    save(plan.scratch_file("set-values", part), np.concatenate([np.empty(0, np.uint32), *(one.values for one in sets)]))


def _save_keys(plan: Plan, part: int, rows: Records, made: list[Sketches]) -> None:
    """Save signatures and sorted keys, and put the digests into the rows."""
    digests, counts = np.concatenate([one.digests for one in made]), np.concatenate([one.counts for one in made])
    rows["digest_high"], rows["digest_low"] = digests[:, 0], digests[:, 1]
    numbers = plan.bounds[part] + np.arange(len(rows))
    if plan.options.exact:
        told = counts >= 0
        save(plan.scratch_file("digests", part), _sorted_keys(digests[told, 0], numbers[told]))
    if plan.options.near:
        signatures = np.concatenate([one.signatures for one in made])
        save(plan.scratch_file("signatures", part), signatures)
        told, shape = counts > 0, bands_of(plan.near)
        keys = graph.band_keys(signatures[told], shape.bands, shape.rows)
        save(plan.scratch_file("bands", part), _sorted_keys(keys.ravel(), np.repeat(numbers[told], shape.bands)))


def _sorted_keys(keys: NDArray[np.uint64], rows: Rows) -> Records:
    order = np.argsort(keys)
    return join_fields(KEY, key=keys[order], row=rows[order])


def _with_company(keys: Records) -> Records:
    """Keep records whose key another one has, in the order of keys."""
    keys = keys[np.argsort(keys["key"])]
    alike = keys["key"][1:] == keys["key"][:-1]
    company = np.append(alike, False) | np.insert(alike, 0, False) if len(keys) else slice(0)
    return keys[company]


def _pair_exact(keys: Records, facts: Records) -> Records:
    order = np.lexsort((facts["id_low"], facts["id_high"], facts["digest_low"], keys["key"]))
    hashes, rows = facts[["digest_high", "digest_low"]][order], keys["row"][order]
    alike = hashes[1:] == hashes[:-1]
    return _pairs(rows[:-1][alike], rows[1:][alike])


def _pair_near(keys: Records, facts: Records) -> Records:
    # The order inside a group decides who meets whom in a large one: a hash of id and key, so that no order of rows matters and each band deals anew.
    shuffle = graph.mix_all(facts["id_low"] ^ keys["key"])
    order = np.lexsort((shuffle, keys["key"]))
    first, second = graph.pair_up(keys["key"][order], facts["owner"][order], keys["row"][order])
    return _pairs(first, second)


def _pairs(one: Rows, other: Rows) -> Records:
    return join_fields(PAIR, first=np.minimum(one, other), second=np.maximum(one, other))


def _edge_files(plan: Plan) -> list[Path]:
    exact = [plan.scratch_file("digests-pairs", bucket) for bucket in range(plan.buckets)] if plan.options.exact else []
    near = [plan.scratch_file("edges", part) for part in range(len(plan.partitions))] if plan.options.near else []
    return exact + near


def _choose(members: Rows, roots: Rows, facts: Records) -> Records:
    order = np.lexsort((facts["id_low"], facts["id_high"], -facts["score"], facts["gated"], roots))
    members, roots = members[order], roots[order]
    leads = np.insert(roots[1:] != roots[:-1], 0, True)[: len(roots)]
    keepers = members[np.flatnonzero(leads)[np.cumsum(leads) - 1]]
    found = join_fields(PAIR, first=members[~leads], second=keepers[~leads])
    return found[np.argsort(found["first"])]


def _described(plan: Plan, part: int) -> Path:
    return plan.scratch / f"copies-{part:05}.parquet"


def _ids(rows: Records) -> pa.Array:
    return format_ids(rows["id_high"], rows["id_low"])
