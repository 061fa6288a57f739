"""`gristmill releases`, `sample` and `report`: look at what was published, and at what a run has made so far."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import err, out, print_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tasks.release.sampling import SampledRow

app = typer.Typer(help="List, show and verify releases.", no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False)

Data = Annotated[Path | None, typer.Option("--data", help="Folder of runs, calls and releases (default: GRISTMILL_DATA, else ./data).", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Wanted = Annotated[str, typer.Argument(metavar="RELEASE", help="name, name/version, or a release's folder; a name alone is its latest.")]


class Kind(StrEnum):
    """Which rows to show."""

    SFT = "sft"
    PREFERENCES = "preferences"
    PROMPTS = "prompts"
    DROPPED = "dropped"


@app.command("list")
def list_all(
    name: Annotated[str | None, typer.Argument(help="Only releases of this name.", show_default=False)] = None, data: Data = None, as_json: AsJson = False
) -> None:
    """List the releases, the newest first.

    Example: [bold]gristmill releases list[/bold]
    """
    from tasks.release.publish import list_releases

    found = list_releases(_folder(data), name)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    table = _table("release", "published", "sft", "preferences", "run")
    for one in found:
        counts = (f"{sum(rows for key, rows in one.rows.items() if key.startswith(f'{kind}/')):,}" for kind in ("sft", "preferences"))
        table.add_row(f"{one.name}/{one.version}", one.published_at, *counts, one.run_id)
    out().print(table if found else "No releases yet. Make one with: gristmill run recipes/rehearsal.yaml", markup=False)


@app.command()
def show(release: Wanted, data: Data = None, as_json: AsJson = False) -> None:
    """Show what is in a release, and what its licences ask.

    Example: [bold]gristmill releases show rehearsal/v1[/bold]
    """
    from tasks.release.manifest import read_manifest
    from tasks.release.publish import find_release

    folder = find_release(_folder(data), release)
    manifest = read_manifest(folder)
    if as_json:
        print_json(manifest)
        return
    _print_manifest(folder, manifest)


@app.command()
def verify(release: Wanted, data: Data = None, as_json: AsJson = False) -> None:
    """Read a release again, whole: checksums, schemas, counts, ids, splits, accounts. Exit code 4 if anything is off.

    Example: [bold]gristmill releases verify rehearsal/v1[/bold]
    """
    from tasks.release.manifest import read_manifest, verify_release
    from tasks.release.publish import find_release

    folder = find_release(_folder(data), release)
    faults = verify_release(folder)
    if as_json:
        print_json({"path": str(folder), "sound": not faults, "faults": [asdict(fault) for fault in faults]})
    elif not faults:
        manifest = read_manifest(folder)
        rows = sum(manifest["rows"].values())
        out().print(f"[green]sound[/green]  {manifest['name']}/{manifest['version']}: {len(manifest['files'])} files, {rows:,} rows, as the manifest says")
    for fault in faults if not as_json else ():
        out().print(f"{fault.file}: {fault.what}", style="red", markup=False, soft_wrap=True)
    if faults:
        raise typer.Exit(4)


def sample(
    release: Wanted,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=1000, help="How many rows.")] = 3,
    kind: Annotated[Kind, typer.Option("--kind", "-k", help="Which rows.")] = Kind.SFT,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, other rows; the same seed, the same rows.")] = 0,
    technique: Annotated[str | None, typer.Option("--technique", "-t", help="Only rows of this prompt technique.", show_default=False)] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Only rows dropped for this reason (with --kind dropped).", show_default=False)] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show some rows of a release, readable.

    Example: [bold]gristmill sample rehearsal --kind preferences -n 2[/bold]
    """
    from tasks.release.publish import find_release
    from tasks.release.sampling import sample_rows

    if technique and kind is Kind.DROPPED:
        raise typer.BadParameter("dropped rows are told apart by --reason, not by --technique")
    if reason and kind is not Kind.DROPPED:
        raise typer.BadParameter("only dropped rows have a reason: add --kind dropped")
    rows = sample_rows(find_release(_folder(data), release), kind.value, count=count, seed=seed, where={"technique": technique, "reason": reason})
    if as_json:
        print_json([row.values for row in rows])
        return
    for row in rows:
        out().print(_render(row))
    if not rows:
        out().print(f"No such rows in {kind.value}.", markup=False)


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or its beginning; see gristmill runs list.")],
    to: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the page (default: the run's folder).", show_default=False)] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write a run's report as one HTML page that opens offline; also of a run that failed or goes on.

    Example: [bold]gristmill report 677ae6cd16aa[/bold]
    """
    from infra.settings import read_settings
    from infra.storage import RunFolder, write_text
    from tasks.report import gather_facts, write_report

    settings = read_settings(data=data)
    inputs = _read_inputs(run, settings)
    path = to or RunFolder(settings.data, inputs.run_id).local / "report.html"
    write_text(path, write_report(gather_facts(inputs)))
    if as_json:
        print_json({"run_id": inputs.run_id, "status": inputs.status, "path": str(path.absolute())})
        return
    out().print(str(path.absolute()), markup=False, soft_wrap=True)
    err().print(f"Run {inputs.run_id} is {inputs.status}. Open the page in a browser; it needs no network.", style="dim", markup=False)


def _read_inputs(run: str, settings: Any) -> Any:
    from contextlib import closing

    from infra.ledger import Ledger
    from tasks.release.inputs import read_inputs

    with closing(Ledger.open(settings.ledger_url)) as ledger:
        return read_inputs(ledger, settings.data, run, cards=settings.cards)


def _folder(data: Path | None) -> Path:
    from infra.settings import read_settings

    return read_settings(data=data).data


def _print_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    from rich.markup import escape

    mark = "  [bold yellow]REHEARSAL[/bold yellow]" if manifest["rehearsal"] else ""
    out().print(f"[bold]{manifest['name']}/{manifest['version']}[/bold]  {escape(manifest['title'])}{mark}")
    out().print(f"{folder}\npublished {manifest['created_at']} by run {manifest['run_id']}", style="dim", markup=False, soft_wrap=True)
    rows = _table("data", "rows")
    for name, count in manifest["rows"].items():
        rows.add_row(name, f"{count:,}")
    out().print(rows)
    for account in manifest["accounts"]:
        lost = ", ".join(f"{loss['reason']} {loss['rows']:,}" for loss in account["losses"]) or "nothing"
        out().print(f"{account['unit']}: {account['requested']:,} requested = {account['kept']:,} kept + dropped: {lost}", markup=False)
    models = _table("role", "model", "licence", "rows")
    for one in manifest["models"]:
        models.add_row(one["role"], one["model"], one["licence"], ", ".join(f"{count:,} {name}" for name, count in one["rows"].items()))
    out().print(models)
    asked = manifest["obligations"]
    for line in (
        *asked["display"],
        *asked["attributions"],
        *(f"A model trained on it has a name that begins with {one}" for one in asked["model_name_prefixes"]),
    ):
        out().print(line, style="yellow", markup=False)


_COLOURS = {"system": "magenta", "user": "cyan", "assistant": "green", "chosen": "green", "rejected": "red"}


def _render(row: "SampledRow") -> "RenderableType":
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    turns = []
    for turn in row.turns:
        turns += [Text(turn.role, style=f"bold {_COLOURS.get(turn.role.split()[0], 'white')}"), Text(turn.text), Text("")]
    return Panel(Group(*turns, Text(row.facts, style="dim")), title=Text(row.title), title_align="left", border_style="dim")


def _table(*columns: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, expand=False)
    for place, name in enumerate(columns):
        number = name in ("rows", "sft", "preferences") and columns[0] != "role"
        table.add_column(name, style="cyan" if place == 0 else "", no_wrap=place == 0, justify="right" if number else "left")
    return table
