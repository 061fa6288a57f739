"""`gristmill appraise` and `gristmill appraisals`: how far reward engines agree with pairs of which the better answer is known."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import out, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from schemas.appraisal import AppraisalRecord

Data = Annotated[Path | None, typer.Option("--data", help="Folder of runs, calls and releases; default: GRISTMILL_DATA, else ./data.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for scripts.")]


def appraise(
    model: Annotated[str, typer.Argument(metavar="CARD", help="Card of the reward model.", show_default=False)],
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS", help="A file of pairs: .jsonl, .jsonl.gz, .parquet or .csv.", show_default=False)],
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="PART=COLUMN where names don't tell; parts: prompt, chosen, rejected, first, second, label, category."),
    ] = None,
    attribute: Annotated[str | None, typer.Option(help="The attribute that counts; default: the published weighted sum.")] = None,
    data: Data = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Tally anew although it was done before. Paid grades are used again.")] = False,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the end.")] = False,
) -> None:
    """Measure a reward engine against pairs of which the better answer is known.

    Reads RewardBench, LLMBar, HH-RLHF and their like by the names of their columns, and others as told. The score is RewardBench's where the categories are
    its own, else the share of pairs won (a tie is no win), each with a 95 % interval; the ledger keeps it, and a recipe can demand it (`appraisal`).
    Stopped, the same command goes on.

    Example: [bold]gristmill appraise nemotron-4-340b-reward reward_bench.parquet[/bold]

    Other columns: [bold]gristmill appraise rehearsal-reward mine.jsonl --column prompt=ask --column chosen=good --column rejected=bad[/bold]
    """
    from cli.run import make
    from infra.settings import read_settings

    settings = read_settings(data=data)
    # Absolute, as Prefect's runs have folders of their own.
    parameters = {"model": model, "pairs": str(pairs.absolute()), "columns": _columns(column or []), "score": {"attribute": attribute}, "fresh": fresh}
    record: AppraisalRecord = make(settings, parameters, quiet=quiet, flow="appraise")
    print_json(asdict(record)) if as_json else _show(record)


def appraisals(
    model: Annotated[str | None, typer.Argument(metavar="[CARD]", help="Only of this model.", show_default=False)] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List how reward engines did on known pairs, the newest first.

    Example: [bold]gristmill appraisals nemotron-4-340b-reward[/bold]
    """
    from cli.runs import open_ledger

    with open_ledger(data) as ledger:
        found = ledger.appraisals(model) if ledger else []
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        out().print(_list(found) if found else "No appraisals yet. Make one with:  gristmill appraise CARD PAIRS.jsonl", markup=False)


def _columns(told: Sequence[str]) -> dict[str, str]:
    from schemas.errors import RecipeError

    wrong = [one for one in told if "=" not in one]
    if wrong:
        raise RecipeError(f"--column {wrong[0]!r} is not PART=COLUMN, for example prompt=question")
    return dict(one.split("=", 1) for one in told)


def _show(one: "AppraisalRecord") -> None:
    console = out()
    console.print(f"{one.model} on {one.pairs_name}: {_interval(one.score, one.low, one.high)}", markup=False, style="bold")
    dropped = ", ".join(f"{rows} {reason}" for reason, rows in one.dropped.items()) or "none"
    console.print(f"{one.pairs} pairs: {one.won} won, {one.lost} lost, {one.tied} tied; dropped: {dropped}", markup=False)
    table = _table("Category", "pairs", "won", "share (95 %)")
    for name, share in one.categories.items():
        table.add_row(name, str(share.pairs), str(share.won), _interval(share.share, share.low, share.high))
    for name, score in one.sections.items():
        table.add_row(f"RewardBench: {name}", "", "", f"{score:.3f}", style="bold")
    console.print(table)


def _list(found: "Sequence[AppraisalRecord]") -> "Table":
    table = _table("Appraisal", "model", "revision", "pairs", "judged", "score (95 %)", "number")
    for one in found:
        judged = one.won + one.lost + one.tied
        table.add_row(
            one.appraisal_id, one.model, one.revision, one.pairs_name, f"{judged} of {one.pairs}", _interval(one.score, one.low, one.high), one.reduction
        )
    return table


def _interval(share: float, low: float, high: float) -> str:
    return f"{share:.3f} ({low:.3f} to {high:.3f})"


def _table(*names: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    return table
