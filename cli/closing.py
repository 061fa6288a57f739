"""What is said when a run has ended: where the release is, what is in it, and three commands to go on with."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from cli.console import out, program
from cli.figures import clock, count, share, short
from infra.shared import place

if TYPE_CHECKING:
    from infra.settings import Settings
    from schemas.run import StageReport
    from tasks.run_state import RunOutcome

_NAMED = 3
"""Drop reasons named a stage."""
_SCORES = ("reward", "helpfulness", "correctness", "coherence", "complexity", "verbosity")


def show_outcome(outcome: "RunOutcome", settings: "Settings", *, data: Path | None, seconds: float = 0.0) -> None:
    """Tell how a run ended."""
    console = out()
    if outcome.already_finished:
        console.print(Text(f"Nothing to do: run {outcome.run_id} of this recipe is finished. (--fresh runs it anew.)\n"))
    if outcome.release is None or outcome.path is None:
        console.print(Text(f"Run {outcome.run_id} is {outcome.status}; it has no release."))
        return
    console.print(Text.assemble(("Release  ", "dim"), (outcome.release, "bold green"), ("  from run ", "dim"), outcome.run_id))
    console.print(Text.assemble(("Folder   ", "dim"), near(place(outcome.path))), soft_wrap=True)
    for told, met in quota_lines(place(outcome.path)):
        console.print(Text.assemble(("Asked    ", "dim"), (told, "" if met else "yellow")), soft_wrap=True)
    tables = [rows_table(outcome.rows)]
    if not outcome.already_finished:
        stages = read_stages(settings, outcome.run_id)
        console.print(Text.assemble(("Cost     ", "dim"), f"{cost(stages)} · {clock(seconds)}"), soft_wrap=True)
        tables += [funnel(stages), *filter(None, [spending_table(stages, accepted_answers(stages))]), *scores_tables(mean_scores(place(outcome.path)))]
        tables += length_tables(read_length(place(outcome.path)))
    for table in tables:
        console.print()
        console.print(table)
    console.print(Text("\nNext", style="bold"))
    for line in next_commands(outcome.release, outcome.run_id, data, width=console.width):
        console.print(line, soft_wrap=True)


def quota_lines(release: Path) -> list[tuple[str, bool]]:
    """Say of each data set of which a number of rows was asked for whether it came, and why not; with whether it did."""
    from tasks.release.manifest import read_manifest

    quota = read_manifest(release).get("quota")
    return list(zip(quota["lines"], (one["met"] for one in quota["data_sets"].values()), strict=True)) if quota else []


def cost(stages: "Sequence[StageReport]") -> str:
    """Add up what a run's engines were asked, over all its resumes."""
    from schemas.run import add_reports
    from schemas.spending import total_spent

    total = add_reports(*(stage.total for stage in stages))
    said = f"{count(total.calls)} calls, {count(total.reused)} reused · {short(total.prompt_tokens)} tokens in, {short(total.completion_tokens)} out"
    versions = sorted({one.prices for one in total.spent if one.prices})
    money = total_spent(total.spent).cost
    return said + (f" · {money:,.2f} by prices {', '.join(versions)}" if versions and money is not None else "")


def spending_table(stages: "Sequence[StageReport]", accepted: int) -> Table | None:
    """Lay out what each technique asked of each model, and what that comes to for one accepted answer; None where nothing was asked."""
    from schemas.run import add_reports

    spent = add_reports(*(stage.total for stage in stages)).spent
    if not spent:
        return None
    priced = any(one.cost is not None for one in spent)
    table = _plain("Cost of", "role", "model", "calls", "reused", "tokens in", "out", "GPU s", "GPU s / answer", *(["money", "/ answer"] if priced else []))
    for one in spent:
        money = [] if not priced else ["", ""] if one.cost is None else [f"{one.cost:,.2f}", f"{one.cost / accepted:.4f}" if accepted else "–"]
        each = f"{one.gpu_seconds / accepted:.3f}" if accepted else "–"
        counts = [count(one.calls), count(one.reused), short(one.prompt_tokens), short(one.completion_tokens), f"{one.gpu_seconds:,.1f}", each]
        table.add_row(one.technique, one.role, one.model, *counts, *money)
    return table


def accepted_answers(stages: "Sequence[StageReport]") -> int:
    """Count the answers that stand in the data: those that the last stage of answers has let through."""
    from tasks.release.accounts import draw_accounts

    return next((account.kept for account in draw_accounts(stages) if account.unit == "answers" and account.stages[-1].stage == "pair"), 0)


def rows_table(rows: Mapping[str, int]) -> Table:
    """Lay a release's rows out by data set and split."""
    splits = sorted({name.partition("/")[2] for name in rows} - {""}, key=("train", "validation").index)
    table = _plain("Rows", *splits, "total")
    for data_set in dict.fromkeys(name.partition("/")[0] for name in rows):
        numbers = [rows.get(f"{data_set}/{split}") for split in splits]
        total = sum(number for name, number in rows.items() if name.partition("/")[0] == data_set)
        table.add_row(data_set, *("" if number is None else count(number) for number in numbers), count(total))
    return table


def funnel(stages: "Sequence[StageReport]") -> Table:
    """Lay out what came into each stage, what left it, and why the rest did not."""
    from schemas.run import fold_steps

    table = _plain("Stage", "in", "out", "kept")
    table.add_column("Dropped for", overflow="fold", ratio=1)
    for stage in fold_steps(stages):
        total = stage.total
        reasons = sorted(total.dropped.items(), key=lambda one: (-one[1], one[0]))
        named = ", ".join(f"{reason} {count(rows)}" for reason, rows in reasons[:_NAMED])
        more = f", {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
        table.add_row(stage.stage, count(total.rows_in), count(total.rows_out), share(total.rows_out, total.rows_in), named + more)
    return table


def mean_scores(release: Path) -> dict[str, float]:
    """Average the published answers' scores; attributes that no model gave are left out."""
    import polars as pl

    files = [os.fspath(path) for path in sorted((release / "sft").glob("*/*.parquet"))]
    if not files:
        return {}
    scores = pl.scan_parquet(files).select(pl.col("scores").struct.unnest())
    means = scores.select(pl.col(name).cast(pl.Float64).mean() for name in _SCORES).collect().row(0, named=True)
    return {name: mean for name, mean in means.items() if mean is not None}


def scores_tables(means: Mapping[str, float]) -> list[Table]:
    """Lay mean scores out in a line; none where nothing was scored."""
    if not means:
        return []
    table = _plain("Mean score", *means)
    table.add_row("published", *(f"{mean:.2f}" for mean in means.values()))
    return [table]


def read_length(release: Path) -> dict[str, Any]:
    """Read what a release's manifest says of length; empty where it says nothing."""
    found: dict[str, Any] = json.loads((release / "manifest.json").read_text(encoding="utf-8")).get("length", {})
    return found


def length_tables(length: Mapping[str, Any]) -> list[Table]:
    """Lay out by judge how long chosen and rejected answers are: who likes the longer ones nearly always may like them for that."""
    if not length.get("judges"):
        return []
    r = length["reward_correlation"]
    table = _plain("Pairs by judge", "pairs", "chosen", "rejected", "longer chosen")
    table.caption = "lengths in characters" + ("" if r is None else f"; with reward, r = {r:.2f}")
    table.caption_justify = "left"
    for one in length["judges"]:
        lengths = (count(round(one[side])) for side in ("chosen_characters", "rejected_characters"))
        table.add_row(one["judge"], count(one["pairs"]), *lengths, share(one["longer_chosen"], 1))
    return [table]


def next_commands(release: str, run_id: str, data: Path | None, *, width: int) -> list[Text]:
    """Suggest what to do with a release, in commands that can be copied: one a line, never broken."""
    where = ["--data", str(data)] if data else []
    suggested = {
        shlex.join([program(), "sample", release, *where]): "see some of its rows",
        shlex.join([program(), "report", run_id, *where]): "scores, drops, accounts, in one page",
        shlex.join([program(), "releases", "verify", release, *where]): "read it all again and check it",
    }
    longest = max(len(command) for command in suggested)
    if 2 + longest + 3 + max(len(purpose) for purpose in suggested.values()) > width:
        return [Text.assemble((f"  {command}", "cyan")) for command in suggested]
    return [Text.assemble((f"  {command:<{longest}}", "cyan"), (f"   {purpose}", "dim")) for command, purpose in suggested.items()]


def read_stages(settings: "Settings", run_id: str) -> "list[StageReport]":
    """Read a run's stages from the ledger."""
    from infra.ledger import Ledger

    ledger = Ledger.open(settings.ledger_url)
    try:
        return ledger.stages(run_id)
    finally:
        ledger.close()


def near(path: Path) -> str:
    """Write a path as short as it can be copied from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _plain(first: str, *numbers: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False, title="")
    table.add_column(first, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table
