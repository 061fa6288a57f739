"""`gristmill runs`, on a ledger with some history."""

import contextlib
import json
from pathlib import Path

import pytest

from cli.main import main
from infra.ledger import Ledger
from schemas.run import ShardReport


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with contextlib.closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        first = ledger.begin_run(fingerprint="a" * 32, name="small", recipe={}, rehearsal=True, fresh=False)
        ledger.plan_stage(first.run_id, "responses", 3)
        ledger.commit_shard(first.run_id, "responses", 0, ShardReport(10, 8, {"truncated": 2}, calls=12, reused=3, prompt_tokens=100, completion_tokens=200))
        ledger.note(first.run_id, "engine:rehearsal-instruct", {"kind": "triton/ensemble", "address": "grpc://127.0.0.1:8001", "server": "triton 2.51"})
        ledger.set_status(first.run_id, "failed", error="disk full")
        ledger.begin_run(fingerprint="b" * 32, name="other", recipe={}, rehearsal=False, fresh=False)
    return tmp_path


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(one) for one in arguments]) == 0
    return capsys.readouterr().out


def test_runs_list_shows_each_run_and_how_it_stands(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [line.split()[:3] for line in call(capsys, "runs", "list", "--data", data).splitlines()[1:]]

    assert sorted(rows) == [["a" * 12, "small", "failed"], ["b" * 12, "other", "running"]]


def test_runs_list_stops_at_its_limit(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(json.loads(call(capsys, "runs", "list", "--limit", 1, "--json", "--data", data))) == 1


def test_runs_list_of_a_new_folder_says_how_to_begin_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "gristmill run" in call(capsys, "runs", "list", "--data", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_runs_show_tells_stages_cost_engine_and_what_is_left(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = call(capsys, "runs", "show", "aaa", "--data", data)

    assert "disk full" in shown
    assert "truncated 2" in shown
    assert "12 calls, 3 reused · 100 tokens in, 200 out" in shown
    assert "2 shards to do" in shown
    assert "rehearsal-instruct: triton/ensemble at grpc://127.0.0.1:8001" in shown


def test_runs_show_as_json_has_stages_and_notes(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(call(capsys, "runs", "show", "aaa", "--json", "--data", data))

    assert found["error"] == "disk full"
    assert found["stages"][0]["total"]["dropped"] == {"truncated": 2}
    assert "engine:rehearsal-instruct" in found["notes"]


@pytest.mark.parametrize("folder", ["history", "nothing"])
def test_runs_show_of_an_unknown_run_exits_7(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str) -> None:
    assert main(["runs", "show", "zzz", "--data", str(data if folder == "history" else tmp_path / "new")]) == 7
    assert capsys.readouterr().err.startswith("error: no run 'zzz'")
