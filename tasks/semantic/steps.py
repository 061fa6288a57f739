"""What a worker does in a search: one function a pass, each reading files, writing one result whole, and doing nothing if that is there.

    gather    a partition's vectors to arrays that can be mapped, and its share of the sample
    train     the sample to the clusters' middles
    assign    a partition's points to their nearest clusters
    within    a cluster's points to its copies
    fold      all clusters' copies to one list
    across    of the points that stay, pairs of a cluster's own and of those whose second nearest it is
    settle    all pairs to further copies
    describe  a partition's copies: keeper, cosine

Memory: two blocks of vectors and their products; a cluster's facts, 40 bytes a point; in `train` the sample; in `fold` and `settle` some dozen bytes a copy.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from tasks.dedup.arrays import KEY, Records, join_fields, load, read_range, save
from tasks.dedup.found import COPY, SEMANTIC, part_file
from tasks.semantic.centroids import nearest, train
from tasks.semantic.compare import ALIKE, by_worth, find_copies_within, find_pairs_across, read_block, settle
from tasks.semantic.plan import Plan
from tasks.semantic.vectors import FACTS, Points, Vectors, read_points

Numbers = NDArray[np.int64]


def gather_partition(plan: Plan, part: int) -> None:
    """Lay a partition's points out, and choose those of the least ids for the sample."""
    done = plan.scratch_file("facts", part)
    if done.exists():
        return
    first, last = plan.groups[part]
    found = [Points(np.empty(0, FACTS), np.empty((0, plan.width), np.int16))]
    for shard in range(first, last):
        points = read_points(plan.files[shard])
        points.facts["row"] += plan.starts[shard]
        found += [points] if len(points.facts) else []
    facts, vectors = np.concatenate([one.facts for one in found]), np.concatenate([one.vectors for one in found])
    least = np.lexsort((facts["id_low"], facts["id_high"]))[: plan.sample]
    save(plan.scratch_file("vectors", part), vectors)
    save(plan.scratch_file("sample-ids", part), facts[least])
    save(plan.scratch_file("sample", part), vectors[least])
    save(done, facts)


def train_middles(plan: Plan, _: int) -> None:
    """Learn the clusters' middles from the points of the least ids."""
    done = plan.scratch_file("middles")
    if done.exists():
        return
    parts = range(len(plan.groups))
    facts = np.concatenate([load(plan.scratch_file("sample-ids", part)) for part in parts])
    vectors = np.concatenate([load(plan.scratch_file("sample", part)) for part in parts])
    save(done, train(vectors[np.lexsort((facts["id_low"], facts["id_high"]))[: plan.sample]], plan.clusters))


def assign_partition(plan: Plan, part: int) -> None:
    """Say which clusters a partition's points are nearest to, by cluster: their own, and those beyond whose border they lie."""
    done = plan.scratch_file("visits", part)
    if done.exists():
        return
    labels = nearest(load(plan.scratch_file("vectors", part)), load(plan.scratch_file("middles")), plan.options.probes)
    points = plan.bounds[part] + np.arange(len(labels))
    save(plan.scratch_file("homes", part), _by_cluster(labels[:, 0], points))
    save(done, _by_cluster(labels[:, 1:].ravel(), np.repeat(points, labels.shape[1] - 1)))


def compare_within(plan: Plan, cluster: int) -> None:
    """Find one cluster's copies."""
    done = plan.scratch_file("within", cluster)
    if done.exists():
        return
    points = _members(plan, "homes", cluster)
    save(done, find_copies_within(points, read_facts(plan, points), plan.options.threshold, partial(read_vectors, plan)))


def fold_copies(plan: Plan, _: int) -> None:
    """List all clusters' copies, in the order of points."""
    _fold(plan, "within", "copies")


def compare_across(plan: Plan, cluster: int) -> None:
    """Find pairs across one cluster's border, of points that stay."""
    done = plan.scratch_file("across", cluster)
    if done.exists():
        return
    gone = load(plan.scratch_file("copies"))["first"]
    home, visitors = (_without(_members(plan, name, cluster), gone) for name in ("homes", "visits"))
    read = partial(read_vectors, plan)
    own, others = (read_block(points, read_facts(plan, points), read) for points in (home, visitors))
    save(done, find_pairs_across(own, others, plan.options.threshold, partial(_worse_first, plan)))


def settle_pairs(plan: Plan, _: int) -> None:
    """Choose of the pairs across borders which point goes, and list all copies in the order of points."""
    done = plan.scratch_file("found")
    if done.exists():
        return
    pairs = np.concatenate([np.empty(0, ALIKE), *(load(plan.scratch_file("across", cluster)) for cluster in _clusters(plan))])
    points = np.unique(np.concatenate([pairs["first"], pairs["second"]]))
    ranks = _ranks(plan, points)
    places = np.stack([ranks[np.searchsorted(points, pairs[end])] for end in ("first", "second")])
    found = np.concatenate([load(plan.scratch_file("copies")), settle(pairs, places, len(points))])
    save(done, found[np.argsort(found["first"])])


def describe_partition(plan: Plan, part: int) -> None:
    """Say of a partition's copies which keepers they have, and how alike they are."""
    done = part_file(plan.scratch.parent, part)
    if done.exists():
        return
    found = read_range(plan.scratch_file("found"), "first", plan.bounds[part], plan.bounds[part + 1])
    copies, keepers = read_facts(plan, found["first"]), read_facts(plan, found["second"])
    save(
        done,
        join_fields(
            COPY,
            row=copies["row"],
            keeper_high=keepers["id_high"],
            keeper_low=keepers["id_low"],
            method=np.full(len(found), SEMANTIC, np.uint8),
            similarity=found["cosine"],
            earlier=np.full(len(found), -1),
        ),
    )


def count_clusters(plan: Plan) -> int:
    """Say how many clusters were found."""
    return len(load(plan.scratch_file("middles")))


def read_facts(plan: Plan, points: Numbers) -> Records:
    """Read the facts of points anywhere, a partition's file at a time."""
    facts = np.empty(len(points), FACTS)
    parts = plan.partitions_of(points)
    for part in np.unique(parts):
        here = np.flatnonzero(parts == part)
        facts[here] = load(plan.scratch_file("facts", int(part)))[points[here] - plan.bounds[part]]
    return facts


def read_vectors(plan: Plan, points: Numbers) -> Vectors:
    """Read the vectors of points anywhere."""
    vectors = np.empty((len(points), plan.width), np.int16)
    parts = plan.partitions_of(points)
    for part in np.unique(parts):
        here = np.flatnonzero(parts == part)
        vectors[here] = load(plan.scratch_file("vectors", int(part)))[points[here] - plan.bounds[part]]
    return vectors


def _by_cluster(clusters: Numbers, points: Numbers) -> Records:
    order = np.argsort(clusters, kind="stable")
    return join_fields(KEY, key=clusters[order].astype(np.uint64), row=points[order])


def _members(plan: Plan, name: str, cluster: int) -> Numbers:
    parts = [read_range(plan.scratch_file(name, part), "key", cluster, cluster + 1)["row"] for part in range(len(plan.groups))]
    return np.concatenate(parts)


def _without(points: Numbers, gone: Numbers) -> Numbers:
    stays: Numbers = points[np.append(gone, -1)[np.searchsorted(gone, points)] != points]
    return stays


def _fold(plan: Plan, name: str, result: str) -> None:
    done = plan.scratch_file(result)
    if not done.exists():
        found = np.concatenate([np.empty(0, ALIKE), *(load(plan.scratch_file(name, cluster)) for cluster in _clusters(plan))])
        save(done, found[np.argsort(found["first"])])


def _clusters(plan: Plan) -> range:
    return range(count_clusters(plan))


def _ranks(plan: Plan, points: Numbers) -> Numbers:
    order = by_worth(read_facts(plan, points))
    ranks = np.empty(len(points), np.int64)
    ranks[order] = np.arange(len(points))
    return ranks


def _worse_first(plan: Plan, pairs: Records) -> Records:
    """Put each pair's better point second."""
    points = np.unique(np.concatenate([pairs["first"], pairs["second"]]))
    ranks = _ranks(plan, points)
    first, second = (ranks[np.searchsorted(points, pairs[end])] for end in ("first", "second"))
    swapped = pairs.copy()
    swapped["first"] = np.where(first > second, pairs["first"], pairs["second"])
    swapped["second"] = np.where(first > second, pairs["second"], pairs["first"])
    return swapped
