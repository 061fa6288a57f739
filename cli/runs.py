"""`gristmill runs`: what has run, how it ended, and where its rows went."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from cli.console import out, print_json
from cli.figures import clock, count

if TYPE_CHECKING:
    from infra.ledger import Ledger
    from schemas.run import RunRecord, StageReport

app = typer.Typer(help="List runs, show one.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option("--data", help="Folder of runs, calls and releases; default: GRISTMILL_DATA, else ./data.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for scripts.")]

_STYLES = {"finished": "green", "running": "cyan", "interrupted": "yellow", "failed": "red"}


@app.callback()
def group() -> None:
    """List runs, show one."""


@app.command("list")
def list_runs(
    data: Data = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first.

    Example: [bold]gristmill runs list --limit 5[/bold]
    """
    with open_ledger(data) as ledger:
        runs = [as_it_is(one, data) for one in ledger.runs(limit=limit)] if ledger else []
    if as_json:
        print_json([asdict(one) for one in runs])
    elif runs:
        out().print(_list(runs))
    else:
        out().print("No runs yet. Begin with:  gristmill run recipes/rehearsal.yaml")


@app.command("show")
def show_run(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or the beginning of it.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show a run: its stages, what was dropped and why, what it cost.

    Example: [bold]gristmill runs show 677ae6[/bold]
    """
    with open_ledger(data) as ledger:
        if ledger is None:
            from schemas.errors import NotFoundError

            raise NotFoundError(f"no run {run!r}: nothing has run in this data folder yet; --data names another")
        record = as_it_is(ledger.run(run), data)
        stages, notes = ledger.stages(record.run_id), ledger.notes(record.run_id)
    if as_json:
        print_json(asdict(record) | {"stages": [asdict(stage) for stage in stages], "notes": notes})
    else:
        _show(record, stages, notes)


def as_it_is(run: "RunRecord", data: Path | None) -> "RunRecord":
    """Correct a run that the ledger calls running although its process is gone: a killed one could not say so itself."""
    if run.status != "running":
        return run
    from infra.settings import read_settings
    from infra.storage import is_held

    if is_held(read_settings(data=data).data, run.run_id) is not False:
        return run
    return replace(run, status="interrupted", error="its process is gone: killed, or its machine went down; the same `gristmill run` goes on with it")


@contextlib.contextmanager
def open_ledger(data: Path | None) -> "Iterator[Ledger | None]":
    """Open the ledger for reading; None where no run has made one. (Looking should not leave an empty database behind.)"""
    from infra.settings import read_settings

    settings = read_settings(data=data)
    if not settings.database_url and not (settings.local / "ledger.db").exists():
        yield None
        return
    from infra.ledger import Ledger

    with contextlib.closing(Ledger.open(settings.ledger_url)) as ledger:
        yield ledger


def _list(runs: "Sequence[RunRecord]") -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("Run", "data set", "status", "started", "took", "release"):
        table.add_column(name, no_wrap=name != "data set", overflow="fold")
    for one in runs:
        status = Text(one.status, style=_STYLES[one.status])
        table.add_row(one.run_id, one.name, status, _moment(one.started_at), _took(one), one.release or "")
    return table


def _show(run: "RunRecord", stages: "Sequence[StageReport]", notes: Mapping[str, Any]) -> None:
    from cli.closing import accepted_answers, cost, funnel, spending_table

    console = out()
    title = Text.assemble((run.name, "bold"), f"  run {run.run_id}  ", (run.status, _STYLES[run.status]), ("  rehearsal" if run.rehearsal else "", "yellow"))
    console.print(title)
    console.print(Text(f"started {_moment(run.started_at)}, took {_took(run)}" + (f", published as {run.release}" if run.release else ""), style="dim"))
    if (told := notes.get("descent")) and told["kind"] == "requeue":
        console.print(Text(f"goes on from {told['release']} (run {told['run']}): drops for {', '.join(told['reasons'])} put through again", style="dim"))
    if run.error:
        console.print(Text(f"\n{run.error}", style="red"), soft_wrap=True)
    if stages:
        console.print()
        console.print(funnel(stages))
        console.print(Text(f"\n{cost(stages)}"))
        spending = spending_table(stages, accepted_answers(stages))
        if spending is not None:
            console.print(spending)
        open_shards = sum(stage.shards - stage.committed for stage in stages)
        if open_shards and run.status != "finished":
            console.print(Text(f"{count(open_shards)} shards to do; the same `gristmill run` goes on with them", style="dim"))
    for name, note in notes.items():
        kind, _, what = name.partition(":")
        if kind == "engine":
            console.print(Text.assemble(("engine  ", "dim"), f"{what}: {note.get('kind')} at {note.get('address')}, {note.get('server')}"), soft_wrap=True)


def _moment(iso: str) -> str:
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")


def _took(run: "RunRecord") -> str:
    begun = datetime.fromisoformat(run.started_at)
    if run.finished_at:
        return clock((datetime.fromisoformat(run.finished_at) - begun).total_seconds())
    return clock((datetime.now(UTC) - begun).total_seconds()) if run.status == "running" else ""
