"""`gristmill export`: a release as the files that a trainer reads."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import out, print_json

if TYPE_CHECKING:
    from rich.table import Table

Wanted = Annotated[str, typer.Argument(metavar="RELEASE", help="name, name/version, or a release's folder; a name alone is its latest.")]
To = Annotated[str, typer.Option("--to", help="The trainer's format: trl-sft, trl-dpo, nemo-rl, openai, …; an unknown one lists all.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="The folder to make; it must be new or empty.")]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of runs, calls and releases (default: GRISTMILL_DATA, else ./data).", show_default=False)]
WithoutLlama = Annotated[bool, typer.Option("--without-llama", help="Leave out rows that a model under a Llama licence touched, in any role.")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", min=1, help="Leave out rows that are longer, by estimate.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="The export's manifest as one JSON document.")]


def export(
    release: Wanted, to: To, folder: Out, data: Data = None, without_llama: WithoutLlama = False, max_tokens: MaxTokens = None, as_json: AsJson = False
) -> None:
    """Write a release in a trainer's format; each row is checked, and what is left out is named with its reason.

    Example: [bold]gristmill export rehearsal --to trl-dpo --out exports/dpo[/bold]
    """
    from infra.settings import read_settings
    from tasks.release.exporting import ExportOptions, export_release, find_format
    from tasks.release.publish import find_release

    wanted = find_format(to)
    found = find_release(read_settings(data=data).data, release)
    made = export_release(found, wanted, folder, ExportOptions(without_llama=without_llama, max_tokens=max_tokens))
    if as_json:
        print_json({"path": str(folder.absolute()), **made})
        return
    _show(folder, made)


def _show(folder: Path, made: dict[str, Any]) -> None:
    mark = "  [bold yellow]REHEARSAL[/bold yellow]" if made["rehearsal"] else ""
    out().print(f"[bold]{made['to']['name']}[/bold]  from {made['release']['name']}/{made['release']['version']}{mark}")
    out().print(str(folder.absolute()), style="dim", markup=False, soft_wrap=True)
    out().print(_rows_table(made))
    for one in made["left_out"]:
        out().print(f"left out {one['records']:,} {one['reason']}: {one['meaning']}", markup=False, soft_wrap=True)
    if made["left_out"]:
        out().print(f"Each is named in {folder / 'left_out.jsonl'}", style="dim", markup=False, soft_wrap=True)
    asked = made["obligations"]
    for line in (*asked["display"], *(f"A model trained on it has a name that begins with {one}" for one in asked["model_name_prefixes"])):
        out().print(line, style="yellow", markup=False)


def _rows_table(made: dict[str, Any]) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, expand=False)
    for name in ("data", "records", "left out", "rows written"):
        table.add_column(name, style="cyan" if name == "data" else "", justify="left" if name == "data" else "right")
    for name, count in made["rows"].items():
        table.add_row(name, *(f"{number:,}" for number in (count["records"], sum(count["left_out"].values()), count["rows"])))
    return table
