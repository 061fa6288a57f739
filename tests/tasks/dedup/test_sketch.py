import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dedup import kernels
from tasks.dedup.sketch import factors, shingle_sets, sketch
from tests.tasks.dedup.reference import edited, shingles, similarity, some_text


def test_signatures_estimate_the_true_similarity_as_well_as_chance_allows() -> None:
    permutations, width = 256, 5
    pairs = [(some_text(seed), edited(some_text(seed), edits, seed)) for seed in range(12) for edits in (2, 8, 20)]
    made = sketch(pa.array([text for pair in pairs for text in pair]), shingle=width, permutations=permutations)
    for number, (one, other) in enumerate(pairs):
        truth = similarity(one, other, width)
        estimate = float(np.mean(made.signatures[2 * number] == made.signatures[2 * number + 1]))
        # 4.5 standard errors: one pair in 150,000 would miss by chance.
        assert abs(estimate - truth) <= 4.5 * math.sqrt(truth * (1 - truth) / permutations)


def test_signatures_of_unlike_texts_share_nothing() -> None:
    made = sketch(pa.array([some_text(1), some_text(2)]), shingle=5, permutations=256)
    assert np.mean(made.signatures[0] == made.signatures[1]) == 0


def test_signature_values_are_spread_evenly_over_16_bits() -> None:
    made = sketch(pa.array([f"w{number}" for number in range(4000)]), shingle=1, permutations=8)
    shares = made.signatures.astype(np.float64) / 2**16
    assert np.allclose(shares.mean(axis=0), 0.5, atol=0.025)
    assert np.allclose(shares.std(axis=0), 1 / math.sqrt(12), atol=0.015)


@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=8), st.integers(0, 3), st.integers(0, 3))
def test_sketch_reads_slices_and_large_strings_as_it_reads_whole_columns(texts: list[str | None], before: int, after: int) -> None:
    whole = sketch(pa.array(texts, pa.string()), shingle=2, permutations=8)
    padded = [None, "b ä", "c"][:before] + texts + ["d", None, "é e"][:after]
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        column = pa.chunked_array([pa.array(padded, pa.string()).cast(kind).slice(before, len(texts))], type=kind)
        sliced = sketch(column, shingle=2, permutations=8)
        assert sliced.digests.tolist() == whole.digests.tolist()
        assert sliced.counts.tolist() == whole.counts.tolist()
        assert sliced.signatures.tolist() == whole.signatures.tolist()


def test_sketch_is_the_same_with_threads_and_in_any_order() -> None:
    texts = [some_text(seed, words=seed) for seed in range(64)] + ["é " + some_text(7), "cafe\u0301"]
    alone = sketch(pa.array(texts), shingle=5, permutations=32)
    shared = sketch(pa.array(texts[::-1]), shingle=5, permutations=32, threads=3)
    assert np.array_equal(alone.signatures, shared.signatures[::-1])
    assert np.array_equal(alone.digests, shared.digests[::-1])


def test_sketch_marks_nulls_and_texts_without_a_token() -> None:
    made = sketch(pa.array([None, "", " \n", "…!?", "word"]), shingle=5, permutations=8)
    assert made.counts.tolist() == [-1, 0, 0, 0, 1]
    assert made.digests[1].tolist() == made.digests[2].tolist() != made.digests[3].tolist()
    assert np.all(made.signatures[:4] == kernels.UNSEEN)


def test_a_text_shorter_than_the_shingle_is_one_shingle() -> None:
    made = sketch(pa.array(["only three words", "Only three words!", "only three"]), shingle=5, permutations=8)
    assert made.counts.tolist() == [1, 1, 1]
    assert made.signatures[0].tolist() == made.signatures[1].tolist() != made.signatures[2].tolist()


@pytest.mark.parametrize("words", [1, 63, 64, 65, kernels.BLOCK - 1, kernels.BLOCK + 5, 3 * kernels.BLOCK + 70])
def test_signatures_do_not_depend_on_how_shingles_fall_into_blocks(words: int) -> None:
    text = some_text(words, words)
    width = 1
    rotated = " ".join(reversed(text.split()))
    made = sketch(pa.array([text, rotated]), shingle=width, permutations=16)
    assert made.signatures[0].tolist() == made.signatures[1].tolist()


def test_factors_of_more_permutations_begin_with_those_of_fewer() -> None:
    assert factors(8).tolist() == factors(112)[:8].tolist()
    assert np.all(factors(1024) % 2 == 1)
    assert len(set(factors(1024).tolist())) == 1024


@given(st.lists(st.text(alphabet="ab c漢é\u0301.+", max_size=30), max_size=6))
def test_shingle_sets_hold_each_texts_distinct_shingles(texts: list[str]) -> None:
    column = pa.array(texts, pa.string())
    sets = shingle_sets(column, sketch(column, shingle=2, permutations=0).counts, shingle=2)
    assert np.diff(sets.starts).tolist() == [len(set(shingles(text, 2))) for text in texts]
    for start, stop in zip(sets.starts, sets.starts[1:], strict=False):
        assert np.all(np.diff(sets.values[start:stop].astype(np.int64)) > 0)
