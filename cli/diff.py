"""`gristmill diff`: two releases or runs beside each other."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import err, out, print_json
from cli.figures import count, share
from cli.releases import AsJson, Data

if TYPE_CHECKING:
    from tasks.comparison.comparing import Comparison

_SHOWN = 20

One = Annotated[str, typer.Argument(metavar="A", help="A release (name, name/version, folder) or a run (the beginning of its id).", show_default=False)]
Other = Annotated[str, typer.Argument(metavar="B", help="What to compare it with.", show_default=False)]


def diff(first: One, second: Other, data: Data = None, as_json: AsJson = False) -> None:
    """Compare two releases or runs: rows, overlap, shifts of scores with 95 % confidence intervals, drop reasons, and recipes.

    Example: [bold]gristmill diff rehearsal/v1 rehearsal/v2[/bold]
    """
    from infra.settings import read_settings
    from tasks.comparison.comparing import compare
    from tasks.comparison.sides import read_side

    settings = read_settings(data=data)
    with err().status("reading both"):
        compared = compare(read_side(first, settings), read_side(second, settings))
    if as_json:
        print_json(_plain(compared))
    else:
        _print(compared)


def _print(compared: "Comparison") -> None:
    a, b = compared.first.name, compared.second.name
    rows = _table("rows", a, b, "in both", "of the smaller")
    for one in compared.overlaps:
        rows.add_row(one.what, count(one.first), count(one.second), count(one.shared), share(one.shared, min(one.first, one.second)))
    rows.add_row("dropped", count(compared.first.counts["dropped"]), count(compared.second.counts["dropped"]), "", "")
    out().print(rows)
    if compared.shifts:
        shifts = _table("mean score, sft", a, b, "shift", "95 % interval", "prompts")
        for shift in compared.shifts:
            style = ("green" if shift.difference > 0 else "red") if shift.is_sure else "dim"
            interval = f"{shift.low:+.2f} … {shift.high:+.2f}"
            on = f"{count(shift.prompts)}{' in both' if shift.paired else ''}"
            shifts.add_row(shift.number, f"{shift.first:.2f}", f"{shift.second:.2f}", f"[{style}]{shift.difference:+.2f}[/]", interval, on)
        out().print(shifts)
    if compared.reasons:
        losses = _table("dropped at", "reason", a, b)
        for stage, reason in compared.reasons[:_SHOWN]:
            losses.add_row(stage, reason, *(count(side.losses.get((stage, reason), 0)) for side in (compared.first, compared.second)))
        out().print(losses)
    _print_changes(compared)


def _print_changes(compared: "Comparison") -> None:
    from rich.markup import escape

    if not compared.changes:
        out().print("The recipes are the same.")
        return
    table = _table("recipe", compared.first.name, compared.second.name, numbers=False)
    for change in compared.changes[:_SHOWN]:
        table.add_row(escape(change.key), *(escape("–" if one is None else str(one)) for one in (change.first, change.second)))
    out().print(table)
    if len(compared.changes) > _SHOWN:
        out().print(f"and {len(compared.changes) - _SHOWN} more keys; --json gives all", style="dim")


def _table(*columns: str, numbers: bool = True) -> Any:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, expand=False)
    for place, name in enumerate(columns):
        number = numbers and place > 0 and name != "reason"
        table.add_column(escape(name), style="cyan" if place == 0 else "", justify="right" if number else "left", overflow="fold")
    return table


def _plain(compared: "Comparison") -> dict[str, Any]:
    from dataclasses import asdict

    sides = (compared.first, compared.second)
    return {
        "a": compared.first.name,
        "b": compared.second.name,
        "rows": [dict(side.counts) for side in sides],
        "requested": [dict(side.requested) for side in sides],
        "overlap": [asdict(one) for one in compared.overlaps],
        "shifts": [asdict(one) for one in compared.shifts],
        "dropped": [{"stage": key[0], "reason": key[1], "rows": [side.losses.get(key, 0) for side in sides]} for key in compared.reasons],
        "recipe": [asdict(one) for one in compared.changes],
    }
