"""`gristmill engines check`: a table or JSON of what answers, and exit code 3 where something does not."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.engines import app
from infra.settings import ROOT, read_settings
from schemas.errors import EngineError, SettingsError


def test_check_asks_for_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_ENGINES", "")
    result = CliRunner().invoke(app, ["check"])
    assert isinstance(result.exception, SettingsError)
    assert "GRISTMILL_ENGINES" in str(result.exception)


def test_check_shows_what_is_wrong_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_ENGINES", "nemotron-4-340b-instruct=grpc://127.0.0.1:1/ensemble nemotron-4-340b-reward=http://127.0.0.1:1/v1")
    result = CliRunner().invoke(app, ["check", "--json"])
    checked = json.loads(result.stdout)
    assert [one["model"] for one in checked] == ["nemotron-4-340b-instruct", "nemotron-4-340b-reward"]
    assert {one["fault"] for one in checked} == {"unreachable"}
    assert isinstance(result.exception, EngineError)
    assert result.exception.exit_code == 3
    assert "nemotron-4-340b-reward: http://127.0.0.1:1/v1" in str(result.exception)


def test_check_never_shows_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_API_KEY", "planted-secret-key")
    monkeypatch.setenv("GRISTMILL_ENGINES", "nemotron-4-340b-instruct=http://127.0.0.1:1/v1")
    result = CliRunner().invoke(app, ["check", "--json"])
    assert "planted-secret-key" not in result.output + str(result.exception)


@pytest.mark.triton
def test_check_starts_rehearsal_models_for_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.access(read_settings().triton_python, os.X_OK):
        pytest.skip("NO TRITON: `make setup` installs it")
    monkeypatch.setenv("GRISTMILL_ENGINES", "")
    result = CliRunner().invoke(app, ["check", str(ROOT / "recipes" / "rehearsal.yaml"), "--json"])
    assert result.exception is None
    checked = {one["model"]: one for one in json.loads(result.stdout)}
    assert checked["rehearsal-instruct"]["kind"] == "triton/ensemble"
    assert checked["rehearsal-reward"]["attributes"][0] == "helpfulness"


def test_render_writes_a_folder_and_says_how_to_name_its_engines(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["render", "llama-3.1-nemotron-70b-reward", "--on", "4xH100", "--out", str(tmp_path / "served")])
    assert result.exit_code == 0
    assert "llama-3.1-nemotron-70b-reward=grpc://HOST:8001/reward" in result.output
    assert {path.name for path in (tmp_path / "served").iterdir()} == {"README.md", "build.sh", "launch.sh", "serve.sh", "repository"}


def test_build_shows_its_commands_and_runs_none(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["build", "nemotron-4-340b-instruct", "--on", "8xH200", "--out", str(tmp_path)])
    assert result.exit_code == 0
    assert "trtllm-build" in result.output
    assert "Nothing was run" in result.output
