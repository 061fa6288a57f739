"""Show a run while it works: redrawn in place on a terminal, as a line now and then in a log, or not at all."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from cli.console import watched
from cli.display import describe_engine, render
from cli.figures import clock, count

if TYPE_CHECKING:
    from tasks.progress import Progress, StageProgress

Look = Callable[[], "Progress"]

_LINE_EVERY_S = 10.0
_LOOK_EVERY_S = 0.25


@contextmanager
def follow(look: Look, console: Console, *, quiet: bool = False) -> Iterator[None]:
    """Show what `look` gives until the block ends."""
    if quiet:
        yield
    elif watched(console):
        with _redrawn(look, console):
            yield
    else:
        with _told(look, console):
            yield


@contextmanager
def _redrawn(look: Look, console: Console) -> Iterator[None]:
    def draw() -> object:
        return render(look(), width=console.width, now=time.monotonic())

    # Taken away at a good end, where the closing words say it all again; left standing otherwise.
    with Live(console=console, get_renderable=draw, refresh_per_second=1 / _LOOK_EVERY_S, transient=True) as live:  # type: ignore[arg-type]
        try:
            yield
        except BaseException:
            live.transient = False
            raise


@contextmanager
def _told(look: Look, console: Console) -> Iterator[None]:
    over = threading.Event()
    teller = threading.Thread(target=_tell, args=(look, console, over), name="progress lines", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _tell(look: Look, console: Console, over: threading.Event) -> None:
    from tasks.progress import Progress

    before, last = Progress(), time.monotonic()
    while True:
        ended = over.wait(_LOOK_EVERY_S)
        now, progress = time.monotonic(), look()
        lines = news(before, progress)
        if not lines and now - last >= _LINE_EVERY_S:
            lines = [status(progress)]
        for line in lines:
            console.print(Text(f"[{clock(now - progress.started_s if progress.started_s else 0)}] {line}"), soft_wrap=True)
            last = now
        if ended:
            return
        before = progress


def news(before: "Progress", after: "Progress") -> list[str]:
    """Say what has changed between two looks that a log should keep."""
    lines = []
    if after.run_id and after.run_id != before.run_id:
        lines.append(f"{after.name}: run {after.run_id}{' (rehearsal)' if after.rehearsal else ''}")
    if after.message and after.message != before.message:
        lines.append(after.message)
    if after.engine and after.engine != before.engine:
        lines.append(f"engines: {after.engine}")
    was = {stage.stage: stage.status for stage in before.stages} if after.run_id == before.run_id else {}
    return lines + [_milestone(stage) for stage in after.stages if stage.status != was.get(stage.stage, "waiting")]


def status(progress: "Progress") -> str:
    """Say where a run stands."""
    running = [stage for stage in progress.stages if stage.status == "running"]
    where = ", ".join(f"{stage.stage} {stage.shards_done}/{stage.shards} shards" for stage in running) or progress.message or "working"
    return f"{where}: {describe_engine(progress)}"


def _milestone(stage: "StageProgress") -> str:
    if stage.status == "running":
        return f"{stage.stage}: started, {count(stage.shards)} shards" + (f", {count(stage.shards_done)} done before" if stage.shards_done else "")
    dropped = sum(stage.dropped.values())
    return f"{stage.stage}: done, {count(stage.rows_in)} rows in, {count(stage.rows_out)} out, {count(dropped)} dropped"
