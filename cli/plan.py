"""What `gristmill run --dry-run` shows: the price of a run before it is paid, and whether its engines are there."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from cli.console import err, out, print_json
from cli.figures import count, short, size
from schemas.errors import EngineError, EngineFault

if TYPE_CHECKING:
    from infra.settings import Settings
    from tasks.catalogue import LoadedRecipe
    from tasks.plan import Plan, PlannedEngine
    from tasks.sizing import Needs


def show_plan(loaded: "LoadedRecipe", settings: "Settings", *, as_json: bool) -> None:
    """Plan a run and show it. Raises EngineError after that if an engine is not as it should be, so that a script sees it."""
    from tasks.plan import plan

    with err().status("asking the engines"):
        planned = plan(loaded, settings)
    if as_json:
        print_json(asdict(planned) | {"total": asdict(planned.total), "needs": asdict(planned.needs)})
    else:
        _print(planned)
    absent = [one for one in planned.engines if one.error]
    if absent:
        raise EngineError("\n".join(f"{one.role} ({one.model}): {one.error}" for one in absent), fault=EngineFault.UNREACHABLE)


def _print(plan: "Plan") -> None:
    console = out()
    console.print(Text.assemble((plan.name, "bold"), (f"  {plan.fingerprint[:12]}", "dim"), ("  rehearsal" if plan.rehearsal else "", "yellow")))
    console.print(f"{count(plan.prompts)} prompts, {count(plan.conversations)} answers, {count(plan.shards)} shards a stage\n")
    console.print(_calls(plan))
    console.print(_needs(plan.needs))
    console.print(Text("Completion tokens are upper bounds; nothing reused, nothing dropped.\n", style="dim"))
    if plan.engines:
        console.print(_engines(plan.engines))
    if plan.curve:
        console.print(_curve(plan))


def _calls(plan: "Plan") -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("Calls of", no_wrap=True)
    table.add_column("role")
    table.add_column("model", overflow="fold")
    for name in ("calls", "tokens in", "tokens out"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in plan.calls:
        table.add_row(one.name, one.role, one.model, count(one.calls), short(one.prompt_tokens), f"≤ {short(one.completion_tokens)}")
    total = plan.total
    table.add_row("total", "", "", count(total.calls), short(total.prompt_tokens), f"≤ {short(total.completion_tokens)}", style="bold")
    return table


def _needs(needs: "Needs") -> Text:
    parts = f"run {size(needs.runs)}, calls {size(needs.calls)}, release {size(needs.release)}"
    memory = f"{size(needs.worker)} of memory a Dask worker"
    return Text.assemble("\nDisk  ", f"≤ {size(needs.disk)}", (f"  ({parts})", "dim"), f"    {memory}")


def _engines(engines: "Sequence[PlannedEngine]") -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("Engine for", "model", "answers as", "at"):
        table.add_column(name, overflow="fold")
    for one in engines:
        answer = Text("does not answer", style="bold red") if one.error else Text(one.kind, style="green")
        table.add_row(one.role, one.model, answer, one.address)
    return table


def _curve(plan: "Plan") -> Text:
    points = "   ".join(f"{similarity:.2f}: {chance:.0%}" for similarity, chance in plan.curve[2::2])
    return Text.assemble(
        (f"\nNear-duplicates ({plan.bands} bands of {plan.rows}): chance to see a pair, by Jaccard similarity\n", "dim"), f"  {points}", overflow="fold"
    )
