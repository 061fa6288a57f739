import json
import re
from pathlib import Path

import pytest

from cli.main import main
from tasks.release.exporting import format_names
from tests.tasks.export_builders import a_release

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    a_release(folder)
    return folder


@pytest.mark.parametrize("to", format_names())
def test_export_writes_every_format(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], to: str) -> None:
    assert main(["export", "small", "--to", to, "--out", str(tmp_path / "out"), "--data", str(data), "--json"]) == 0

    made = json.loads(capsys.readouterr().out)
    assert made["path"] == str(tmp_path / "out")
    assert made["to"]["name"] == to
    assert (tmp_path / "out" / "export.json").is_file()


def test_export_tells_what_it_left_out_and_where_it_is_named(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "small/v1", "--to", "nemo-gym", "--out", str(tmp_path / "out"), "--data", str(data)]) == 0

    shown = capsys.readouterr().out
    assert "left out 5 not_verifiable: no reference answer is known" in shown
    assert str(tmp_path / "out" / "left_out.jsonl") in shown


def test_export_takes_a_limit(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", "small", "--to", "trl-sft", "--out", str(tmp_path / "out"), "--data", str(data), "--max-tokens", "30", "--without-llama"]

    assert main([*arguments, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["options"]["max_tokens"], made["options"]["without_llama"]) == (30, True)
    assert [one["reason"] for one in made["left_out"]] == ["too_long"]


def test_export_to_an_unknown_format_exits_7_and_lists_them(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "small", "--to", "trl", "--out", str(tmp_path / "out"), "--data", str(data)]) == 7

    assert ", ".join(format_names()) in capsys.readouterr().err


def test_export_onto_something_exits_5(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "small", "--to", "openai", "--out", str(data), "--data", str(data)]) == 5

    assert "not empty" in capsys.readouterr().err


def test_every_format_is_in_the_docs() -> None:
    said = set(re.findall(r"`([a-z0-9-]+)`", (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")))

    assert set(format_names()) <= said
