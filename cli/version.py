"""`gristmill version`: what is installed."""

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import Annotated

import typer

from cli.console import out, print_json

PARTS = ("prefect", "distributed", "tritonclient", "pyarrow", "polars", "sqlalchemy", "great-expectations")


def version(as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Show versions: ours, Python's, and those of the parts.

    Example: [bold]gristmill version --json[/bold]
    """
    versions = {"gristmill": _installed("gristmill"), "python": platform.python_version()} | {part: _installed(part) for part in PARTS}
    if as_json:
        print_json(versions)
        return
    for part, number in versions.items():
        out().print(f"{part:<20}{number}")


def _installed(part: str) -> str:
    try:
        return version_of(part)
    except PackageNotFoundError:
        return "not installed"
