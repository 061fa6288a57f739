"""The table of contents: every command's name, place and purpose, without importing any of them.

A command's module is imported when that command is called, or its own help asked for; so `gristmill --help` costs a third of a second less than Prefect.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

if TYPE_CHECKING:
    from typer._click.core import Command, Context


@dataclass(frozen=True, slots=True)
class Chapter:
    """One command, or one group of them."""

    name: str
    place: str
    """module:attribute; a function is a command, a Typer app a group."""
    purpose: str
    panel: str

    def load(self) -> "Command":
        """Import the command."""
        module, _, attribute = self.place.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if isinstance(found, typer.Typer):
            command: Command = get_group(found)
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
            alone.command(self.name)(found)
            command = get_command(alone)
        command.name = self.name
        return command


_MAKE, _LOOK, _KNOW = "Make data", "Look at data", "Know your engines and parts"
CONTENTS = (
    Chapter("run", "cli.run:run", "Run a recipe to a published release, or resume it.", _MAKE),
    Chapter("preview", "cli.preview:preview", "Put a few records through every stage, on screen; publish nothing.", _MAKE),
    Chapter("regrade", "cli.regrade:regrade", "Score, filter, pair and publish a finished run again; generate nothing.", _MAKE),
    Chapter("iterate", "cli.iterate:iterate", "Make a release, have a model trained on it, make the next by that model.", _MAKE),
    Chapter("requeue", "cli.requeue:requeue", "Put a class of a run's drops through again; publish a new version.", _MAKE),
    Chapter("deploy", "cli.deploy:deploy", "Register deployments and limits on a Prefect server.", _MAKE),
    Chapter("export", "cli.export:export", "Write a release as the files that a trainer reads.", _MAKE),
    Chapter("push", "cli.push:push", "Put a release on the Hugging Face Hub.", _MAKE),
    Chapter("runs", "cli.runs:app", "List runs, show one.", _LOOK),
    Chapter("releases", "cli.releases:app", "List, show and verify releases.", _LOOK),
    Chapter("sample", "cli.releases:sample", "Show some rows of a release.", _LOOK),
    Chapter("report", "cli.releases:report", "Show a run's report.", _LOOK),
    Chapter("browse", "cli.browse:browse", "Page through a release in a browser.", _LOOK),
    Chapter("diff", "cli.diff:diff", "Compare two releases or runs.", _LOOK),
    Chapter("techniques", "cli.catalogue:techniques", "List the ways to write prompts and responses, with their options.", _KNOW),
    Chapter("filters", "cli.catalogue:filters", "List the filters, with their parameters.", _KNOW),
    Chapter("engines", "cli.engines:app", "Check the served models that GRISTMILL_ENGINES names.", _KNOW),
    Chapter("appraise", "cli.appraise:appraise", "Measure a reward engine against known pairs.", _KNOW),
    Chapter("appraisals", "cli.appraise:appraisals", "List how reward engines did on known pairs.", _KNOW),
    Chapter("triton", "cli.triton:app", "Serve the rehearsal models on the embedded Triton.", _KNOW),
    Chapter("version", "cli.version:version", "Show versions: ours, Python's, and those of the parts.", _KNOW),
)


class TableOfContents(TyperGroup):
    """A group whose commands are placeholders until one is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.chapters = {chapter.name: chapter for chapter in CONTENTS}
        self.commands = {c.name: TyperCommand(c.name, short_help=c.purpose, help=c.purpose, rich_help_panel=c.panel) for c in CONTENTS}

    def resolve_command(self, ctx: "Context", args: list[str]) -> "tuple[str | None, Command | None, list[str]]":
        """Replace the placeholder by the command itself."""
        name, placeholder, rest = super().resolve_command(ctx, args)
        return name, self.chapters[name].load() if name and placeholder else None, rest


def names(chapters: Sequence[Chapter] = CONTENTS) -> list[str]:
    """Name every top-level command."""
    return [chapter.name for chapter in chapters]
