"""The command `gristmill`: its front page, and what becomes of every error."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from infra.privacy import switch_off_telemetry

switch_off_telemetry()

import typer  # noqa: E402

from cli.console import complain  # noqa: E402
from cli.contents import TableOfContents  # noqa: E402
from schemas.errors import GristmillError, RunInterruptedError  # noqa: E402

app = typer.Typer(cls=TableOfContents, rich_markup_mode="rich", add_completion=True, pretty_exceptions_enable=False, no_args_is_help=True)

INTERRUPTED = 130
USAGE = 2


@dataclass
class _Shown:
    """What the front page's options ask to see."""

    tracebacks: bool = False


_SHOWN = _Shown()


@app.callback(epilog="Example: gristmill run recipes/rehearsal.yaml    Every command has its own --help.")
def front_page(
    debug: Annotated[bool, typer.Option("--debug", envvar="GRISTMILL_DEBUG", help="Show tracebacks.")] = False,
) -> None:
    """Make training data for language models: from seeds and a recipe to a published, documented Parquet release."""
    _SHOWN.tracebacks = debug


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; no traceback reaches the user unless it is asked for."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that can't show a sign gets another one, not a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = typer.main.get_command(app).main(args=arguments, prog_name="gristmill", standalone_mode=False)
    except GristmillError as error:
        code = _explain(error)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has gone; Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        code = _explain_usage(error) if _is_usage(error) else _confess(error)
    return code if isinstance(code, int) else 0


def _explain(error: GristmillError) -> int:
    if _SHOWN.tracebacks:
        _print_traceback(error)
    if isinstance(error, RunInterruptedError):
        return INTERRUPTED
    complain(str(error), hint=_notes(error))
    return error.exit_code


def _is_usage(error: Exception) -> bool:
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _explain_usage(error: Exception) -> int:
    from typer.rich_utils import rich_format_error

    rich_format_error(error)  # type: ignore[arg-type]
    return int(getattr(error, "exit_code", USAGE))


def _confess(error: Exception) -> int:
    from cli.log import LOG, log_defect

    log_defect(error)
    where = f"The traceback is in {LOG.path}." if LOG.path else "See the traceback with: gristmill --debug …"
    complain(f"{type(error).__name__}: {error}", hint=f"This is a defect of Gristmill's, not of your recipe. {where}\n{_notes(error)}".rstrip())
    if _SHOWN.tracebacks:
        _print_traceback(error)
    return 1


def _notes(error: BaseException) -> str:
    """Give what was added to an error on its way: how to go on."""
    return "\n".join(getattr(error, "__notes__", ()))


def _print_traceback(error: BaseException) -> None:
    import traceback

    traceback.print_exception(error, file=sys.stderr)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.exit(main())
