"""Real benchmarks against themselves and against what has nothing of them."""

import os
import re
from pathlib import Path

import pyarrow as pa
import pytest

from schemas.recipe import BenchmarkOptions
from tasks.decontamination.benchmarks import BenchmarkText, read_benchmark
from tasks.decontamination.index import find_hits, make_index

SHARED = Path(os.environ.get("GRISTMILL_SHARED_DATA", "../shared/data"))
BENCHMARKS = (
    BenchmarkOptions(path="gsm8k_test.jsonl", columns=("question",), id="row"),
    BenchmarkOptions(path="humaneval.jsonl", columns=("prompt", "canonical_solution"), id="task_id"),
    BenchmarkOptions(path="mbpp.jsonl", columns=("text", "code"), id="task_id"),
    BenchmarkOptions(path="mt_bench_questions.jsonl", columns=("turns", "reference"), id="question_id"),
    BenchmarkOptions(path="ifeval_prompts.jsonl", columns=("prompt",), id="key"),
)

pytestmark = pytest.mark.skipif(not (SHARED / "gsm8k_test.jsonl").exists(), reason=f"no benchmarks in {SHARED}: set GRISTMILL_SHARED_DATA")


@pytest.fixture(scope="module")
def texts() -> list[BenchmarkText]:
    return [text for one in BENCHMARKS for text in read_benchmark(one, SHARED)]


def test_every_benchmark_text_is_found_in_a_longer_text(texts: list[BenchmarkText]) -> None:
    long = [one for one in texts if len(one.text.split()) >= 26]
    hits = find_hits(pa.array([f"Here is a task.\n\n{one.text}\n\nThink first." for one in long]), make_index(texts))
    assert len(long) > 900
    missed = [one.row for place, one in enumerate(long) if place not in hits]
    assert missed == []


def test_questions_of_a_training_split_are_left_alone(texts: list[BenchmarkText]) -> None:
    training = [one.text for one in read_benchmark(BenchmarkOptions(path="gsm8k_train.jsonl", columns=("question",)), SHARED)]
    hits = find_hits(pa.array(training), make_index(texts))
    assert len(hits) <= len(training) * 0.02, [hit.detail for hit in hits.values()]


def test_a_hit_names_its_row_and_words_that_stand_in_both(texts: list[BenchmarkText]) -> None:
    by_row = {row: " ".join(one.text for one in texts if one.row == row) for row in {one.row for one in texts}}
    long = [one for one in texts if len(one.text.split()) >= 26]
    hits = find_hits(pa.array([f"Consider this.\n\n{one.text}" for one in long]), make_index(texts))
    for hit in hits.values():
        assert hit.benchmark in {"gsm8k_test", "humaneval", "mbpp", "mt_bench_questions", "ifeval_prompts"}
        assert hit.ngram
        assert plain(hit.ngram) in plain(by_row[hit.row])
    assert {hit.benchmark for hit in hits.values()} == {"gsm8k_test", "humaneval", "mbpp", "mt_bench_questions", "ifeval_prompts"}


def test_a_text_that_is_nearly_a_problem_is_found_by_likeness_and_says_how_alike() -> None:
    near = BenchmarkOptions(path="gsm8k_test.jsonl", columns=("question",), ngram=64, near=True)
    texts = list(read_benchmark(near, SHARED))
    changed = [f"Problem: {one.text.rstrip('?')}, please?" for one in texts[:200] if 40 <= len(one.text.split()) < 60]
    hits = find_hits(pa.array(changed), make_index(texts))
    assert len(hits) == len(changed) > 40
    assert all(0.8 <= (hit.similarity or 0) < 1 and hit.ngram is None for hit in hits.values())


def plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
