from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import EngineError
from tasks.semantic.centroids import nearest, train
from tasks.semantic.vectors import lengths_of, quantise, read_points, shape_of, stack, write_points
from tests.tasks.semantic.builders import some_points, taken


@given(seed=st.integers(0, 2**32), width=st.sampled_from([1, 2, 17, 128, 1024, 4096]), scale=st.floats(1e-6, 1e6))
def test_products_of_quantised_vectors_are_exact_in_32_bits_and_true_to_the_cosine(seed: int, width: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    real = rng.normal(size=(8, width)) * np.exp(rng.normal(size=(8, width)) * 2) * scale
    rounded = quantise(real)
    exact = rounded.astype(np.int64) @ rounded.astype(np.int64).T
    whole = rounded.astype(np.float32)
    assert np.array_equal((whole @ whole.T).astype(np.int64), exact)
    assert np.abs(exact).max() <= 2**24
    unit = real / np.linalg.norm(real, axis=1, keepdims=True)
    lengths = lengths_of(rounded)
    assert np.allclose(exact / np.outer(lengths, lengths), unit @ unit.T, atol=1.5e-3)


def test_a_vector_of_zeros_stays_one() -> None:
    assert not quantise(np.zeros((2, 5))).any()


def test_points_are_read_as_they_were_written(tmp_path: Path) -> None:
    points = some_points(1, 5)
    for name, some in (("all", points), ("none", taken(points, []))):
        write_points(tmp_path / name, some)
        read = read_points(tmp_path / name)
        assert np.array_equal(read.vectors, some.vectors)
        assert np.array_equal(read.facts, some.facts)
        assert shape_of(tmp_path / name) == some.vectors.shape


def test_stack_refuses_vectors_of_several_lengths() -> None:
    with pytest.raises(EngineError, match="m gave vectors of 1 and of 2 numbers"):
        stack([(1.0, 2.0), (3.0,)], "m")


def test_train_finds_families_and_nearest_says_which() -> None:
    points = some_points(4, 5, members=30, spread=0.05)
    order = np.random.default_rng(0).permutation(len(points.vectors))
    middles = train(points.vectors[order], 5)
    labels = nearest(points.vectors, middles, 3)
    assert labels.shape == (150, 3)
    assert all(len(set(row)) == 3 for row in labels.tolist())
    together = [len(set(labels[start : start + 30, 0].tolist())) for start in range(0, 150, 30)]
    assert sum(together) <= 7


def test_train_makes_no_more_clusters_than_vectors_differ() -> None:
    points = some_points(4, 1, members=1)
    same = np.repeat(points.vectors, 9, axis=0)
    assert len(train(same, 4)) == 1
    assert nearest(same, train(same, 4), 2).tolist() == [[0]] * 9
