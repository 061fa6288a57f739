"""Real benchmarks against themselves and against what has nothing of them."""

import os
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
