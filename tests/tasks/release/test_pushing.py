"""gristmill push against a stand-in for the Hub's HTTP API, by the Hub's own library, in a process of its own: it reads its settings once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from schemas.errors import ContractError, SettingsError
from tasks.release.exporting import export_release, find_format
from tasks.release.publish import publish_release
from tasks.release.pushing import plan_push
from tests.tasks.release.hub_stand_in import TOKEN, Hub, serve_hub
from tests.tasks.release_builders import some_inputs


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve_hub() as served:
        yield served


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return Path(publish_release(some_inputs(tmp_path / "data")).path)


def push(hub: Hub, release: Path, *arguments: str, token: str = TOKEN) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(release.parent / "hf")}
    command = [sys.executable, "-m", "cli.main", "push", str(release), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_push_sends_every_file_in_one_commit_and_tags_it(hub: Hub, release: Path) -> None:
    done = push(hub, release, "team/small", "--yes")

    assert done.returncode == 0, done.stderr
    assert hub.commits == [{str(path.relative_to(release)): path.read_bytes() for path in release.rglob("*") if path.is_file()}]
    assert hub.tags == ["v1"]
    assert hub.repositories["team/small"]["visibility"] == "private"
    assert "/commit/" in done.stdout


@pytest.mark.slow
def test_push_sends_nothing_unless_it_is_told_to(hub: Hub, release: Path) -> None:
    done = push(hub, release, "team/small")

    assert done.returncode == 0, done.stderr
    assert "Nothing was sent" in done.stdout
    assert hub.repositories == {}


@pytest.mark.slow
def test_push_does_not_overwrite_a_version(hub: Hub, release: Path) -> None:
    assert push(hub, release, "team/small", "--yes", "--public").returncode == 0
    again = push(hub, release, "team/small", "--yes")

    assert again.returncode == 5
    assert "has a version v1 already" in again.stderr


@pytest.mark.slow
def test_push_says_what_a_refused_token_lacks_and_never_shows_it(hub: Hub, release: Path) -> None:
    done = push(hub, release, "team/small", "--yes", token="hf_other_secret")

    assert done.returncode == 2
    assert "HF_TOKEN" in done.stderr
    assert "hf_other_secret" not in done.stdout + done.stderr


@pytest.fixture
def exported(release: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "dpo"
    export_release(release, find_format("trl-dpo"), folder)
    return folder


@pytest.mark.slow
def test_push_sends_an_export_with_a_card_whose_splits_are_its_files(hub: Hub, exported: Path) -> None:
    done = push(hub, exported, "team/small-dpo", "--yes")

    assert done.returncode == 0, done.stderr
    assert hub.commits == [{str(path.relative_to(exported)): path.read_bytes() for path in exported.rglob("*") if path.is_file()}]
    assert hub.tags == ["v1"]
    assert "as trl-dpo" in done.stdout
    front = yaml.safe_load(hub.commits[0]["README.md"].split(b"---")[1])
    globs = [one["path"] for config in front["configs"] for one in config["data_files"]]
    assert {path for glob in globs for path in exported.glob(glob)} == set(exported.rglob("part-*.jsonl"))


def test_push_refuses_an_export_that_is_not_as_its_manifest_says(exported: Path) -> None:
    part = next(exported.rglob("part-*.jsonl"))
    part.write_bytes(part.read_bytes() + b"{}\n")

    with pytest.raises(ContractError, match=r"part-00000\.jsonl has another checksum; export it anew"):
        plan_push(exported, "team/small", public=False)


@pytest.mark.parametrize("name", ["small", "a/b/c", "/small", "team/", " team/small"])
def test_push_refuses_what_is_no_repositorys_name(release: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="owner/name"):
        plan_push(release, name, public=False)


def test_push_refuses_a_release_that_is_not_as_its_manifest_says(release: Path) -> None:
    (release / "README.md").write_text("another card", encoding="utf-8")
    with pytest.raises(ContractError, match=r"README\.md"):
        plan_push(release, "team/small", public=False)
