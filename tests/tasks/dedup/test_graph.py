import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.dedup import graph
from tasks.dedup.arrays import ROW

ROWS = 12
edges = st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(0, ROWS - 1)), max_size=20)


def roots_of(pairs: list[tuple[int, int]]) -> list[int]:
    parents = np.arange(ROWS)
    ends = np.array(pairs, np.int64).reshape(-1, 2)
    graph.unite(parents, ends[:, 0].copy(), ends[:, 1].copy())
    graph.flatten(parents)
    return list(parents.tolist())


def clusters_by_spreading(pairs: list[tuple[int, int]]) -> list[int]:
    least = list(range(ROWS))
    for _ in range(ROWS):
        for one, other in pairs:
            least[one] = least[other] = min(least[one], least[other])
    return least


@given(edges)
def test_unite_finds_connected_components_named_by_their_least_row(pairs: list[tuple[int, int]]) -> None:
    assert roots_of(pairs) == clusters_by_spreading(pairs)


@given(edges)
def test_unite_says_which_edges_were_needed(pairs: list[tuple[int, int]]) -> None:
    ends = np.array(pairs, np.int64).reshape(-1, 2)
    joined = graph.unite(np.arange(ROWS), ends[:, 0].copy(), ends[:, 1].copy())
    needed = [pair for pair, one in zip(pairs, joined, strict=True) if one]
    assert clusters_by_spreading(needed) == clusters_by_spreading(pairs)
    assert len(needed) == ROWS - len(set(clusters_by_spreading(pairs)))


def test_agreement_is_the_share_of_equal_values() -> None:
    one, other = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint16), np.array([[1, 2, 0, 0]], np.uint16)
    assert graph.agreement(one, other, np.array([0, 1]), np.array([0, 0])).tolist() == [0.5, 0]


@given(edges.flatmap(lambda pairs: st.tuples(st.just(pairs), st.permutations(pairs))))
def test_unite_does_not_depend_on_the_order_of_edges(orders: tuple[list[tuple[int, int]], list[tuple[int, int]]]) -> None:
    assert roots_of(orders[0]) == roots_of([(other, one) for one, other in orders[1]])


def paired(keys: list[int], owners: list[int], *, released: tuple[int, ...] = (), alike: tuple[int, ...] = ()) -> set[tuple[int, int]]:
    facts = np.zeros(len(keys), ROW)
    facts["owner"] = owners
    facts["released"][list(released)] = True
    facts["digest_low"] = [0 if row in alike else row + 1 for row in range(len(keys))]
    order = np.arange(len(keys))
    values = np.array(keys, np.uint64)
    graph.deal_groups(values, facts["digest_low"], order)
    first, second = graph.pair_up(values, facts, np.arange(len(keys)), order, True)
    assert np.all(first < second)
    return set(zip(first.tolist(), second.tolist(), strict=True))


def test_pair_up_pairs_all_rows_of_a_key_but_those_of_one_owner() -> None:
    assert paired([1, 1, 1, 2, 3, 3], [7, 7, 8, 7, 9, 9]) == {(0, 2), (1, 2)}


def test_pair_up_leaves_out_pairs_of_earlier_releases_and_equal_texts() -> None:
    assert paired([1, 1, 1, 1], [0, 1, 2, 3], released=(0, 1), alike=(2, 3)) == {(0, 2), (0, 3), (1, 2), (1, 3)}


def test_pair_up_stays_linear_in_a_large_group() -> None:
    pairs = paired([5] * 1000, list(range(1000)))
    assert len(pairs) == 1000 * graph.WINDOW - graph.WINDOW * (graph.WINDOW + 1) // 2


def test_pair_up_takes_nothing() -> None:
    assert paired([], []) == set()


def test_band_keys_agree_where_a_band_agrees_and_tell_bands_apart() -> None:
    signatures = np.array([[1, 2, 1, 2], [1, 2, 9, 9]], np.uint32)
    keys = graph.band_keys(signatures, 2, 2)
    assert keys[0, 0] == keys[1, 0]
    assert keys[0, 1] != keys[1, 1]
    assert keys[0, 0] != keys[0, 1]


sets = st.lists(st.sets(st.integers(0, 12)), min_size=1, max_size=5)


@given(sets, sets)
def test_jaccard_is_shared_over_all(ones: list[set[int]], others: list[set[int]]) -> None:
    count = min(len(ones), len(others))
    starts, values = laid_out(ones[:count])
    other_starts, other_values = laid_out(others[:count])
    found = graph.jaccard(starts[:-1], starts[1:], values, other_starts[:-1], other_starts[1:], other_values)
    truth = [len(one & other) / len(one | other) if one | other else 0 for one, other in zip(ones, others, strict=False)]
    assert np.allclose(found, truth)


def laid_out(given_sets: list[set[int]]) -> tuple[np.typing.NDArray[np.int64], np.typing.NDArray[np.uint32]]:
    starts = np.cumsum([0, *(len(one) for one in given_sets)])
    return starts, np.array([value for one in given_sets for value in sorted(one)], np.uint32)
