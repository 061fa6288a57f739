"""The last words of a run."""

from pathlib import Path

import pytest

from cli.closing import funnel, next_commands, rows_table
from cli.console import out
from schemas.run import ShardReport, StageReport


def shown(table: object, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    out().print(table)
    return [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_rows_table_lays_out_data_sets_by_split(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"sft/train": 1310, "sft/validation": 8, "dropped": 412}

    assert shown(rows_table(rows), capsys) == [["Rows", "train", "validation", "total"], ["sft", "1,310", "8", "1,318"], ["dropped", "412"]]


def test_funnel_joins_the_steps_of_a_stage_and_names_reasons_by_weight(capsys: pytest.CaptureFixture[str]) -> None:
    stages = [
        StageReport("prompts/0-open_qa/0-topics", 1, 1, ShardReport(84, 80, {"malformed_list": 4})),
        StageReport("prompts/0-open_qa/1-questions", 1, 1, ShardReport(80, 80)),
        StageReport("filter", 1, 1, ShardReport(80, 70, {"a": 1, "b": 2, "c": 3, "d": 4})),
    ]

    _, prompts, filtered = shown(funnel(stages), capsys)

    assert prompts == ["prompts", "84", "80", "95.2", "%", "malformed_list", "4"]
    assert filtered[5:] == ["d", "4,", "c", "3,", "b", "2,", "1", "more"]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_next_commands_are_one_a_line_and_can_be_copied(width: int) -> None:
    lines = [line.plain.strip() for line in next_commands("rehearsal/v1", "677ae6cd16aa", Path("/mnt/my data"), width=width)]

    assert [line.split("   ")[0] for line in lines] == [
        "gristmill sample rehearsal/v1 --data '/mnt/my data'",
        "gristmill report 677ae6cd16aa --data '/mnt/my data'",
        "gristmill releases verify rehearsal/v1 --data '/mnt/my data'",
    ]
