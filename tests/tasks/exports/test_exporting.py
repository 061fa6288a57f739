import fcntl
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ContractError, NotFoundError, RunBusyError, StorageError
from schemas.records import Conversation, Message, Source
from tasks.release.export_manifest import json_line
from tasks.release.export_rows import REASONS, check_record, exact
from tasks.release.exporting import find_format, format_names
from tasks.release.manifest import MANIFEST, read_manifest
from tests.tasks.export_builders import a_dialogue, a_release, exported, rows_of
from tests.tasks.release_builders import LLAMA, NVIDIA, a_conversation, a_pair, a_prompt, a_provenance


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_release(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("to", format_names())
def test_export_keeps_every_row_and_its_split(release: Path, tmp_path: Path, to: str) -> None:
    made = exported(release, to, tmp_path / "out")

    published = read_manifest(release)["rows"]
    for name, count in made["rows"].items():
        assert count["records"] == published[name] == count["exported"] + sum(count["left_out"].values())
        assert len(rows_of(tmp_path / "out", name)) == count["rows"]
    assert {name.partition("/")[0] for name in made["rows"]} == set(find_format(to).reads)


@pytest.mark.parametrize("to", format_names())
def test_export_gives_the_same_bytes_again(release: Path, tmp_path: Path, to: str) -> None:
    exported(release, to, tmp_path / "a", rows_per_file=3)
    exported(release, to, tmp_path / "b", rows_per_file=3)

    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_export_cuts_files_without_changing_rows(release: Path, tmp_path: Path) -> None:
    exported(release, "trl-kto", tmp_path / "whole")
    exported(release, "trl-kto", tmp_path / "cut", rows_per_file=3)

    lines = [len(path.read_bytes().splitlines()) for path in sorted((tmp_path / "cut" / "preferences" / "train").iterdir())]
    assert len(lines) > 2
    assert lines[:-1] == [3] * (len(lines) - 1)
    assert rows_of(tmp_path / "cut", "preferences") == rows_of(tmp_path / "whole", "preferences")


def test_export_manifest_names_its_source_and_its_files(release: Path, tmp_path: Path) -> None:
    made = exported(release, "trl-dpo", tmp_path / "out")

    assert made == json.loads((tmp_path / "out" / "export.json").read_text())
    assert made["release"]["manifest_sha256"] == hashlib.sha256((release / MANIFEST).read_bytes()).hexdigest()
    assert (made["release"]["name"], made["release"]["version"], made["to"]["name"]) == ("small", "v1", "trl-dpo")
    found = {name: hashlib.sha256(content).hexdigest() for name, content in files_of(tmp_path / "out").items() if name != "export.json"}
    assert {one["path"]: one["sha256"] for one in made["files"]} == found


def test_export_carries_over_what_the_licences_of_its_rows_ask(tmp_path: Path) -> None:
    pairs = [a_pair(number, provenance=a_provenance(NVIDIA, LLAMA)) for number in range(10)]
    release = a_release(tmp_path / "data", pairs=pairs)

    touched = exported(release, "trl-dpo", tmp_path / "dpo")
    free = exported(release, "trl-sft", tmp_path / "sft")

    assert (touched["obligations"]["display"], touched["obligations"]["model_name_prefixes"]) == (["Built with Llama"], ["Llama"])
    assert "Built with Llama" in (tmp_path / "dpo" / "NOTICE").read_text()
    assert (free["obligations"]["display"], free["obligations"]["model_name_prefixes"]) == ([], [])
    assert "Llama" not in (tmp_path / "sft" / "NOTICE").read_text()


def test_export_without_llama_leaves_out_and_names_every_touched_row(tmp_path: Path) -> None:
    seeded = a_provenance(NVIDIA, sources=(Source("llama chats", "llama-3.1-community"),))
    terms = {0: a_provenance(LLAMA), 1: a_provenance(NVIDIA, LLAMA), 2: seeded}
    conversations = [a_conversation(number, provenance=terms.get(number, a_provenance())) for number in range(10)]
    release = a_release(tmp_path / "data", sft=conversations)

    made = exported(release, "trl-sft", tmp_path / "out", without_llama=True)

    assert [(one["reason"], one["records"]) for one in made["left_out"]] == [("llama_touched", 3)]
    assert made["obligations"]["model_name_prefixes"] == []
    named = [json.loads(line) for line in (tmp_path / "out" / "left_out.jsonl").read_text().splitlines()]
    assert {one["id"] for one in named} == {one.conversation_id for one in conversations[:3]}
    assert {one["detail"] for one in named} == {LLAMA[0], "llama chats"}
    kept = {row["metadata"]["id"] for row in rows_of(tmp_path / "out", "sft")}
    assert kept == {one.conversation_id for one in conversations[3:]}


def test_export_marks_a_rehearsal(tmp_path: Path) -> None:
    release = a_release(tmp_path / "data", rehearsal=True, sft=[a_conversation(n, provenance=a_provenance(rehearsal=True)) for n in range(10)])

    made = exported(release, "openai", tmp_path / "out")

    assert made["rehearsal"] is True
    assert "REHEARSAL" in (tmp_path / "out" / "NOTICE").read_text()


def test_export_leaves_out_what_is_too_long_and_says_how_it_counted(release: Path, tmp_path: Path) -> None:
    made = exported(release, "trl-sft", tmp_path / "out", max_tokens=30)

    lost = sum(count["left_out"].get("too_long", 0) for count in made["rows"].values())
    assert 0 < lost < 10
    assert "four characters" in made["options"]["tokens_are"]
    assert exported(release, "trl-sft", tmp_path / "all")["options"]["tokens_are"] is None


def test_export_of_which_nothing_is_left_leaves_nothing(release: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="too_long 10"):
        exported(release, "trl-sft", tmp_path / "out", max_tokens=1)

    assert list(tmp_path.iterdir()) == []


def test_export_refuses_a_release_without_such_rows(tmp_path: Path) -> None:
    whole = [a_conversation(number, sample) for number in range(10) for sample in range(2)]
    release = a_release(tmp_path / "data", sft=whole, pairs=[])

    with pytest.raises(NotFoundError, match="trl-dpo is made of preferences"):
        exported(release, "trl-dpo", tmp_path / "out")

    assert list(exported(release, "openai", tmp_path / "openai")["rows"]) == ["sft/train", "sft/validation"]


def test_export_refuses_a_release_whose_bytes_were_changed(tmp_path: Path) -> None:
    release = a_release(tmp_path / "data")
    path = next((release / "sft" / "train").iterdir())
    path.chmod(0o644)
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)

    with pytest.raises(ContractError, match="not as its release's manifest says"):
        exported(release, "trl-sft", tmp_path / "out")

    assert [one.name for one in tmp_path.iterdir()] == ["data"]


def test_export_never_writes_over_anything(release: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")

    with pytest.raises(StorageError, match="not empty"):
        exported(release, "trl-sft", tmp_path / "out")

    assert files_of(tmp_path) == {"out/mine.txt": b"mine"}


def test_export_never_writes_into_its_release(release: Path) -> None:
    before = files_of(release)

    with pytest.raises(StorageError, match="inside the release"):
        exported(release, "trl-sft", release / "exports" / "sft")

    assert files_of(release) == before


def test_export_clears_what_a_killed_one_left(release: Path, tmp_path: Path) -> None:
    litter = tmp_path / ".out.partial" / "sft" / "train"
    litter.mkdir(parents=True)
    (litter / "part-00099.jsonl").write_text("half a li")
    (tmp_path / "out").mkdir()

    exported(release, "trl-sft", tmp_path / "out")

    assert [one.name for one in tmp_path.iterdir()] == ["out"]
    assert "sft/train/part-00099.jsonl" not in files_of(tmp_path / "out")


def test_export_leaves_another_process_its_folder(release: Path, tmp_path: Path) -> None:
    partial = tmp_path / ".out.partial"
    partial.mkdir()
    (partial / "theirs").write_text("half done")
    handle = os.open(partial, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(RunBusyError, match="another process exports to"):
            exported(release, "trl-sft", tmp_path / "out")
    finally:
        os.close(handle)

    assert files_of(tmp_path) == {".out.partial/theirs": b"half done"}


def test_export_to_a_place_that_refuses_says_so(release: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="a file stands where a folder should be"):
        exported(release, "trl-sft", tmp_path / "file" / "out")


def test_an_unknown_format_names_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="did you mean 'trl-dpo'"):
        find_format("trl_dpo")


FAULTY = {
    "a turn of spaces": (replace(a_dialogue(), messages=(Message("user", " \n"), Message("assistant", "Yes."))), "empty_turn"),
    "two user turns": (replace(a_dialogue(), messages=(Message("user", "A?"), Message("user", "B?"), Message("assistant", "C."))), "roles_do_not_alternate"),
    "no answer": (replace(a_dialogue(), messages=(Message("user", "A?"),)), "roles_do_not_alternate"),
    "a late system turn": (replace(a_dialogue(), messages=(Message("user", "A?"), Message("system", "B"))), "roles_do_not_alternate"),
    "nothing but a system turn": (a_prompt(1, messages=(Message("system", "A"),)), "roles_do_not_alternate"),
    "a prompt that ends with an answer": (a_prompt(1, messages=a_dialogue().messages), "roles_do_not_alternate"),
    "equal answers but for space": (
        a_pair(1, chosen=(Message("assistant", "Yes."),), rejected=(Message("assistant", "Yes.\n"),)),
        "chosen_equals_rejected",
    ),
    "an empty rejected answer": (a_pair(1, rejected=(Message("assistant", ""),)), "empty_turn"),
    "a prompt that an answer goes on from": (
        a_pair(1, prompt=(Message("user", "A?"), Message("assistant", "B.")), chosen=(Message("user", "C?"), Message("assistant", "D."))),
        "roles_do_not_alternate",
    ),
}


@pytest.mark.parametrize(("record", "reason"), FAULTY.values(), ids=FAULTY.keys())
def test_check_record_finds_a_fault(record: Any, reason: str) -> None:
    found = check_record(record)

    assert found is not None
    assert found.reason == reason in REASONS


def test_check_record_lets_sound_records_pass() -> None:
    assert [check_record(record) for record in (a_dialogue(), a_pair(1), a_prompt(1))] == [None] * 3


def test_check_record_counts_the_longer_answer() -> None:
    pair = a_pair(1, rejected=(Message("assistant", "word " * 400),))

    found = check_record(pair, max_tokens=400)

    assert found is not None
    assert found.reason == "too_long"
    assert check_record(pair, max_tokens=600) is None


@given(st.text())
def test_json_line_is_one_line_for_every_reader(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return  # A lone surrogate can't be in Parquet.
    line = json_line({"text": text})

    assert json.loads(line) == {"text": text}
    assert len(line.decode().splitlines()) == 1


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_exact_reads_back_as_the_same_float(number: float) -> None:
    import numpy as np

    assert np.float32(exact(number)) == np.float32(number)
    assert len(json.dumps(exact(number))) <= len(json.dumps(number))


def test_sft_rows_of_a_release_come_back_as_they_were_published(tmp_path: Path) -> None:
    asked, said = 'Q{}\u2028\r\n\t"\\', "A{} \x85 \U0001f600 日本"
    strange = [
        a_conversation(n, conversation_id=a_conversation(n).conversation_id, messages=(Message("user", asked.format(n)), Message("assistant", said.format(n))))
        for n in range(10)
    ]
    release = a_release(tmp_path / "data", sft=strange)

    exported(release, "trl-sft", tmp_path / "out")

    found = {row["metadata"]["id"]: row["messages"] for row in rows_of(tmp_path / "out", "sft")}
    assert found == {one.conversation_id: _plain(one) for one in strange}


def _plain(one: Conversation) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in one.messages]
