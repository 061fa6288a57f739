import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.storage import write_records
from schemas.contract import arrow_schema
from schemas.errors import AccountingError, ContractError, NotFoundError, StorageError
from schemas.identity import stable_share
from schemas.records import Conversation, Drop, Preference, Prompt
from schemas.run import ShardReport, StageReport
from tasks.release.manifest import read_manifest, verify_release
from tasks.release.publish import find_release, list_releases, publish_release
from tasks.release.sorted_rows import sorted_rows
from tests.tasks.release_builders import LLAMA, a_conversation, a_pair, a_provenance, a_recipe, data_bytes, some_inputs

RECORDS = {"sft": Conversation, "preferences": Preference, "prompts": Prompt, "dropped": Drop}


def test_publish_release_lays_out_the_whole_release(tmp_path: Path) -> None:
    record = publish_release(some_inputs(tmp_path, expectations={"sft": {"success": True, "rows": 10, "expectations": []}}))

    folder = Path(record.path)
    assert folder == tmp_path / "releases" / "small" / "v1"
    assert {path.name for path in folder.iterdir()} == {
        *("README.md", "NOTICE", "manifest.json", "report.html", "recipe.yaml", "expectations", "sft", "preferences", "prompts", "dropped", "index")
    }
    assert record.rows["sft/train"] + record.rows["sft/validation"] == 10
    assert (folder / "recipe.yaml").read_text() == "name: small  # as given\n"
    assert verify_release(folder) == []


def test_publish_release_gives_every_file_its_contract_and_order(tmp_path: Path) -> None:
    folder = Path(publish_release(some_inputs(tmp_path)).path)

    for name, record in RECORDS.items():
        for path in sorted((folder / name).rglob("*.parquet")):
            table = pq.ParquetFile(path).read()
            assert table.schema.equals(arrow_schema(record)), path
            assert 0 < table.num_rows <= 4
            ids = table.column(0).to_pylist()
            assert ids == sorted(ids)


def test_publish_release_keeps_a_prompt_in_one_split(tmp_path: Path) -> None:
    folder = Path(publish_release(some_inputs(tmp_path, prompts=30)).path)

    for name in ("sft", "preferences", "prompts"):
        for split in ("train", "validation"):
            prompts = pa.concat_tables(pq.ParquetFile(path).read(["prompt_id"]) for path in (folder / name / split).glob("*.parquet"))
            assert all((stable_share(one) < 0.3) == (split == "validation") for one in prompts.column(0).to_pylist())


@pytest.mark.parametrize("cut", [1, 7], ids=["one part", "seven parts"])
def test_publish_release_gives_the_same_bytes_however_the_run_was_cut(tmp_path: Path, cut: int) -> None:
    one = publish_release(some_inputs(tmp_path / "a", prompts=25, cut=3))
    other = publish_release(some_inputs(tmp_path / "b", prompts=25, cut=cut))

    assert data_bytes(Path(one.path)) == data_bytes(Path(other.path))


def test_sorted_rows_are_the_same_in_memory_and_spilled(tmp_path: Path) -> None:
    paths = some_inputs(tmp_path, prompts=60).parts["sft"]

    whole = pa.concat_tables(sorted_rows(paths, Conversation, spill=tmp_path / "spill"))
    spilled = list(sorted_rows(paths, Conversation, spill=tmp_path / "spill", bucket_bytes=4_000))

    assert len(spilled) > 4
    assert pa.concat_tables(spilled).equals(whole)
    assert not list((tmp_path / "spill").iterdir())


def test_publish_release_leaves_out_a_split_without_rows(tmp_path: Path) -> None:
    inputs = some_inputs(tmp_path, recipe=a_recipe(release={"validation": 0.0}))

    record = publish_release(inputs)

    assert record.rows["sft/validation"] == 0
    assert not (Path(record.path) / "sft" / "validation").exists()
    assert "sft/validation" not in (Path(record.path) / "README.md").read_text().partition("gristmill:")[0]


def test_publish_release_makes_files_read_only(tmp_path: Path) -> None:
    folder = Path(publish_release(some_inputs(tmp_path)).path)

    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o444}


def test_publish_release_again_returns_the_release_as_it_is(tmp_path: Path) -> None:
    inputs = some_inputs(tmp_path)
    first = publish_release(inputs)

    assert publish_release(inputs) == first


def test_publish_release_never_replaces_another_runs_release(tmp_path: Path) -> None:
    publish_release(some_inputs(tmp_path))

    with pytest.raises(StorageError, match="published by run run0"):
        publish_release(some_inputs(tmp_path, run_id="run1"))


def test_publish_release_moves_latest_forward_only(tmp_path: Path) -> None:
    for version in ("v2", "v10", "v3"):
        publish_release(some_inputs(tmp_path, version=version, run_id=f"run-{version}"))

    assert os.readlink(tmp_path / "releases" / "small" / "latest") == "v10"
    assert find_release(tmp_path, "small").name == "v10"
    assert find_release(tmp_path, "small/v3").name == "v3"
    assert {one.version for one in list_releases(tmp_path)} == {"v2", "v3", "v10"}


def test_publish_release_refuses_an_id_in_two_parts(tmp_path: Path) -> None:
    twice = [*(a_conversation(number) for number in range(10)), a_conversation(4)]

    with pytest.raises(ContractError, match=f"Conversation {a_conversation(4).conversation_id} occurs twice"):
        publish_release(some_inputs(tmp_path, sft=twice))

    assert _visible(tmp_path) == []


def test_publish_release_refuses_accounts_that_do_not_close(tmp_path: Path) -> None:
    inputs = some_inputs(tmp_path)
    lossy = tuple(replace(one, total=replace(one.total, rows_out=19)) if one.stage == "dedup" else one for one in inputs.stages)

    with pytest.raises(AccountingError, match="stage dedup: 20 in, 19 out and 0 dropped"):
        publish_release(replace(inputs, stages=lossy))

    assert _visible(tmp_path) == []


def test_publish_release_refuses_drops_that_were_not_reported(tmp_path: Path) -> None:
    inputs = some_inputs(tmp_path)
    write_records(tmp_path / "more.parquet", [], Drop)

    with pytest.raises(AccountingError, match="are in dropped/"):
        publish_release(replace(inputs, parts={**inputs.parts, "dropped": inputs.parts["dropped"][:1]}))


def test_publish_release_refuses_answers_that_vanish_after_pairing(tmp_path: Path) -> None:
    with pytest.raises(AccountingError, match="let 20 answers through, but 18 stand"):
        publish_release(some_inputs(tmp_path, sft=[a_conversation(n) for n in range(9)], pairs=[a_pair(n) for n in range(9)]))


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1_500, 6_000, 12_000], ids=["data", "documents", "report"])
def test_publish_release_on_a_full_disk_leaves_nothing(tmp_path: Path, limit: int) -> None:
    inputs = some_inputs(tmp_path)
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from schemas.errors import StorageError\n"
        "from tasks.release.publish import publish_release\n"
        "from tests.tasks.release_builders import some_inputs\n"
        f"inputs = some_inputs(Path({str(tmp_path)!r}))\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "try:\n    publish_release(inputs)\n"
        "except StorageError as error:\n    sys.exit(5)\n"
    )

    assert _python(code).wait() == 5
    assert _visible(tmp_path) == []
    assert not list((tmp_path / "releases" / "small").glob(".*.partial-*"))
    assert verify_release(Path(publish_release(inputs).path)) == []


KILLED_BEFORE = ["tasks.release.publish.write_table", "tasks.release.publish.write_text", "tasks.release.publish.describe_files", "os.rename", "os.replace"]


@pytest.mark.slow
@pytest.mark.parametrize("moment", KILLED_BEFORE)
def test_publish_release_killed_shows_nothing_and_a_retry_succeeds(tmp_path: Path, moment: str) -> None:
    """The child kills itself with SIGKILL at the third call of a function that publishing goes through (renames: the first of the release itself)."""
    inputs = some_inputs(tmp_path)
    module, _, name = moment.rpartition(".")
    code = (
        "import os, signal\n"
        "from pathlib import Path\n"
        f"import tasks.release.publish, {module} as place\n"
        "from tests.tasks.release_builders import some_inputs\n"
        f"inputs = some_inputs(Path({str(tmp_path)!r}))\n"
        f"real, calls = place.{name}, []\n"
        "def deadly(*args, **more):\n"
        "    calls.append(args)\n"
        "    final = 'latest' in str(args[-1]) or os.path.basename(str(args[-1])) == 'v1'\n"
        f"    if final if {module == 'os'} else len(calls) == {1 if name == 'describe_files' else 3}:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(*args, **more)\n"
        f"place.{name} = deadly\n"
        "tasks.release.publish.publish_release(inputs)\n"
    )

    assert _python(code).wait() == -signal.SIGKILL
    # Killed between the release's rename and that of `latest`, the release is whole; before, nothing of it shows.
    assert _visible(tmp_path) == (["v1"] if moment == "os.replace" else [])
    assert all(verify_release(tmp_path / "releases" / "small" / name) == [] for name in _visible(tmp_path))

    record = publish_release(inputs)

    assert _visible(tmp_path) == ["latest", "v1"]
    assert verify_release(Path(record.path)) == []
    assert not list((tmp_path / "releases" / "small").glob(".*.partial-*"))
    undisturbed = publish_release(some_inputs(tmp_path / "undisturbed"))
    assert data_bytes(Path(record.path)) == data_bytes(Path(undisturbed.path))


def test_verify_release_finds_a_flipped_byte(tmp_path: Path) -> None:
    folder = Path(publish_release(some_inputs(tmp_path)).path)
    path = folder / "preferences" / "train" / "part-00000.parquet"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    _overwrite(path, bytes(damaged))

    assert [(fault.file, fault.what) for fault in verify_release(folder)] == [
        ("preferences/train/part-00000.parquet", "has another checksum: its bytes were changed")
    ]


def test_verify_release_finds_missing_added_and_cut_files(tmp_path: Path) -> None:
    folder = Path(publish_release(some_inputs(tmp_path)).path)
    (folder / "NOTICE").unlink()
    (folder / "extra.txt").write_text("more")
    _overwrite(folder / "recipe.yaml", b"name")

    assert {(fault.file, fault.what) for fault in verify_release(folder)} == {
        ("NOTICE", "is missing"),
        ("extra.txt", "is not in the manifest"),
        ("recipe.yaml", "has 4 bytes, not 24"),
    }


def test_verify_release_finds_counts_that_do_not_add_up(tmp_path: Path) -> None:
    folder = Path(publish_release(some_inputs(tmp_path)).path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["rows"]["dropped"] += 1
    manifest["accounts"][1]["requested"] += 1
    _overwrite(folder / "manifest.json", json.dumps(manifest).encode())

    assert [fault.file for fault in verify_release(folder)] == ["dropped", "manifest.json"]


def test_manifest_holds_obligations_and_no_address(tmp_path: Path) -> None:
    touched = [a_conversation(number, provenance=a_provenance(LLAMA)) for number in range(10)]
    folder = Path(publish_release(some_inputs(tmp_path, sft=touched)).path)
    manifest = read_manifest(folder)

    assert manifest["obligations"]["display"] == ["Built with Llama"]
    assert manifest["obligations"]["model_name_prefixes"] == ["Llama"]
    assert all("inner-host" not in path.read_text() for path in folder.iterdir() if path.is_file())


def test_manifest_says_how_rows_were_conserved(tmp_path: Path) -> None:
    manifest = read_manifest(Path(publish_release(some_inputs(tmp_path)).path))

    answers = next(account for account in manifest["accounts"] if account["unit"] == "answers")
    assert (answers["requested"], answers["kept"], answers["closes"]) == (30, 20, True)
    assert {(loss["reason"], loss["rows"], loss["kind"]) for loss in answers["losses"]} == {
        ("too_short", 6, "dropped"),
        ("near_duplicate", 4, "deduplicated"),
    }


def test_find_release_says_what_there_is(tmp_path: Path) -> None:
    publish_release(some_inputs(tmp_path))

    with pytest.raises(NotFoundError, match="there are small/v1"):
        find_release(tmp_path, "large")


def test_accounts_name_rows_lost_between_stages(tmp_path: Path) -> None:
    inputs = some_inputs(tmp_path)
    stages = tuple(StageReport("score", 1, 1, ShardReport(29, 29)) if one.stage == "score" else one for one in inputs.stages)

    with pytest.raises(AccountingError, match="30 answers left stage responses, 29 came to stage score"):
        publish_release(replace(inputs, stages=stages))


def _python(code: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3], stderr=subprocess.DEVNULL)


def _visible(data: Path) -> list[str]:
    home = data / "releases" / "small"
    return sorted(path.name for path in home.iterdir() if not path.name.startswith(".")) if home.exists() else []


def _overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)
