from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import EngineError
from schemas.recipe import SemanticOptions
from tasks.semantic import find_alike
from tests.tasks.dedup.found import files_of
from tests.tasks.semantic.builders import Found, cosines_of, found_in, ids_of, lay_out, search_all_pairs, search_here, some_points, taken

if TYPE_CHECKING:
    from distributed import Client

ALL_PAIRS = SemanticOptions(threshold=0.9, clusters=1)
CLUSTERED = SemanticOptions(threshold=0.9, clusters=12, probes=2)


def end_of(found: Found, one: str) -> str:
    while one in found.keepers:
        one = found.keepers[one]
    return one


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), owners=st.sampled_from([None, 3, 40]))
def test_one_cluster_finds_what_a_search_of_all_pairs_finds(tmp_path_factory: pytest.TempPathFactory, seed: int, owners: int | None) -> None:
    points = some_points(seed, 40, owners=owners)
    assert search_here(tmp_path_factory.mktemp("all"), points, ALL_PAIRS) == search_all_pairs(points, 0.9)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_clusters_find_nearly_all_that_all_pairs_have_and_nothing_that_is_not_alike(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    points = some_points(seed, 300)
    wanted, found = search_all_pairs(points, 0.9), search_here(tmp_path_factory.mktemp("clusters"), points, CLUSTERED)
    assert len(wanted.keepers) > 200
    assert len(found.keepers.keys() & wanted.keepers.keys()) >= 0.97 * len(wanted.keepers)
    place, cosines = {one: number for number, one in enumerate(ids_of(points.facts))}, cosines_of(points)
    for one, keeper in found.keepers.items():
        assert found.cosines[one] == pytest.approx(cosines[place[one], place[keeper]], abs=1e-6)
        assert found.cosines[one] >= 0.9 - 1e-6
        assert end_of(found, one) not in found.keepers


def test_a_second_probe_finds_pairs_that_a_border_parts(tmp_path: Path) -> None:
    points = some_points(7, 300, spread=0.25)
    wanted = search_all_pairs(points, 0.85).keepers.keys()
    shares = []
    for probes in (1, 2, 4):
        options = SemanticOptions(threshold=0.85, clusters=24, probes=probes)
        shares.append(len(search_here(tmp_path / str(probes), points, options).keepers.keys() & wanted) / len(wanted))
    assert shares == sorted(shares)
    assert shares[0] < shares[2]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_what_is_alike_depends_on_neither_order_nor_shards_nor_partitions(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    points = some_points(data.draw(st.integers(0, 1000)), 60)
    plain = search_here(tmp_path_factory.mktemp("plain"), points, CLUSTERED)
    order = data.draw(st.permutations(range(len(points.facts))))
    cuts = data.draw(st.lists(st.integers(0, len(order)), max_size=6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.semantic.search.PARTITION_BYTES", data.draw(st.sampled_from([1000, 10_000, 1 << 30])))
        assert search_here(tmp_path_factory.mktemp("cut"), taken(points, order), CLUSTERED, cuts) == plain


def test_many_alike_are_one_cluster_that_keeps_its_best(tmp_path: Path) -> None:
    points = some_points(3, 1, members=2500, spread=0.01)
    found = search_here(tmp_path, points, ALL_PAIRS)
    assert len(found.keepers) == 2499
    (keeper,) = set(found.keepers.values())
    best = points.facts[~points.facts["gated"]]["score"].max()
    (kept,) = points.facts[np.array(ids_of(points.facts)) == keeper]
    assert (kept["score"], kept["gated"]) == (best, False)


def test_workers_find_what_one_process_finds_and_do_it_once(two_workers: "Client", tmp_path: Path) -> None:
    points = some_points(5, 200)
    expected = search_here(tmp_path / "here", points, CLUSTERED)
    shards, files = lay_out(tmp_path / "there", points, [100, 101, 400])
    find_alike(two_workers, shards, files, tmp_path / "work", CLUSTERED)
    assert found_in(tmp_path / "work", shards) == expected
    before = files_of(tmp_path / "work")
    find_alike(two_workers, shards, files, tmp_path / "work", CLUSTERED)
    assert files_of(tmp_path / "work") == before
    find_alike(two_workers, shards, files, tmp_path / "work", SemanticOptions(threshold=0.99))
    assert len(found_in(tmp_path / "work", shards).keepers) < len(expected.keepers)
    assert not (tmp_path / "work" / "scratch").exists()


def test_nothing_to_compare_is_nothing_found(two_workers: "Client", tmp_path: Path) -> None:
    for name, count in (("none", 0), ("one", 1)):
        shards, files = lay_out(tmp_path / name, taken(some_points(1, 1), range(count)))
        find_alike(two_workers, shards, files, tmp_path / name / "work", CLUSTERED)
        assert found_in(tmp_path / name / "work", shards) == Found({}, {})


def test_vectors_of_several_lengths_are_refused(two_workers: "Client", tmp_path: Path) -> None:
    laid = [lay_out(tmp_path / str(width), some_points(1, 2, width=width)) for width in (16, 32)]
    shards, files = ([one[kind][0] for one in laid] for kind in (0, 1))
    with pytest.raises(EngineError, match="16 and of 32 numbers"):
        find_alike(two_workers, shards, files, tmp_path / "work", CLUSTERED)


def test_records_of_one_owner_are_never_copies_of_each_other(tmp_path: Path) -> None:
    points = some_points(2, 5, members=6, spread=0.01)
    points = replace(points, facts=points.facts.copy())
    points.facts["owner"] = 1
    assert search_here(tmp_path, points, ALL_PAIRS).keepers == {}
