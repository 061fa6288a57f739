"""What a worker does in a search: one function a pass, each reading files, writing one result whole, and doing nothing if that is there.

    sketch    a partition's texts to facts of rows, signatures, and keys in order (of bands, of digests)
    join      one range of all partitions' keys to edges: pairs of rows that share a key and are alike
    cluster   all edges to clusters, each with its keeper
    describe  a partition's copies: keeper, similarity

Only `sketch` sees text. Memory: a batch of texts and a partition's hashes; a range of keys; in `cluster` some hundred bytes a copy.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tasks.dedup import graph
from tasks.dedup.arrays import KEY, PAIR, ROW, Records, Rows, gather_rows, join_fields, load, read_range, save
from tasks.dedup.compare import similarities
from tasks.dedup.found import COPY, EXACT, NEAR, part_file
from tasks.dedup.plan import Plan, bands_of, least_agreement
from tasks.dedup.released import read_index
from tasks.dedup.shards import read_batches
from tasks.dedup.sketch import ShingleSets, Sketches, shingle_sets, sketch

CHUNK_KEYS = 1 << 16
"""Keys joined at once: in the worst case each is paired with 32 others, which makes 50 MB."""
FEW_ROWS = 1 << 17
"""Rows of a search whose copies are described by the task that has just joined them: another pass would take longer than its work."""

_HASHES = 1 << 64


def sketch_partition(plan: Plan, part: int) -> None:
    """Sketch a partition's texts, a batch at a time; an earlier release's texts have been sketched when it was published."""
    done = plan.scratch_file("rows", part)
    if done.exists():
        return
    if part >= len(plan.groups):
        rows, digests, counts, signatures = read_index(plan.earlier[part - len(plan.groups)], plan.signature)
        _save_keys(plan, part, rows, Sketches(digests, counts, signatures))
        save(done, rows)
        return
    facts: list[Records] = [np.empty(0, ROW)]
    sketches: list[Sketches] = [Sketches.none(plan.signature)]
    sets: list[ShingleSets] = []
    for shard in plan.shards[slice(*plan.groups[part])]:
        for batch in read_batches(shard, plan.kind):
            facts.append(batch.rows)
            sketches.append(sketch(batch.texts, shingle=plan.near.shingle, permutations=plan.signature))
            if plan.options.near and plan.near.verify:
                sets.append(shingle_sets(batch.texts, sketches[-1].counts, shingle=plan.near.shingle))
    if plan.options.near and plan.near.verify:
        _save_sets(plan, part, sets)
    rows = np.concatenate(facts)
    _save_keys(plan, part, rows, Sketches.joined(sketches))
    save(done, rows)


def join_range(plan: Plan, bucket: int) -> None:
    """Find the edges among rows that share a key in one range of hashes: copies of the whole text, and rows that share a band and are alike."""
    done = plan.scratch_file("edges", bucket)
    if done.exists():
        return
    edges = np.empty(0, PAIR)
    for name, pair, wanted in (("digests", _exact_edges, plan.options.exact), ("bands", _near_edges, plan.options.near)):
        if wanted:
            for keys in _chunks(_keys_with_company(plan, name, bucket)):
                edges = _forest(np.concatenate([edges, pair(plan, keys)]))
    save(done, edges)


def cluster(plan: Plan, _: int) -> None:
    """Join edges to clusters and choose each one's keeper: of an earlier release before new, not gated before gated, the best score, the least id."""
    done = plan.scratch_file("found")
    if done.exists():
        return
    edges = np.empty(0, PAIR)
    for bucket in range(plan.buckets):
        edges = _forest(np.concatenate([edges, load(plan.scratch_file("edges", bucket))]))
    members, (first, second) = _nodes(edges)
    parents = np.arange(len(members))
    graph.unite(parents, first, second)
    graph.flatten(parents)
    save(done, _choose(members, parents, gather_rows(plan, members)))
    if plan.bounds[-1] <= FEW_ROWS:
        for part in range(len(plan.groups)):
            describe_partition(plan, part)


def describe_partition(plan: Plan, part: int) -> None:
    """Say of a partition's copies which keepers they have, and how alike they are."""
    done = part_file(plan.scratch.parent, part)
    if done.exists():
        return
    found = read_range(plan.scratch_file("found"), "first", plan.bounds[part], plan.bounds[part + 1])
    copies, keepers = gather_rows(plan, found["first"]), gather_rows(plan, found["second"])
    exact = (copies["digest_high"] == keepers["digest_high"]) & (copies["digest_low"] == keepers["digest_low"]) & plan.options.exact
    similarity = np.ones(len(found), np.float32)
    similarity[~exact] = similarities(plan, found["first"][~exact], found["second"][~exact])
    earlier = plan.partitions_of(found["second"]) - len(plan.groups)
    described = join_fields(
        COPY,
        row=found["first"],
        keeper_high=keepers["id_high"],
        keeper_low=keepers["id_low"],
        method=np.where(exact, EXACT, NEAR),
        similarity=similarity,
        earlier=np.maximum(earlier, -1),
    )
    save(done, described)


def _save_sets(plan: Plan, part: int, sets: list[ShingleSets]) -> None:
    sizes = np.concatenate([np.empty(0, np.int64), *(np.diff(one.starts) for one in sets)])
    save(plan.scratch_file("set-starts", part), np.concatenate([[0], np.cumsum(sizes)]))
    save(plan.scratch_file("set-values", part), np.concatenate([np.empty(0, np.uint32), *(one.values for one in sets)]))


def _save_keys(plan: Plan, part: int, rows: Records, made: Sketches) -> None:
    """Save signatures and sorted keys, and put the digests into the rows."""
    rows["digest_high"], rows["digest_low"] = made.digests[:, 0], made.digests[:, 1]
    numbers = plan.bounds[part] + np.arange(len(rows))
    if plan.options.exact:
        told = made.counts >= 0
        save(plan.scratch_file("digests", part), _sorted_keys(made.digests[told, 0], numbers[told]))
    if plan.options.near:
        save(plan.scratch_file("signatures", part), made.signatures)
        told, shape = made.counts > 0, bands_of(plan.near)
        keys = graph.band_keys(made.signatures[told], shape.bands, shape.rows)
        save(plan.scratch_file("bands", part), _sorted_keys(keys.ravel(), np.repeat(numbers[told], shape.bands)))


def _sorted_keys(keys: NDArray[np.uint64], rows: Rows) -> Records:
    order = np.argsort(keys)
    return join_fields(KEY, key=keys[order], row=rows[order])


def _keys_with_company(plan: Plan, name: str, bucket: int) -> Records:
    """Read one range of all partitions' keys, in order; a key that only one row has is left out."""
    low, high = (_HASHES * edge // plan.buckets for edge in (bucket, bucket + 1))
    keys = np.concatenate([read_range(plan.scratch_file(name, part), "key", low, high) for part in range(plan.partitions)])
    values = np.ascontiguousarray(keys["key"])
    order = np.argsort(values)
    values = values[order]
    alike = values[1:] == values[:-1]
    company = np.append(alike, False) | np.insert(alike, 0, False) if len(keys) else slice(0)
    return keys[order[company]]


def _chunks(keys: Records) -> Iterator[Records]:
    """Cut sorted keys into chunks, never inside a run of equal ones that is within the limit; a longer run is a chunk of its own."""
    values = np.ascontiguousarray(keys["key"])
    start = 0
    while start < len(values):
        stop = min(start + CHUNK_KEYS, len(values))
        if stop < len(values):
            run = int(np.searchsorted(values, values[stop - 1]))
            stop = run if run > start else int(np.searchsorted(values, values[start], side="right"))
        yield keys[start:stop]
        start = stop


def _exact_edges(plan: Plan, keys: Records) -> Records:
    facts = gather_rows(plan, keys["row"])
    order = np.lexsort((facts["digest_low"], keys["key"]))
    low, values, rows = facts["digest_low"][order], keys["key"][order], keys["row"][order]
    alike = (low[1:] == low[:-1]) & (values[1:] == values[:-1])
    one, other = rows[:-1][alike], rows[1:][alike]
    return join_fields(PAIR, first=np.minimum(one, other), second=np.maximum(one, other))


def _near_edges(plan: Plan, keys: Records) -> Records:
    facts, order = gather_rows(plan, keys["row"]), np.arange(len(keys))
    values = np.ascontiguousarray(keys["key"])
    graph.deal_groups(values, facts["id_low"], order)
    first, second = graph.pair_up(values, facts, keys["row"], order, plan.options.exact)
    # A pair as one number: rows are fewer than 2^31.5.
    total = plan.bounds[-1]
    first, second = np.divmod(np.unique(first * total + second), max(1, total))
    return join_fields(PAIR, first=first, second=second)[are_alike(plan, first, second)]


def are_alike(plan: Plan, first: Rows, second: Rows) -> NDArray[np.bool_]:
    """Say which candidates count: by true Jaccard where the recipe asks and the texts are at hand, else by their signatures, with room for chance."""
    near = plan.near
    estimated = least_agreement(near.threshold, near.permutations)
    least = np.where(near.verify & (second < plan.own_rows), near.threshold, estimated)
    return similarities(plan, first, second) >= least


def _forest(edges: Records) -> Records:
    """Keep as many edges as join the same rows: fewer than there are rows in them."""
    nodes, (first, second) = _nodes(edges)
    needed: Records = edges[graph.unite(np.arange(len(nodes)), first, second)]
    return needed


def _nodes(edges: Records) -> tuple[Rows, NDArray[np.int64]]:
    """Number the rows that edges join; give rows and, as numbers, both ends."""
    ends = np.stack([edges["first"], edges["second"]])
    nodes, numbers = np.unique(ends, return_inverse=True)
    return nodes, numbers.reshape(ends.shape)


def _choose(members: Rows, roots: Rows, facts: Records) -> Records:
    order = np.lexsort((facts["id_low"], facts["id_high"], -facts["score"], facts["gated"], ~facts["released"], roots))
    members, roots, released = members[order], roots[order], facts["released"][order]
    leads = np.insert(roots[1:] != roots[:-1], 0, True)[: len(roots)]
    keepers = members[np.flatnonzero(leads)[np.cumsum(leads) - 1]]
    copies = ~leads & ~released
    found = join_fields(PAIR, first=members[copies], second=keepers[copies])
    return found[np.argsort(found["first"])]
