"""`gristmill regrade`: a finished run's answers graded again, to a new version of its release."""

import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.console import print_json, program


def regrade(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A finished run's id, or the beginning of it.", show_default=False)],
    recipe: Annotated[Path | None, typer.Option(help="A recipe that makes the same answers; default: the run's own file, as it is now.")] = None,
    reward: Annotated[str | None, typer.Option(help="Card of another reward model.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of runs, calls and releases; default: GRISTMILL_DATA, else ./data.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Once more, although this was done before. Paid grades are used again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output at the end.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the end.")] = False,
) -> None:
    """Score, filter, pair and publish a finished run again, without generating anything.

    Under another reward model, or under a recipe that differs in `score`, `filters`, `dedup`, `pairs`, `sft` or `release`: the answers are taken over as they
    are, so nothing but grades is asked. The new version names the run that it comes from, in the ledger and in its manifest. Stopped, the same command goes on.

    Example: [bold]gristmill regrade 677ae6 --reward nemotron-4-340b-reward[/bold]

    Other thresholds: [bold]gristmill regrade 677ae6 --recipe stricter.yaml[/bold]
    """
    from cli.run import explained, finished_before, make
    from infra.settings import read_settings
    from tasks.regrading import plan_regrade

    begun = time.monotonic()
    settings = read_settings(data=data)
    planned = plan_regrade(settings, run, recipe=recipe, reward=reward)
    outcome = None if fresh else finished_before(planned.loaded, settings)
    if outcome is None:
        parameters = {"run": planned.source.run_id, "recipe": str(planned.loaded.path), "reward": reward, "fresh": fresh}
        with explained(again_command(planned.source.run_id, recipe=recipe, reward=reward, data=data)):
            outcome = make(settings, parameters, quiet=quiet, flow="regrade")
    if as_json:
        print_json(asdict(outcome))
    else:
        from cli.closing import show_outcome

        show_outcome(outcome, settings, data=data, seconds=time.monotonic() - begun)


def again_command(run: str, *, recipe: Path | None, reward: str | None, data: Path | None) -> str:
    """Write the command that goes on with it."""
    given = {"--recipe": recipe, "--reward": reward, "--data": data}
    return shlex.join([program(), "regrade", run, *(word for name, value in given.items() if value for word in (name, str(value)))])
