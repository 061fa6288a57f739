"""A release on an object store is the file system's, byte for byte, and is there when its manifest is, not before."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.shared import place
from infra.storage import write_text
from schemas.errors import NotFoundError, StorageError
from tasks.browse.library import Library
from tasks.dedup.released import find_indexes
from tasks.release.exporting import export_release, find_format
from tasks.release.manifest import verify_release
from tasks.release.publish import find_release, list_releases, publish_release
from tasks.release.pushing import plan_push
from tasks.release.sampling import sample_rows
from tests.tasks.release_builders import a_recipe, data_bytes, some_inputs

PUBLISHES = """
import os, signal, sys
from infra import trees
from infra.shared import place
from tasks.release.publish import publish_release
from tests.tasks.release_builders import some_inputs
left, upload, data = int(sys.argv[2]), trees.put, place(sys.argv[1])
def put(source, target):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    upload(source, target)
inputs = some_inputs(data)
trees.put, trees.UPLOADS = put, 1
publish_release(inputs)
"""


def test_a_release_is_published_found_and_verified_wherever_the_data_are(home: Path) -> None:
    record = publish_release(some_inputs(home))
    folder = find_release(home, "small")
    assert str(folder) == record.path == str(home / "releases" / "small" / "v1")
    assert find_release(home, "small/latest") == find_release(home, "small/v1") == find_release(home, record.path) == folder
    assert verify_release(folder) == []
    assert [one.version for one in list_releases(home)] == ["v1"]
    assert publish_release(some_inputs(home)) == record
    with pytest.raises(StorageError, match="published by run run0"):
        publish_release(some_inputs(home, run_id="another"))
    with pytest.raises(NotFoundError, match="small/v1"):
        find_release(home, "other")


def test_a_releases_data_files_are_the_same_on_either(tmp_path: Path, bucket: Path) -> None:
    records = [publish_release(some_inputs(root)) for root in (tmp_path / "data", bucket)]
    assert data_bytes(place(records[0].path)) == data_bytes(place(records[1].path)) != {}


def test_latest_moves_forward_only_wherever_the_data_are(home: Path) -> None:
    for version in ("v2", "v10", "v9"):
        publish_release(some_inputs(home, run_id=f"run-{version}", version=version))
        assert find_release(home, "small").name == ("v2" if version == "v2" else "v10")


def test_a_release_is_browsed_sampled_exported_and_checked_for_a_push_wherever_it_is(home: Path, tmp_path: Path) -> None:
    folder = place(publish_release(some_inputs(home)).path)
    assert len(Library(folder).index("sft").frame) == 10
    assert len(sample_rows(folder, "preferences", count=2, seed=0, where={})) == 2
    assert export_release(folder, find_format("trl-dpo"), tmp_path / "out")["release"]
    planned = plan_push(folder, "owner/name", public=False)
    assert planned.size == sum((folder / one).stat().st_size for one in planned.files) > 0
    assert sum(one.rows for one in find_indexes(folder, "small/v1", "conversation", a_recipe().dedup)) == 10


def test_verify_release_reads_the_objects_themselves_and_finds_a_changed_one(bucket: Path, s3: Mapping[str, str]) -> None:
    folder = place(publish_release(some_inputs(bucket)).path)
    assert verify_release(folder) == []  # local copies of all are there now
    changed = folder / "NOTICE"
    text = changed.read_text()
    write_text(changed, "X" + text[1:])
    assert [(fault.file, fault.what) for fault in verify_release(folder)] == [("NOTICE", "has another checksum: its bytes were changed")]


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0, 1, 6], ids=["before the first upload", "after the first", "after six"])
def test_publish_release_killed_while_it_uploads_shows_nothing_and_a_retry_is_the_file_systems(bucket: Path, tmp_path: Path, moment: int) -> None:
    killed = subprocess.run([sys.executable, "-c", PUBLISHES, str(bucket), str(moment)], env=dict(os.environ), check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list((bucket / "releases").rglob("*"))) == moment
    assert list_releases(bucket) == []
    with pytest.raises(NotFoundError):
        find_release(bucket, "small")
    # Another run's leftovers under the same version are no part of the next release.
    write_text(bucket / "releases" / "small" / "v1" / "sft" / "train" / "part-00099.parquet", "left over")
    publish_release(some_inputs(bucket))
    publish_release(some_inputs(tmp_path / "data"))
    shared = find_release(bucket, "small")
    assert verify_release(shared) == []
    assert data_bytes(shared) == data_bytes(find_release(tmp_path / "data", "small"))
    assert json.loads((shared / "manifest.json").read_text())["rows"]["sft/train"] > 0
