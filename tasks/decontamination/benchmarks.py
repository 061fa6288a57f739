"""What a recipe's benchmark files hold: every text of the chosen columns, with the row that it stands in.

A file is JSON lines, Parquet or CSV, as seed files are. A column holds a text, a list of texts or a list of turns; null is no text.
The run keeps what was read as one Parquet file in its folder, so that a worker needs nothing else, and a resumed run sees the same rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from infra.reading import find_readable
from infra.storage import write_records
from schemas.contract import Int32, NonEmpty
from schemas.errors import RecipeError
from schemas.recipe import BenchmarkOptions
from tasks.craft.seedfiles import Row, bad_row, find_seed_file, read_rows
from tasks.discovery import suggest


@dataclass(frozen=True, slots=True)
class BenchmarkText:
    """One text of a benchmark row, and how it is looked for."""

    row: Annotated[str, NonEmpty()]
    """`<benchmark>:<id or number>`: what a drop points to."""
    text: str
    ngram: Int32
    near: bool


def benchmark_file(options: BenchmarkOptions, folder: Path) -> Path:
    """Find a benchmark's file beside the recipe. Raises RecipeError where it is not there or of an unknown kind."""
    path = find_readable(folder, options.path)
    if not path.is_file():
        raise RecipeError(f"no benchmark file at {path}: paths are relative to the recipe's folder")
    return find_seed_file(folder, options.path)


def read_benchmark(options: BenchmarkOptions, folder: Path) -> Iterator[BenchmarkText]:
    """Read a benchmark's texts in order. Raises RecipeError naming file and row."""
    path = benchmark_file(options, folder)
    name = options.name or path.name.partition(".")[0].replace(":", "-")
    for row in read_rows(path):
        try:
            found = [text for column in options.columns for text in _texts_in(_value(row, column), column)]
            label = str(_value(row, options.id)) if options.id else str(row.number)
        except ValueError as error:
            raise bad_row(path, row.number, str(error)) from error
        yield from (BenchmarkText(f"{name}:{label}", text, options.ngram, options.near) for text in found)


def check_benchmark(options: BenchmarkOptions, folder: Path) -> int:
    """Read the whole file, and count its texts. Raises RecipeError where it has none."""
    count = sum(1 for _ in read_benchmark(options, folder))
    if not count:
        raise RecipeError(f"{options.path} has no text in {', '.join(options.columns)}: nothing could ever match it")
    return count


def keep_benchmarks(benchmarks: Sequence[BenchmarkOptions], folder: Path, into: Path) -> Path | None:
    """Write what all benchmarks hold to a file, unless it is there already; None where the recipe names no benchmark."""
    if not benchmarks:
        return None
    if not into.exists():
        write_records(into, (text for one in benchmarks for text in read_benchmark(one, folder)), BenchmarkText)
    return into


def _value(row: Row, column: str) -> Any:
    if column not in row.values:
        raise ValueError(f"no column {column!r}: {suggest(column, tuple(row.values))}")
    return row.values[column]


def _texts_in(value: Any, column: str) -> list[str]:
    match value:
        case None:
            return []
        case str():
            return [value] if value.strip() else []
        case list():
            return [text for item in value for text in _texts_in(_content(item), column)]
    raise ValueError(f"column {column!r} holds neither text nor a list of texts or turns (given: {value!r:.80})")


def _content(item: Any) -> Any:
    """Take what a turn says; a turn is an object with `content`, or `value` as in ShareGPT-like files."""
    return item.get("content", item.get("value")) if isinstance(item, dict) else item
