import json
from pathlib import Path

import pytest

from cli.main import main
from tasks.release.publish import publish_release
from tests.tasks.release_builders import some_inputs


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    publish_release(some_inputs(folder))
    return folder


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main([str(one) for one in arguments]) == 0
    return capsys.readouterr().out


def test_releases_list_shows_what_is_published(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(call(capsys, "releases", "list", "--json", "--data", data))

    assert [(one["name"], one["version"], one["run_id"]) for one in found] == [("small", "v1", "run0")]
    assert "small/v1" in call(capsys, "releases", "list", "--data", data)


@pytest.mark.parametrize("wanted", ["small", "small/v1", "small/latest"])
def test_releases_show_takes_a_name_or_a_version(data: Path, capsys: pytest.CaptureFixture[str], wanted: str) -> None:
    assert json.loads(call(capsys, "releases", "show", wanted, "--json", "--data", data))["version"] == "v1"


def test_releases_show_takes_a_folder(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = call(capsys, "releases", "show", data / "releases" / "small" / "v1")

    assert "30 requested = 20 kept" in shown


def test_releases_verify_exits_4_on_a_fault(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "sound" in call(capsys, "releases", "verify", "small", "--data", data)
    broken = Path(publish_release(some_inputs(tmp_path)).path)
    (broken / "NOTICE").unlink()

    assert main(["releases", "verify", str(broken), "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["faults"] == [{"file": "NOTICE", "what": "is missing"}]


def test_releases_that_are_not_there_exit_7(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["releases", "show", "large", "--data", str(data)]) == 7
    assert "there are small/v1" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["sft", "preferences", "prompts", "dropped"])
def test_sample_shows_rows_of_every_kind(data: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    shown = call(capsys, "sample", "small", "--kind", kind, "-n", "2", "--data", data)

    assert shown.count("Question") >= 2


def test_sample_repeats_itself_by_seed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, again, other = (call(capsys, "sample", "small", "-n", "3", "--json", "--seed", seed, "--data", data) for seed in ("1", "1", "2"))

    assert one == again != other
    assert len(json.loads(one)) == 3


def test_sample_picks_drops_by_reason(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(call(capsys, "sample", "small", "--kind", "dropped", "--reason", "near_duplicate", "-n", "9", "--json", "--data", data))

    assert [row["reason"] for row in rows] == ["near_duplicate"] * 4
    assert main(["sample", "small", "--reason", "near_duplicate", "--data", str(data)]) == 2
