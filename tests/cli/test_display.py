"""The picture of a run: what is on it, and that it fits the terminal."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from cli.display import describe_engine, render, top_reasons
from schemas.records import STAGES
from schemas.run import ShardReport
from tasks.progress import Progress, StageProgress, StageStatus


def a_stage(stage: str, status: StageStatus = "waiting", *, done: int = 0, shards: int = 0, **report: object) -> StageProgress:
    return StageProgress(stage, status, done, shards, ShardReport(**({"rows_in": 0, "rows_out": 0} | report)))  # type: ignore[arg-type]


def a_progress(*stages: StageProgress, **fields: object) -> Progress:
    given = {stage.stage: stage for stage in stages}
    whole = tuple(given.get(name, a_stage(name)) for name in STAGES)
    return Progress(**({"run_id": "677ae6cd16aa", "name": "rehearsal", "stages": whole, "started_s": 100.0} | fields))  # type: ignore[arg-type]


def picture(progress: Progress, *, width: int = 80, now: float = 184.0) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=True)
    console.print(render(progress, width=width, now=now))
    return console.export_text().splitlines()


BUSY = a_progress(
    a_stage("prompts", "done", done=12, shards=12, rows_in=1024, rows_out=1010, dropped={"malformed_list": 14}),
    a_stage("screen", "done", done=12, shards=12, rows_in=1010, rows_out=998, dropped={"duplicate": 12}),
    a_stage("responses", "running", done=5, shards=12, rows_in=3000, rows_out=2990, dropped={"truncated": 4, "engine_refused": 3, "a": 2, "b": 1}),
    calls=1240,
    reused=310,
    in_flight=58,
    limit=64,
    tokens_per_s=5120.0,
    retries=3,
)


def test_render_shows_each_stage_in_order() -> None:
    lines = picture(BUSY)

    assert [next(name for name in STAGES if f" {name} " in f"{line} ") for line in lines[1 : 1 + len(STAGES)]] == list(STAGES)


def test_render_heads_with_data_set_run_and_time() -> None:
    head = picture(BUSY)[0]

    assert "rehearsal" in head
    assert "677ae6cd16aa" in head
    assert head.rstrip().endswith("1:24")


def test_render_marks_a_rehearsal() -> None:
    assert "on rehearsal models" in picture(a_progress(name="questions", rehearsal=True))[0]
    assert "rehearsal" not in picture(a_progress(name="questions"))[0]


def test_render_tells_rows_in_out_and_dropped() -> None:
    line = next(line for line in picture(BUSY) if "responses" in line)

    assert "5/12" in line
    assert "3,000 →" in line
    assert "2,990" in line
    assert "10 dropped" in line


def test_render_tells_what_engines_do() -> None:
    line = next(line for line in picture(BUSY, width=120) if line.startswith("engines"))

    assert line.split("  ", 1)[1].strip() == "1,240 calls · 310 reused · 58/64 in flight · 5,120 tokens/s · 3 retries"
    assert describe_engine(replace(BUSY, latency_s=1_550.0)).endswith(" · 3 retries · 1.25 s a call")


def test_render_names_the_commonest_drop_reasons_and_counts_the_others() -> None:
    line = next(line for line in picture(BUSY, width=120) if line.startswith("dropped"))

    assert "malformed_list 14 · duplicate 12 · truncated 4 · engine_refused 3 · 2 more" in line


def test_render_shows_what_is_waited_for() -> None:
    assert any("starting Dask" in line for line in picture(a_progress(message="starting Dask")))


def test_render_shows_nothing_of_engines_before_the_first_call() -> None:
    assert not any(line.startswith("engines") for line in picture(a_progress()))


@pytest.mark.parametrize("width", [40, 60, 72, 80, 120, 200])
def test_render_fits_the_terminal(width: int) -> None:
    lines = picture(BUSY, width=width)

    assert all(len(line) <= width for line in lines)
    assert len(lines) == len(picture(BUSY, width=200)), "a line was broken"


def test_render_keeps_its_height_while_figures_grow() -> None:
    big = ShardReport(rows_in=10**9, rows_out=10**9 - 5, dropped={"too_long_to_score": 5})
    grown = a_progress(StageProgress("responses", "running", 10**6, 4 * 10**6, big), calls=10**9, in_flight=4096, limit=4096, tokens_per_s=123456.0)

    assert all(len(line) <= 80 for line in picture(grown))


def test_top_reasons_add_stages_up_and_break_ties_by_name() -> None:
    progress = a_progress(a_stage("filter", dropped={"b": 1, "a": 1, "c": 2}), a_stage("pair", dropped={"a": 1}))

    assert top_reasons(progress) == [("a", 2), ("c", 2), ("b", 1)]
