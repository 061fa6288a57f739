"""Reads files of seeds a row at a time: JSON lines (also gzipped), Parquet and CSV, each row numbered as in the file.

A row that can't be read stops everything with its number and the reason: a seed file is the user's to mend, not ours to guess at.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from infra.reading import find_readable
from schemas.errors import RecipeError

_SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".parquet", ".csv", ".csv.gz")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file."""

    number: int
    """From 1: the line of a JSON lines file, the row of a Parquet or CSV one (its header not counted)."""
    values: dict[str, Any]


def find_seed_file(folder: Path, name: str) -> Path:
    """Find a seed file beside the recipe. Raises RecipeError where it is not there, of an unknown kind, or not a recipe's to read."""
    path = find_readable(folder, name)
    if not path.is_file():
        raise RecipeError(f"no seed file at {path}: paths are relative to the recipe's folder")
    if not path.name.lower().endswith(_SUFFIXES):
        raise RecipeError(f"can't read seeds from {path}: known endings are {', '.join(_SUFFIXES)}")
    return path


def read_rows(path: Path) -> Iterator[Row]:
    """Read a file's rows in order. Raises RecipeError naming file and row where one can't be read."""
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            yield from _read_parquet(path)
        elif name.endswith((".csv", ".csv.gz")):
            yield from _read_csv(path)
        else:
            yield from _read_jsonl(path)
    except (OSError, EOFError, zlib.error) as error:
        raise RecipeError(f"can't read {path}: {error}") from error


def bad_row(path: Path, number: int, why: str) -> RecipeError:
    """Say that a row is wrong."""
    return RecipeError(f"{path}, row {number}: {why}")


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.name.lower().endswith(".gz") else path.open("rb")


def _read_jsonl(path: Path) -> Iterator[Row]:
    blank = 0
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                blank = blank or number
                continue
            if blank:
                raise bad_row(path, blank, "the line is empty")
            yield Row(number, _read_object(path, number, line))


def _read_object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise bad_row(path, number, f"not UTF-8: {error}") from error
    except (ValueError, RecursionError) as error:
        raise bad_row(path, number, f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise bad_row(path, number, f"not an object but {type(value).__name__}")
    return value


def _read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(number, values)
    except pa.ArrowException as error:
        raise bad_row(path, number + 1, f"not Parquet: {error}") from error


def _read_csv(path: Path) -> Iterator[Row]:
    number = 0
    try:
        with _open(path) as file:
            for number, values in enumerate(csv.DictReader((line.decode("utf-8-sig") for line in file), strict=True), 1):
                if None in values or None in values.values():
                    raise bad_row(path, number, "it has more or fewer fields than the header")
                yield Row(number, values)
    except UnicodeDecodeError as error:
        raise bad_row(path, number + 1, f"not UTF-8: {error}") from error
    except csv.Error as error:
        raise bad_row(path, number + 1, f"not CSV: {error}") from error
