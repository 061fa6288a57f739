import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import RecipeError
from schemas.recipe import BenchmarkOptions
from tasks.decontamination.benchmarks import check_benchmark, keep_benchmarks, read_benchmark


def a_benchmark(folder: Path, *rows: dict[str, Any], **options: Any) -> BenchmarkOptions:
    (folder / "bench.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return BenchmarkOptions(**{"path": "bench.jsonl", "columns": ("q",)} | options)


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("one text", ["one text"]),
        (["a turn", "another"], ["a turn", "another"]),
        ([{"role": "user", "content": "said"}, {"from": "gpt", "value": "answered"}], ["said", "answered"]),
        (None, []),
        (["kept", None, " "], ["kept"]),
    ],
    ids=["text", "texts", "turns", "null", "blanks"],
)
def test_read_benchmark_finds_the_texts_of_a_column(tmp_path: Path, value: Any, texts: list[str]) -> None:
    assert [one.text for one in read_benchmark(a_benchmark(tmp_path, {"q": value}), tmp_path)] == texts


def test_read_benchmark_names_rows_by_id_or_number(tmp_path: Path) -> None:
    rows = ({"q": "first", "id": "x/1"}, {"q": "second", "id": 7})
    assert [one.row for one in read_benchmark(a_benchmark(tmp_path, *rows), tmp_path)] == ["bench:1", "bench:2"]
    assert [one.row for one in read_benchmark(a_benchmark(tmp_path, *rows, id="id", name="own"), tmp_path)] == ["own:x/1", "own:7"]


def test_read_benchmark_reads_gzip_and_csv(tmp_path: Path) -> None:
    (tmp_path / "zipped.jsonl.gz").write_bytes(gzip.compress(b'{"q": "packed"}\n'))
    (tmp_path / "table.csv").write_text("q,a\nasked,answered\n")
    found = [one for name in ("zipped.jsonl.gz", "table.csv") for one in read_benchmark(BenchmarkOptions(path=name, columns=("q",)), tmp_path)]
    assert [(one.row, one.text) for one in found] == [("zipped:1", "packed"), ("table:1", "asked")]


@pytest.mark.parametrize(
    ("row", "fault"),
    [({"question": "x"}, r"row 1: no column 'q'"), ({"q": 5}, r"row 1: column 'q' holds neither"), ({"q": ""}, "has no text in q")],
    ids=["no-column", "no-text", "empty"],
)
def test_check_benchmark_refuses_what_could_never_match(tmp_path: Path, row: dict[str, Any], fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        check_benchmark(a_benchmark(tmp_path, row), tmp_path)


def test_keep_benchmarks_leaves_what_a_run_has_kept(tmp_path: Path) -> None:
    kept = tmp_path / "kept.parquet"
    assert keep_benchmarks([], tmp_path, kept) is None
    assert keep_benchmarks([a_benchmark(tmp_path, {"q": "as it was"})], tmp_path, kept) == kept
    before = kept.read_bytes()
    keep_benchmarks([a_benchmark(tmp_path, {"q": "as it is now"})], tmp_path, kept)
    assert kept.read_bytes() == before
