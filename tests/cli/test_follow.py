"""Showing a run: in place on a terminal, in lines elsewhere."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from cli.console import watched
from cli.follow import follow, news, status
from schemas.records import STAGES
from schemas.run import ShardReport
from tasks.progress import Progress, StageProgress

WAITING = Progress("677ae6cd16aa", "rehearsal", True, tuple(StageProgress(stage) for stage in STAGES))


def with_stage(progress: Progress, stage: StageProgress) -> Progress:
    return replace(progress, stages=tuple(stage if one.stage == stage.stage else one for one in progress.stages))


RUNNING = with_stage(WAITING, StageProgress("responses", "running", 1, 5, ShardReport(10, 10)))
DONE = with_stage(WAITING, StageProgress("responses", "done", 5, 5, ShardReport(50, 48, {"truncated": 2})))


def test_news_of_a_run_that_begins() -> None:
    assert news(Progress(), WAITING) == ["rehearsal: run 677ae6cd16aa (rehearsal)"]


def test_news_of_a_stage_that_starts_tells_what_was_done_before() -> None:
    assert news(WAITING, RUNNING) == ["responses: started, 5 shards, 1 done before"]


def test_news_of_a_stage_that_ends_accounts_for_its_rows() -> None:
    assert news(RUNNING, DONE) == ["responses: done, 50 rows in, 48 out, 2 dropped"]


def test_no_news_where_only_counters_moved() -> None:
    assert news(RUNNING, replace(RUNNING, calls=7, in_flight=3)) == []


def test_news_of_what_is_waited_for_comes_once() -> None:
    waiting = replace(WAITING, message="starting Dask")

    assert news(WAITING, waiting) == ["starting Dask"]
    assert news(waiting, waiting) == []


def test_status_tells_shards_and_calls() -> None:
    assert status(replace(RUNNING, calls=12, in_flight=3, limit=8)) == "responses 1/5 shards: 12 calls · 3/8 in flight · 0 tokens/s"


def test_follow_writes_lines_where_nobody_watches() -> None:
    shown = io.StringIO()
    with follow(lambda: DONE, Console(file=shown, width=100)):
        pass

    assert "responses: done, 50 rows in, 48 out, 2 dropped\n" in shown.getvalue()
    assert "\x1b" not in shown.getvalue()


def test_follow_redraws_in_place_on_a_terminal_and_clears_up_after_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    shown = io.StringIO()
    with follow(lambda: RUNNING, Console(file=shown, width=80, force_terminal=True)):
        pass

    assert "responses" in shown.getvalue()
    assert shown.getvalue().count("\x1b[?25l") == shown.getvalue().count("\x1b[?25h") == 1, "the cursor must come back"


def test_follow_leaves_the_picture_standing_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    kept, cleared = io.StringIO(), io.StringIO()
    with pytest.raises(ZeroDivisionError), follow(lambda: RUNNING, Console(file=kept, width=80, force_terminal=True)):
        raise ZeroDivisionError
    with follow(lambda: RUNNING, Console(file=cleared, width=80, force_terminal=True)):
        pass

    assert cleared.getvalue().count("\x1b[2K") > kept.getvalue().count("\x1b[2K")


def test_follow_says_nothing_when_told_to_be_quiet() -> None:
    shown = io.StringIO()
    with follow(lambda: DONE, Console(file=shown), quiet=True):
        pass

    assert shown.getvalue() == ""


def test_a_ci_log_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.delenv("CI", raising=False)
    assert watched(terminal)
    monkeypatch.setenv("CI", "true")
    assert not watched(terminal)
