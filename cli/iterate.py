"""`gristmill iterate`: release, training outside, the next release by the trained model."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import out, print_json, program

if TYPE_CHECKING:
    from tasks.run_state import RunOutcome

_ROLES = ("writer", "responder", "user")


def iterate(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe's YAML file.", show_default=False)],
    trainer: Annotated[str, typer.Option(help="Command that trains on $GRISTMILL_RELEASE and writes {id, revision, address} to $GRISTMILL_TRAINED.")],
    rounds: Annotated[int, typer.Option(min=1, help="Releases in all; the first is by the recipe's own models.")] = 2,
    role: Annotated[list[str] | None, typer.Option("--role", help="A role that the trained model takes over; default: writer, responder and user.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of runs, calls and releases; default: GRISTMILL_DATA, else ./data.")] = None,
    rehearse: Annotated[bool, typer.Option("--rehearse", help="Put the small built-in models in the place of the recipe's own.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on standard output at the end.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the end.")] = False,
) -> None:
    """Make a release, have a model trained on it, make the next release by that model, and so on: weak to strong.

    The trainer is any command. It finds the release's folder in $GRISTMILL_RELEASE and the round's number in $GRISTMILL_ROUND; it trains, serves the model, and
    writes one JSON object to the file that $GRISTMILL_TRAINED names: its id, its revision, and its address as GRISTMILL_ENGINES would give it. An address in
    GRISTMILL_ENGINES itself wins. Each release names the one before it, and the model trained on that. Stopped, the same command goes on.

    Example: [bold]gristmill iterate recipes/nemotron4-340b.yaml --trainer ./train.sh --rounds 3[/bold]
    """
    from cli.run import explained, make
    from infra.settings import read_settings

    settings = read_settings(data=data)
    parameters = {"recipe": str(recipe), "trainer": trainer, "rounds": rounds, "roles": tuple(role or _ROLES), "rehearse": rehearse}
    words = [str(recipe), "--trainer", trainer, "--rounds", str(rounds), *(word for one in role or () for word in ("--role", one))]
    words += [*(["--data", str(data)] if data else []), *(["--rehearse"] if rehearse else [])]
    with explained(shlex.join([program(), "iterate", *words])):
        outcomes: list[RunOutcome] = make(settings, parameters, quiet=quiet, flow="iterate")
    if as_json:
        print_json([asdict(one) for one in outcomes])
        return
    for number, one in enumerate(outcomes, 1):
        made = "finished before" if one.already_finished else "made now"
        out().print(f"Round {number}: release {one.release} from run {one.run_id} ({made})", markup=False)
