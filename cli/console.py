"""Where text goes: data to standard output, everything else to standard error; colour and movement only where somebody watches."""

import json
import os
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

_PIPED_WIDTH = 160
"""Where no terminal says how wide it is, tables should rather be wide than wrapped."""


@cache
def out() -> Console:
    """The console for results."""
    return _console(stderr=False)


@cache
def err() -> Console:
    """The console for progress and errors."""
    return _console(stderr=True)


def program() -> str:
    """Say how this user can call us again: by name where that is on PATH, else by the path called just now."""
    called = sys.argv[0]
    return called if Path(called).name == "gristmill" and not shutil.which("gristmill") else "gristmill"


def watched(console: Console) -> bool:
    """Say whether a person looks at a terminal that can redraw itself; a CI log can't."""
    return console.is_terminal and not console.is_dumb_terminal and not os.environ.get("CI")


def print_json(value: Any) -> None:
    """Print one JSON document, plain, for a script."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def complain(message: str, *, hint: str = "") -> None:
    """Say what went wrong: the first line marked, the others as they are."""
    text = Text.assemble(("error: ", "bold red"), message)
    if hint:
        text.append(f"\n{hint}", style="dim")
    err().print(text, soft_wrap=True, highlight=False)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPED_WIDTH
    return Console(stderr=stderr, width=width, highlight=False)
