"""What a run looks like while it works: a picture of one `Progress`, as a pure function of it.

cli/follow.py shows it four times a second on a terminal, and as plain lines elsewhere.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.figures import clock, count, short

if TYPE_CHECKING:
    from tasks.progress import Progress, StageProgress

_BAR_FROM = 72
"""Columns from which there is room for bars."""
_WIDEST_BAR = 40
_FIXED = 58
"""Columns that the table needs beside the bar."""
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_REASONS = 4
"""Drop reasons named; the report has the others."""


def render(progress: "Progress", *, width: int, now: float) -> RenderableType:
    """Draw a run as it stands; `now` is of the clock that `started_s` is of."""
    parts: list[RenderableType] = [_header(progress, now), _stages(progress, width)]
    parts += [line for line in (_engine(progress), _drops(progress)) if line]
    if progress.message:
        parts.append(Text(f"{_SPINNER[int(now * 4) % len(_SPINNER)]} {progress.message}", style="dim"))
    return Group(*parts)


def top_reasons(progress: "Progress") -> list[tuple[str, int]]:
    """Order the drop reasons of all stages by the rows they cost."""
    rows: dict[str, int] = {}
    for stage in progress.stages:
        for reason, number in stage.dropped.items():
            rows[reason] = rows.get(reason, 0) + number
    return sorted(rows.items(), key=lambda one: (-one[1], one[0]))


def describe_engine(progress: "Progress") -> str:
    """Say in one line what the engines are doing."""
    said = [f"{count(progress.calls)} calls"]
    if progress.reused:
        said.append(f"{count(progress.reused)} reused")
    said.append(f"{progress.in_flight}{f'/{progress.limit}' if progress.limit else ''} in flight")
    said.append(f"{short(progress.tokens_per_s)} tokens/s")
    if progress.retries:
        said.append(f"{count(progress.retries)} retries")
    if progress.failed:
        said.append(f"{count(progress.failed)} failed")
    if progress.latency_s:
        said.append(f"{progress.mean_latency_s:,.2f} s a call")
    return " · ".join(said)


def _header(progress: "Progress", now: float) -> Table:
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    line.add_column(justify="right", no_wrap=True)
    title = Text.assemble((progress.name or "gristmill", "bold"), (f"  run {progress.run_id}" if progress.run_id else "", "dim"))
    if progress.rehearsal:
        title.append("  on rehearsal models", style="yellow")
    line.add_row(title, Text(clock(now - progress.started_s) if progress.started_s else "", style="bold"))
    return line


def _stages(progress: "Progress", width: int) -> Table:
    table = Table.grid(padding=(0, 1))
    bar = min(_WIDEST_BAR, width - _FIXED) if width >= _BAR_FROM else 0
    table.add_column(width=1)
    table.add_column(width=9, no_wrap=True)
    if bar:
        table.add_column(width=bar)
    table.add_column(justify="right", width=9, no_wrap=True)
    table.add_column(justify="right", width=19, no_wrap=True)
    table.add_column(width=12, no_wrap=True)
    for stage in progress.stages:
        table.add_row(*_stage(stage, bar))
    return table


def _stage(stage: "StageProgress", bar: int) -> Iterator[RenderableType]:
    sign, style = {"waiting": ("·", "dim"), "running": ("›", "bold cyan"), "done": ("✓", "green")}[stage.status]
    dropped = sum(stage.dropped.values())
    yield Text(sign, style=style)
    yield Text(stage.stage, style="dim" if stage.status == "waiting" else "")
    if bar:
        total = max(stage.shards, 1)
        done = total if stage.status == "done" else stage.shards_done
        waits = stage.status == "waiting"
        yield "" if waits else ProgressBar(total=total, completed=done, width=bar, style="bright_black", complete_style="cyan", finished_style="green")
    yield Text(f"{short(stage.shards_done)}/{short(stage.shards)}" if stage.shards else "", style="dim")
    # A stage that has started counts rows shard by shard: nothing to show before the first is in.
    begun = stage.shards_done or stage.rows_in
    yield Text(f"{_figure(stage.rows_in)} → {_figure(stage.rows_out):>7}" if begun else "")
    yield Text(f"{_figure(dropped)} dropped" if dropped else "", style="yellow")


def _figure(number: int) -> str:
    return count(number) if number < 1_000_000 else short(number)


def _engine(progress: "Progress") -> Text | None:
    if not (progress.calls or progress.in_flight or progress.reused):
        return None
    return Text.assemble(("engines  ", "dim"), describe_engine(progress), overflow="ellipsis", no_wrap=True)


def _drops(progress: "Progress") -> Text | None:
    reasons = top_reasons(progress)
    if not reasons:
        return None
    named = " · ".join(f"{reason} {count(rows)}" for reason, rows in reasons[:_REASONS])
    more = f" · {len(reasons) - _REASONS} more" if len(reasons) > _REASONS else ""
    return Text.assemble(("dropped  ", "dim"), named, (more, "dim"), overflow="ellipsis", no_wrap=True)
