"""Files appear whole or not at all, equal rows give equal bytes, and a run has one worker."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.storage import (
    PUBLISHED,
    RunFolder,
    hold_run,
    is_held,
    read_records,
    read_table,
    sha256_file,
    write_records,
    write_table,
    write_text,
)
from infra.trees import link_tree
from schemas.errors import ContractError, RunBusyError, StorageError
from schemas.records import Drop, Lineage, Message, Provenance, WorkItem, drop_record, item_id

ITEM = WorkItem(item_id("open_qa", 0, "bees", Lineage()), "open_qa", 0, "bees", Lineage(), Provenance("f" * 32, True))
DROPS = [drop_record(ITEM, stage="prompts", reason="refused", nth=nth, similarity=None) for nth in range(3)]

FILLS_UP = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from infra.storage import write_table, write_text
from infra.trees import link_tree
from schemas.errors import StorageError
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for write in (
    lambda: write_table(Path(sys.argv[1]), pa.table({"x": [str(n * 7919) for n in range(100_000)]})),
    lambda: write_text(Path(sys.argv[1]), "x" * 5000),
):
    try:
        write()
    except StorageError as error:
        print(error)
"""

DIES_AT = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa
from infra.storage import write_table
left = int(sys.argv[2])
def count(event, arguments):
    global left
    if event in ("open", "os.rename", "os.remove") and sys.argv[1] in str(arguments[0]):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
write_table(Path(sys.argv[1]) / "part-00000.parquet", pa.table({"x": [2]}))
"""

HOLDS = """
import sys
from pathlib import Path
from infra.storage import hold_run
with hold_run(Path(sys.argv[1]), "r"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@given(st.lists(st.tuples(st.text(), st.integers(-(2**63), 2**63 - 1)), max_size=40), st.integers(1, 40))
def test_write_table_gives_equal_bytes_however_the_table_is_cut(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]], cut: int) -> None:
    folder = tmp_path_factory.getbasetemp()
    schema = pa.schema([("text", pa.string()), ("number", pa.int64())])
    whole = pa.table([[row[0] for row in rows], [row[1] for row in rows]], schema=schema)
    parts = pa.concat_tables([whole.slice(start, cut) for start in range(0, max(len(rows), 1), cut)]).replace_schema_metadata({"pandas": "{}"})
    write_table(folder / "whole.parquet", whole, row_group=16)
    write_table(folder / "parts.parquet", parts, row_group=16)
    assert (folder / "whole.parquet").read_bytes() == (folder / "parts.parquet").read_bytes()
    assert read_table(folder / "parts.parquet").equals(whole)


def test_write_table_keeps_no_statistics_of_whole_texts(tmp_path: Path) -> None:
    write_records(tmp_path / "drops.parquet", DROPS, Drop)
    group = pq.read_metadata(tmp_path / "drops.parquet").row_group(0)
    kept = {group.column(n).path_in_schema for n in range(group.num_columns) if group.column(n).statistics is not None}
    assert {"drop_id", "stage", "reason", "kind", "record_id", "rows"} <= kept
    assert not {"record", "raw", "detail", "ngram"} & kept


def test_write_table_keeps_statistics_of_nested_names_but_not_of_turns(tmp_path: Path) -> None:
    turns = pa.array([[{"role": "user", "content": "Why?"}]], pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])))
    write_table(tmp_path / "x.parquet", pa.table({"messages": turns}))
    group = pq.read_metadata(tmp_path / "x.parquet").row_group(0)
    assert [group.column(n).statistics is not None for n in range(group.num_columns)] == [True, False]


def test_link_tree_names_files_twice_and_neither_changes_the_other(tmp_path: Path) -> None:
    write_text(tmp_path / "old" / "deep" / "a.txt", "first")
    link_tree(tmp_path / "old", tmp_path / "new")
    link_tree(tmp_path / "old", tmp_path / "new")
    write_text(tmp_path / "new" / "deep" / "a.txt", "second")
    assert (tmp_path / "old" / "deep" / "a.txt").read_text() == "first"
    assert sorted(path.name for path in (tmp_path / "new" / "deep").iterdir()) == ["a.txt"]


@pytest.mark.parametrize(("layout", "codec"), [({}, "LZ4"), (PUBLISHED, "ZSTD")], ids=["working", "published"])
def test_write_table_writes_without_metadata_and_compressed(tmp_path: Path, layout: dict[str, Any], codec: str) -> None:
    write_table(tmp_path / "x.parquet", pa.table({"x": [1, 2]}).replace_schema_metadata({"pandas": "{}"}), **layout)
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert file.schema_arrow.metadata is None
    assert file.metadata.row_group(0).column(0).compression == codec


def test_write_table_cuts_row_groups(tmp_path: Path) -> None:
    write_table(tmp_path / "x.parquet", pa.table({"x": list(range(25))}), row_group=10)
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [10, 10, 5]


def test_write_table_takes_the_place_of_an_older_file_and_leaves_no_other(tmp_path: Path) -> None:
    for value in (1, 2):
        write_table(tmp_path / "x.parquet", pa.table({"x": [value]}))
    assert read_table(tmp_path / "x.parquet").to_pydict() == {"x": [2]}
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_writing_on_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, "-c", FILLS_UP, str(tmp_path / "x.parquet")], capture_output=True, text=True, check=True).stdout
    table, text = told.splitlines()
    assert table == text
    assert f"can't write {tmp_path}/x.parquet: File too large (" in table
    assert "MiB left); the limit on file sizes is reached" in table
    assert list(tmp_path.iterdir()) == []


def test_writing_where_no_folder_can_be_says_so(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "")
    with pytest.raises(StorageError, match=r"can't write .*file/x.txt: .*a file stands where a folder should be"):
        write_text(tmp_path / "file" / "x.txt", "")


@pytest.mark.slow
def test_a_writer_killed_anywhere_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path, seen = tmp_path / "part-00000.parquet", []
    for event in range(20):
        write_table(path, pa.table({"x": [1]}))
        died = subprocess.run([sys.executable, "-c", DIES_AT, str(tmp_path), str(event)]).returncode == -signal.SIGKILL
        seen.append(read_table(path).to_pydict()["x"][0])
        if not died:
            break
    assert seen == sorted(seen)
    assert (seen[0], seen[-1], died) == (1, 2, False)


def test_read_records_gives_what_was_written(tmp_path: Path) -> None:
    write_records(tmp_path / "x.parquet", DROPS, Drop)
    assert read_records(tmp_path / "x.parquet", Drop) == DROPS


def test_read_records_gives_nothing_from_an_empty_file(tmp_path: Path) -> None:
    write_records(tmp_path / "x.parquet", [], Drop)
    assert read_records(tmp_path / "x.parquet", Drop) == []


def test_read_records_refuses_rows_of_another_kind(tmp_path: Path) -> None:
    write_records(tmp_path / "x.parquet", [Message("user", "hi")], Message)
    with pytest.raises(ContractError, match=r"x.parquet doesn't hold Drop rows: the column drop_id is missing"):
        read_records(tmp_path / "x.parquet", Drop)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"role": pa.array([1]), "content": pa.array(["hi"])}, "the column role is int64, not string"),
        ({"content": pa.array(["hi"]), "role": pa.array(["user"])}, "its columns stand in another order"),
        ({"role": pa.array(["user"]), "content": pa.array(["hi"]), "more": pa.array([1])}, "unknown column more"),
    ],
    ids=["type", "order", "extra"],
)
def test_read_records_says_how_a_schema_differs(tmp_path: Path, columns: dict[str, pa.Array], told: str) -> None:
    required = pa.schema([pa.field(name, column.type, nullable=False) for name, column in columns.items()])
    write_table(tmp_path / "x.parquet", pa.table(columns, schema=required))
    with pytest.raises(ContractError, match=told):
        read_records(tmp_path / "x.parquet", Message)


@given(st.integers(0, 2**32), st.binary(min_size=1, max_size=8))
def test_reading_a_damaged_file_never_fails_otherwise(tmp_path_factory: pytest.TempPathFactory, at: int, garbage: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    write_records(path, DROPS, Drop)
    whole = path.read_bytes()
    at %= len(whole)
    path.write_bytes(whole[:at] + garbage)
    with pytest.raises(StorageError, match=r"damaged.parquet is damaged .*; delete it and run the same command again"):
        read_records(path, Drop)


def test_reading_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"can't read .*none.parquet"):
        read_records(tmp_path / "none.parquet", Drop)
    with pytest.raises(StorageError, match=r"can't read .*none: No such file"):
        sha256_file(tmp_path / "none")


def test_sha256_file_hashes_the_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "ä")
    assert sha256_file(tmp_path / "x") == hashlib.sha256("ä".encode()).hexdigest()


def test_run_folder_names_and_lists_its_files(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "r")
    for shard in (100_000, 99_999, 2):
        write_records(folder.part("prompts", shard), [], Drop)
        write_records(folder.dropped("prompts", shard), [], Drop)
    assert folder.part("prompts", 2) == tmp_path / "runs/r/prompts/part-00002.parquet"
    assert folder.dropped("prompts", 2) == tmp_path / "runs/r/prompts/dropped/part-00002.parquet"
    assert folder.journal("prompts", 2) == tmp_path / "journal/r/prompts-00002.journal"
    assert folder.journal("prompts/math/topics", 2) == tmp_path / "journal/r/prompts.math.topics-00002.journal"
    assert folder.parts("prompts") == [folder.part("prompts", shard) for shard in (2, 99_999, 100_000)]
    assert folder.dropped_parts("prompts") == [folder.dropped("prompts", shard) for shard in (2, 99_999, 100_000)]
    assert folder.parts("screen") == []


def test_hold_run_refuses_a_second_holder_and_names_the_first(tmp_path: Path) -> None:
    with hold_run(tmp_path, "r"), pytest.raises(RunBusyError, match=f"run r is being worked on by process {os.getpid()} on "), hold_run(tmp_path, "r"):
        pass


def test_hold_run_lets_go_at_the_end_and_keeps_runs_apart(tmp_path: Path) -> None:
    with hold_run(tmp_path, "r"), hold_run(tmp_path, "s") as other:
        assert other == RunFolder(tmp_path, "s")
    with hold_run(tmp_path, "r"):
        pass


def test_hold_run_ends_with_the_death_of_its_process(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        with pytest.raises(RunBusyError, match=f"process {child.pid} on "), hold_run(tmp_path, "r"):
            pass
        child.kill()
        child.wait()
        with hold_run(tmp_path, "r"):
            pass


def test_hold_run_removes_what_a_dead_process_left_half_written(tmp_path: Path) -> None:
    litter = RunFolder(tmp_path, "r").part("prompts", 0).with_name(".part-00000.parquet.1-0.tmp")
    write_text(litter, "half")
    with hold_run(tmp_path, "r"):
        assert not litter.exists()


def test_is_held_knows_the_living_from_the_gone(tmp_path: Path) -> None:
    assert is_held(tmp_path, "run") is None
    with hold_run(tmp_path, "run"):
        assert is_held(tmp_path, "run") is True
    assert is_held(tmp_path, "run") is False
