"""An object store's paths are read like a file system's, what is written there appears whole or not at all, and nothing half-uploaded stays."""

import hashlib
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra import handover
from infra.calls import CallStore
from infra.journal import Journal
from infra.settings import Settings
from infra.shared import SharedPath, local_root, place, store, sweep_uploads
from infra.storage import RunFolder, hold_run, read_table, replacing, sha256_file, write_table, write_text
from infra.trees import link_tree, point, pointed, remove_tree, reveal_tree
from schemas.errors import RunBusyError, SettingsError, StorageError
from schemas.identity import content_id
from tests.infra.test_calls import an_entry, an_item

UPLOADS = """
import os, sys
from infra.shared import place
from infra.storage import replacing
with replacing(place(sys.argv[1])) as file:
    for _ in range(24):
        file.write(os.urandom(8 << 20))
    print("uploading", flush=True)
"""


def test_a_place_is_a_folder_a_url_or_refused() -> None:
    assert place("/tmp/data") == Path("/tmp/data") == place("file:///tmp/data")
    assert str(place("s3://bucket/a/b/")) == "s3://bucket/a/b" == str(place(Path("s3://bucket/a/b")))
    assert not isinstance(place("s3"), SharedPath)
    with pytest.raises(SettingsError, match="gs://other/x"):
        place("gs://other/x")


def test_a_shared_path_is_a_path_by_name_and_survives_pickling() -> None:
    root = place("s3://bucket/data")
    inner = root / "runs" / "part-00007.parquet"
    assert (str(inner.parent), inner.stem, inner.suffix) == ("s3://bucket/data/runs", "part-00007", ".parquet")
    assert str(inner.relative_to(root)) == "runs/part-00007.parquet"
    assert inner == pickle.loads(pickle.dumps(inner))
    assert sorted([root / "b", root / "a"]) == [root / "a", root / "b"]
    assert inner.absolute() is inner


def test_settings_put_on_an_object_store_keep_what_must_be_local_on_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_SCRATCH", str(tmp_path))
    settings = Settings(data=place("s3://bucket/x"))
    assert settings.local == tmp_path / "s3" / "bucket" / "x" == local_root(settings.data)
    assert settings.ledger_url == f"sqlite:///{settings.local}/ledger.db"
    assert pickle.loads(pickle.dumps(settings)).data == settings.data


def test_a_file_is_read_back_as_it_was_written_and_as_it_is_now(home: Path) -> None:
    path = home / "runs" / "one.parquet"
    write_table(path, pa.table({"x": [1]}))
    assert read_table(path)["x"].to_pylist() == [1]
    write_table(path, pa.table({"x": [2, 3]}))
    assert read_table(path)["x"].to_pylist() == [2, 3]
    assert pq.read_metadata(path).num_rows == 2
    assert path.stat().st_size == len(path.read_bytes())
    assert sha256_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_table_has_the_same_bytes_on_either(tmp_path: Path, bucket: Path) -> None:
    for root in (tmp_path, bucket):
        write_table(root / "one.parquet", pa.table({"x": list(range(20_000))}))
    assert (tmp_path / "one.parquet").read_bytes() == (bucket / "one.parquet").read_bytes()


def test_what_fails_while_it_is_written_does_not_appear(home: Path) -> None:
    write_text(home / "kept.txt", "before")
    with pytest.raises(ValueError, match="halfway"):
        _write_half(home / "kept.txt")
    assert (home / "kept.txt").read_text() == "before"


def _write_half(path: Path) -> None:
    with replacing(path) as file:
        file.write(b"after")
        raise ValueError("halfway")


def test_what_is_not_there_is_said_so_without_any_secret(home: Path, s3: Mapping[str, str]) -> None:
    assert not (home / "nothing").exists()
    assert list((home / "nothing").glob("*")) == list((home / "nothing").rglob("*")) == []
    with pytest.raises(FileNotFoundError):
        (home / "nothing").read_text()
    with pytest.raises(StorageError, match=r"can't read .*nothing") as told:
        read_table(home / "nothing")
    assert s3["AWS_SECRET_ACCESS_KEY"] not in str(told.value)


def test_a_bucket_that_is_not_there_is_a_storage_error_with_its_name(s3: Mapping[str, str]) -> None:
    with pytest.raises(StorageError, match="s3://no-such-bucket/x"):
        write_text(place("s3://no-such-bucket/x"), "x")


def test_run_folder_lists_parts_by_number_and_no_others(home: Path) -> None:
    folder = RunFolder(home, "r")
    for shard in (10, 2):
        write_table(folder.part("score", shard), pa.table({"x": [shard]}))
        write_table(folder.dropped("score", shard), pa.table({"x": [shard]}))
    write_table(folder.part("score/prompts", 1), pa.table({"x": [1]}))
    assert [path.name for path in folder.parts("score")] == ["part-00002.parquet", "part-00010.parquet"]
    assert folder.dropped_parts("score") == [folder.dropped("score", 2), folder.dropped("score", 10)]


def test_a_run_is_held_by_one_process_of_a_host_wherever_the_data_are(home: Path) -> None:
    with hold_run(home, "r"):
        code = "import sys; from infra.shared import place; from infra.storage import hold_run; hold_run(place(sys.argv[1]), 'r').__enter__()"
        other = subprocess.run([sys.executable, "-c", code, str(home)], capture_output=True, text=True)
    assert RunBusyError.__name__ in other.stderr


def test_link_tree_gives_second_names_that_neither_side_changes(home: Path) -> None:
    write_text(home / "a" / "x.txt", "one")
    write_text(home / "a" / "deep" / "y.txt", "two")
    link_tree(home / "a", home / "b")
    write_text(home / "a" / "x.txt", "changed")
    assert [(home / "b" / name).read_text() for name in ("x.txt", "deep/y.txt")] == ["one", "two"]
    remove_tree(home / "b")
    assert not (home / "b" / "x.txt").exists()
    assert (home / "a" / "deep" / "y.txt").exists()


def test_a_pointer_is_moved_in_one_step(home: Path) -> None:
    assert pointed(home / "latest") is None
    for version in ("v1", "v2"):
        write_text(home / version / "x", "x")
        point(home / "latest", version)
    assert pointed(home / "latest") == "v2"


def test_reveal_tree_shows_a_folder_without_what_an_earlier_attempt_left(tmp_path: Path, bucket: Path) -> None:
    partial = tmp_path / "partial"
    for name in ("manifest.json", "sft/train/part-00000.parquet", "README.md"):
        write_text(partial / name, name)
    write_text(bucket / "v1" / "sft" / "train" / "part-00007.parquet", "left over")
    reveal_tree(partial, bucket / "v1", last="manifest.json")
    assert sorted(str(path.relative_to(bucket / "v1")) for path in (bucket / "v1").rglob("*")) == [
        *("README.md", "manifest.json", "sft/train/part-00000.parquet")
    ]
    assert not partial.exists()


@pytest.mark.slow
def test_an_upload_in_parts_that_is_killed_shows_nothing_and_is_swept(bucket: Path) -> None:
    assert isinstance(bucket, SharedPath)
    target = bucket / "big.bin"
    process = subprocess.Popen([sys.executable, "-c", UPLOADS, str(target)], stdout=subprocess.PIPE, env=dict(os.environ))
    assert process.stdout is not None
    assert process.stdout.readline() == b"uploading\n"
    until = time.monotonic() + 120
    while not _unfinished(target) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not target.exists()
    assert _unfinished(target) == 1
    assert sweep_uploads(bucket, older_s=1e12) == 0  # a younger one may be another host's, under way (this server dates all of them 2010)
    assert sweep_uploads(bucket, older_s=0) == 1
    assert _unfinished(target) == 0


def _unfinished(target: SharedPath) -> int:
    return sum(one["Key"] == target.key.partition("/")[2] for one in store().list_multipart_uploads("bucket"))


def test_the_call_store_gives_back_what_a_journal_held(home: Path) -> None:
    folder, calls = RunFolder(home, "r"), CallStore(home / "calls")
    with Journal.open(folder.journal("responses", 3)) as journal:
        for number in range(5):
            entry = an_entry(number)
            journal.put(entry.key, entry.item, entry.answer)
    assert calls.absorb(folder.journal("responses", 3)) == 5
    assert calls.load([an_item(3), an_item(99)]) == {content_id("call", 3): an_entry(3).answer}
    assert not folder.journal("responses", 3).exists()


def test_an_open_journals_calls_are_with_another_host_before_it_is_closed(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "WINDOW_S", 0.05)
    calls, path = CallStore(bucket / "calls"), RunFolder(bucket, "r").journal("responses", 0)
    with Journal.open(path) as journal:
        handover.share_live(journal, calls)
        entry = an_entry(1)
        journal.put(entry.key, entry.item, entry.answer)
        until = time.monotonic() + 60
        while not calls.load([entry.item]) and time.monotonic() < until:
            time.sleep(0.05)
        monkeypatch.setenv("GRISTMILL_SCRATCH", str(tmp_path / "another host"))
        assert calls.load([entry.item]) == {entry.key: entry.answer}
        monkeypatch.undo()
    calls.absorb(path)
    assert len(list((bucket / "calls").glob("*.parquet"))) == 1


def test_small_files_of_calls_are_merged_and_none_is_lost(home: Path) -> None:
    calls = CallStore(home / "calls")
    for number in range(70):
        calls.add([an_entry(number)], f"r-responses-{number:05d}")
    calls.compact()
    assert len(list((home / "calls").glob("*.parquet"))) == 7
    assert len(calls.load([an_item(number) for number in range(70)])) == 70
