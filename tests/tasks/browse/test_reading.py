"""Rows by where they lie, of files that stay open."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from infra.storage import write_table
from schemas.errors import StorageError
from tasks.browse.index import Place
from tasks.browse.reading import RowReader

ROWS, GROUP, FILES = 50, 8, 3


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("parts")
    paths = [folder / f"part-{number}.parquet" for number in range(FILES)]
    for number, path in enumerate(paths):
        write_table(path, pa.table({"id": [f"{number}-{row}" for row in range(ROWS)]}), row_group=GROUP)
    return paths


def strewn(files: list[Path]) -> tuple[list[Place], list[str]]:
    """Every row of every file, hopping from file to file and from group to group."""
    hops = [(number % FILES, number * 17 % ROWS) for number in range(ROWS * FILES)]
    return [Place(files[file], row, "train") for file, row in hops], [f"{file}-{row}" for file, row in hops]


def test_rows_come_in_the_order_asked_for(files: list[Path]) -> None:
    places, ids = strewn(files)

    assert [row["id"] for row in RowReader().rows(places)] == ids


def test_row_is_read_from_a_footer_that_was_read_once(files: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "part-0.parquet"
    path.write_bytes(files[0].read_bytes())
    reader = RowReader()
    first = reader.row(Place(path, 0, ""))
    os.truncate(path, path.stat().st_size - 4)  # the footer's end: who opens the file now finds it damaged

    assert (first["id"], reader.row(Place(path, 3, ""))["id"]) == ("0-0", "0-3")
    with pytest.raises(StorageError, match="damaged"):
        RowReader().row(Place(path, 0, ""))


def test_many_threads_read_at_once(files: list[Path]) -> None:
    places, ids = strewn(files)
    reader = RowReader()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(reader.row, places))

    assert [row["id"] for row in found] == ids


def test_row_past_the_end_is_refused_with_the_number_of_rows(files: list[Path]) -> None:
    with pytest.raises(IndexError, match=f"has {ROWS} rows, and row {ROWS} was asked for"):
        RowReader().row(Place(files[0], ROWS, ""))
