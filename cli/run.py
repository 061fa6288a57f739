"""`gristmill run`: a recipe to its release, with a live display, and a plain word at the end however it ends."""

import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, dataclass
from functools import wraps
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import err, print_json, program
from schemas.errors import NotFoundError, RunBusyError, RunInterruptedError

if TYPE_CHECKING:
    from infra.settings import Settings
    from tasks.catalogue import LoadedRecipe
    from tasks.run_state import RunOutcome

_REMEMBERED = 10_000
"""Runs looked through for a finished one; beyond them the flow itself finds out, a few seconds later."""


def run(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe's YAML file.", show_default=False)],
    data: Annotated[Path | None, typer.Option(help="Folder of runs, calls and releases; default: GRISTMILL_DATA, else ./data.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run anew although this recipe has run. Paid calls are used again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan only: calls, tokens, shards; ask every engine what it is.")] = False,
    rehearse: Annotated[bool, typer.Option("--rehearse", help="Put the small built-in models in the place of the recipe's.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output at the end.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the end.")] = False,
) -> None:
    """Run a recipe to a published release.

    A run is its recipe: started again, an unfinished one goes on where it stopped, and a finished one says so and does nothing. Exit codes: 0 published,
    2 recipe or settings wrong, 3 an engine, 4 the data's contract, 5 storage, 6 another process works on it, 130 stopped.

    Example: [bold]gristmill run recipes/rehearsal.yaml[/bold]

    Its price first: [bold]gristmill run recipes/nemotron4-340b.yaml --dry-run[/bold]

    Any recipe without a GPU: [bold]gristmill run recipes/nemotron4-340b.yaml --rehearse --data /tmp/try[/bold]
    """
    from infra.settings import read_settings

    begun = time.monotonic()
    settings = read_settings(data=data)
    loaded = load(recipe, settings, rehearse=rehearse)
    if dry_run:
        from cli.plan import show_plan

        return show_plan(loaded, settings, as_json=as_json)
    outcome = None if fresh else finished_before(loaded, settings)
    if outcome is None:
        again = resume_command(recipe, data=data, rehearse=rehearse)
        with explained(again):
            outcome = make(settings, {"recipe": str(recipe), "fresh": fresh, "rehearse": rehearse}, quiet=quiet)
    if as_json:
        print_json(asdict(outcome))
    else:
        from cli.closing import show_outcome

        show_outcome(outcome, settings, data=data, seconds=time.monotonic() - begun)
    return None


def load(recipe: Path, settings: "Settings", *, rehearse: bool) -> "LoadedRecipe":
    """Read and check the recipe before anything is started."""
    from tasks import catalogue

    loaded = catalogue.load_recipe(recipe, cards=settings.cards)
    return catalogue.rehearse(loaded) if rehearse else loaded


def finished_before(loaded: "LoadedRecipe", settings: "Settings") -> "RunOutcome | None":
    """Find the outcome of the recipe's last run, if that one was finished."""
    from infra.ledger import Ledger
    from tasks.budgeting import may_go_on
    from tasks.run_state import finished_outcome

    if not settings.database_url and not (settings.local / "ledger.db").exists():
        return None
    ledger = Ledger.open(settings.ledger_url)
    try:
        attempts = [one for one in ledger.runs(limit=_REMEMBERED) if one.fingerprint == loaded.fingerprint]
        last = max(attempts, key=lambda one: one.attempt, default=None)
        finished = last is not None and last.status == "finished" and not may_go_on(ledger, last, loaded)
        return finished_outcome(ledger, last) if last and finished else None
    finally:
        ledger.close()


def resume_command(recipe: Path, *, data: Path | None, rehearse: bool) -> str:
    """Write the command that goes on with a run."""
    words = [program(), "run", str(recipe), *(["--data", str(data)] if data else []), *(["--rehearse"] if rehearse else [])]
    return shlex.join(words)


def make(settings: "Settings", parameters: dict[str, Any], *, quiet: bool, flow: str = "produce") -> Any:
    """Call a flow with these parameters, showing how it goes."""
    from cli.follow import follow
    from cli.log import log_to
    from infra.prefect_home import prefect_api
    from tasks.progress import HUB, snapshot

    with log_to(settings.local, settings.log_format), _told_of_stop(), follow(snapshot, err(), quiet=quiet), prefect_api(settings.local) as api:
        HUB.say("starting Prefect")
        called = getattr(import_module(f"flows.{flow}"), flow)
        api.wait()
        if api.instead_of:
            err().print(f"Nobody answers at PREFECT_API_URL={api.instead_of}: the run goes on, and is shown by a private server instead.", soft_wrap=True)
        return _see_through(called, {"data": str(settings.data), **parameters})


def _see_through(flow: Any, parameters: dict[str, Any]) -> Any:
    """Call a flow and have its own end, good or bad: where Prefect can't be told of it, that is said, and no more (docs/decisions/prefect-away.md)."""
    from infra.prefect_home import leave_untold

    ended = _End()

    @wraps(flow.fn)
    def work(*arguments: Any, **more: Any) -> Any:
        try:
            ended.outcome = flow.fn(*arguments, **more)
        except Exception as error:
            ended.error = error
            raise
        ended.well = True
        return ended.outcome

    seen = copy(flow)
    seen.fn = work
    try:
        return seen(**parameters)
    except Exception as error:
        if error is ended.error or not (ended.well or ended.error):
            raise
        leave_untold()
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        err().print(f"Prefect could not be told how this ended, so its page of the run may be stale ({told}).", soft_wrap=True, markup=False)
        if ended.error:
            raise ended.error from error
        return ended.outcome


@dataclass
class _End:
    well: bool = False
    outcome: Any = None
    error: Exception | None = None


@contextmanager
def _told_of_stop() -> Iterator[None]:
    # Inside the flow Prefect has its own handler for SIGTERM; it hands the signal on to this one once the ledger knows, so the end is as after Ctrl-C.
    before = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    from tasks.progress import HUB

    HUB.say("stopping: what is finished is being kept")
    raise KeyboardInterrupt


@contextmanager
def explained(again: str) -> Iterator[None]:
    """Say after a stop or a failure how to go on."""
    try:
        yield
    except (KeyboardInterrupt, RunInterruptedError) as stop:
        err().print(f"Stopped. Everything finished is kept; go on with:\n  {again}", soft_wrap=True)
        raise RunInterruptedError(str(stop)) from stop
    except (RunBusyError, NotFoundError):
        raise
    except Exception as error:
        error.add_note(f"Nothing was published; what was finished is kept. When the cause is gone, go on with:\n  {again}")
        raise
