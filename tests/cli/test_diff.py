import json
from pathlib import Path

import typer
from typer.testing import CliRunner

from cli.diff import diff as command
from tasks.release.publish import publish_release
from tests.tasks.release_builders import a_recipe, some_inputs

app = typer.Typer()
app.command()(command)


def diff(data: Path, *arguments: str) -> str:
    publish_release(some_inputs(data))
    publish_release(some_inputs(data, run_id="run1", version="v2", prompts=12, recipe=a_recipe(seed=3)))
    result = CliRunner().invoke(app, ["small/v1", "small/v2", "--data", str(data), *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_diff_shows_rows_reasons_and_recipe(tmp_path: Path) -> None:
    told = diff(tmp_path)

    assert "small/v1" in told
    assert "too_short" in told
    assert "seed" in told


def test_diff_as_json_holds_everything(tmp_path: Path) -> None:
    told = json.loads(diff(tmp_path, "--json"))

    assert [side["sft"] for side in told["rows"]] == [10, 12]
    assert {one["number"] for one in told["shifts"]} >= {"reward", "helpfulness"}
    assert [one["key"] for one in told["recipe"]] == ["seed"]
