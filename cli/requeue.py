"""`gristmill requeue`: a class of a run's drops through again, to a new version of its release."""

import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import print_json, program

if TYPE_CHECKING:
    from tasks.requeue.plan import Requeue


def requeue(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A finished run's id, or the beginning of it.", show_default=False)],
    reason: Annotated[list[str] | None, typer.Option("--reason", help="Which drops: REASON, or STAGE/REASON. May be given several times.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="The recipe they come back under; default: the run's own file, as it is now.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of runs, calls and releases; default: GRISTMILL_DATA, else ./data.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Once more, although these drops were put through again before: after a change of Gristmill itself.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output at the end.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the end.")] = False,
) -> None:
    """Put a class of a finished run's drops through again, and publish what comes of it as the next version.

    For use after a filter was changed in the recipe, an engine was mended, a parser was corrected. The drops come back at the stage that dropped them, and
    go with what that stage had kept through all later ones; what was dropped for another reason stays dropped. Calls that were paid for are used again.
    Without a reason, it says what was dropped and why.

    Example: [bold]gristmill requeue 677ae6 --reason filter/too_short[/bold]
    """
    from cli.run import explained, finished_before, make
    from infra.settings import read_settings
    from tasks.requeue.plan import plan_requeue

    begun = time.monotonic()
    settings = read_settings(data=data)
    planned = plan_requeue(settings, run, reason or [], recipe=recipe)
    outcome = None if fresh else finished_before(planned.loaded, settings)
    if outcome is None:
        with explained(again_command(planned, recipe=recipe, data=data)):
            outcome = make(settings, parameters(planned, fresh=fresh), quiet=quiet)
    if as_json:
        print_json(asdict(outcome))
    else:
        from cli.closing import show_outcome

        show_outcome(outcome, settings, data=data, seconds=time.monotonic() - begun)


def parameters(planned: "Requeue", *, fresh: bool) -> dict[str, object]:
    """Give the flow's parameters."""
    reasons = [str(one) for one in planned.classes]
    return {"recipe": str(planned.loaded.path), "fresh": fresh, "requeue": {planned.source.run_id: reasons}}


def again_command(planned: "Requeue", *, recipe: Path | None, data: Path | None) -> str:
    """Write the command that goes on with it."""
    reasons = [word for one in planned.classes for word in ("--reason", str(one))]
    where = [*(["--recipe", str(recipe)] if recipe else []), *(["--data", str(data)] if data else [])]
    return shlex.join([program(), "requeue", planned.source.run_id, *reasons, *where])
