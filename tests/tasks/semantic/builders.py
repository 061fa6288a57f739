"""Vectors in families, a search of them in this process, and what a search of all pairs finds."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.storage import write_table
from schemas.recipe import SemanticOptions
from tasks.dedup.arrays import Records
from tasks.dedup.found import note_found, read_copies
from tasks.dedup.shards import format_ids
from tasks.semantic import steps
from tasks.semantic.compare import by_worth
from tasks.semantic.search import make_plan
from tasks.semantic.vectors import FACTS, Points, lengths_of, quantise, write_points


@dataclass(frozen=True, slots=True)
class Found:
    """Copies by id, and their keepers."""

    keepers: dict[str, str]
    cosines: dict[str, float]


def some_points(seed: int, families: int, *, members: int = 4, width: int = 64, spread: float = 0.2, owners: int | None = None) -> Points:
    """Families of vectors around centres that are unlike; scores and ids at random."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(size=(families, width)), members, axis=0)
    noise = rng.normal(size=centres.shape) * spread * rng.uniform(0.5, 2, size=(len(centres), 1))
    facts = np.zeros(len(centres), FACTS)
    facts["id_high"], facts["id_low"] = (rng.integers(0, 2**64, len(centres), np.uint64) for _ in range(2))
    facts["owner"] = facts["id_high"] if owners is None else rng.integers(0, owners, len(centres))
    facts["score"], facts["gated"] = rng.integers(0, 5, len(centres)), rng.random(len(centres)) < 0.2
    return Points(facts, quantise(centres + noise))


def taken(points: Points, order: Sequence[int] | NDArray[np.int64]) -> Points:
    return Points(points.facts[list(order)], points.vectors[list(order)])


def lay_out(folder: Path, points: Points, cuts: Iterable[int] = ()) -> tuple[list[Path], list[Path]]:
    """Write points as shards that end at `cuts`: tables of ids, and files of vectors."""
    bounds = [0, *sorted(cuts), len(points.facts)]
    shards, files = [], []
    for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
        facts = points.facts[start:stop].copy()
        facts["row"] = np.arange(stop - start)
        shards.append(folder / f"part-{number:05}.parquet")
        files.append(folder / "vectors" / f"part-{number:05}.parquet")
        write_table(shards[-1], pa.table({"id": format_ids(facts["id_high"], facts["id_low"])}))
        write_points(files[-1], Points(facts, points.vectors[start:stop]))
    return shards, files


def search_here(folder: Path, points: Points, options: SemanticOptions, cuts: Iterable[int] = ()) -> Found:
    """Run a search's passes one after the other in this process."""
    shards, files = lay_out(folder, points, cuts)
    plan = make_plan(shards, files, folder / "work" / "scratch", options)
    parts = range(len(plan.groups))
    for part in parts:
        steps.gather_partition(plan, part)
    steps.train_middles(plan, 0)
    for part in parts:
        steps.assign_partition(plan, part)
    for cluster in range(steps.count_clusters(plan)):
        steps.compare_within(plan, cluster)
    steps.fold_copies(plan, 0)
    for cluster in range(steps.count_clusters(plan)):
        steps.compare_across(plan, cluster)
    steps.settle_pairs(plan, 0)
    for part in parts:
        steps.describe_partition(plan, part)
    note_found(folder / "work", plan.starts, plan.groups)
    return found_in(folder / "work", shards)


def found_in(work: Path, shards: Sequence[Path]) -> Found:
    from infra.storage import read_table

    keepers, cosines = {}, {}
    for number, shard in enumerate(shards):
        ids, copies = read_table(shard).column(0).to_pylist(), read_copies(work, number)
        for record, keeper in zip(copies.records, copies.keepers, strict=True):
            keepers[ids[record["row"]]], cosines[ids[record["row"]]] = keeper, float(record["similarity"])
    return Found(keepers, cosines)


def ids_of(facts: Records) -> list[str]:
    return [str(one) for one in format_ids(facts["id_high"], facts["id_low"]).to_pylist()]


def cosines_of(points: Points) -> NDArray[np.float64]:
    """All with all, in whole numbers."""
    whole, lengths = points.vectors.astype(np.int64), lengths_of(points.vectors)
    cosines: NDArray[np.float64] = (whole @ whole.T) / (lengths[:, None] * lengths[None, :])
    return cosines


def search_all_pairs(points: Points, threshold: float) -> Found:
    """By worth, each goes that is alike to a better one that stays: by the rule's words, with nothing of the product's but the order of worth."""
    ids, cosines, owners = ids_of(points.facts), cosines_of(points), points.facts["owner"]
    stays: list[int] = []
    found = Found({}, {})
    for one in by_worth(points.facts):
        alike = [other for other in stays if owners[other] != owners[one] and cosines[one, other] >= threshold]
        if alike:
            keeper = max(alike, key=lambda other: np.float32(cosines[one, other]))
            found.keepers[ids[one]], found.cosines[ids[one]] = ids[keeper], float(np.float32(cosines[one, keeper]))
        else:
            stays.append(int(one))
    return found
