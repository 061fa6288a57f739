"""`gristmill techniques` and `gristmill filters`: what a recipe can name, and which options each takes."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import out, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from tasks.discovery import Kind, ModuleDoc

Name = Annotated[str | None, typer.Argument(help="Show this one's options.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON array, options included.")]

_TITLES: "dict[Kind, str]" = {
    "prompts": "Prompt techniques (prompts: - technique: …)",
    "responses": "Response techniques (responses: - technique: …)",
    "judges": "Judges (pairs.judges: - judge: …)",
    "verifiers": "Verifiers (of a reference answer)",
    "filters": "Filters (filters: - filter: …)",
}


def techniques(name: Name = None, as_json: AsJson = False) -> None:
    """List the ways to write prompts and responses, and what judges and verifies them.

    Example: [bold]gristmill techniques open_qa[/bold]
    """
    _show(("prompts", "responses", "judges", "verifiers"), name, as_json=as_json)


def filters(name: Name = None, as_json: AsJson = False) -> None:
    """List the filters; each is named for the fault it finds, which is also the reason of its drops.

    Example: [bold]gristmill filters repeated_ngrams[/bold]
    """
    _show(("filters",), name, as_json=as_json)


def _show(kinds: "tuple[Kind, ...]", name: str | None, *, as_json: bool) -> None:
    from tasks.discovery import describe

    found = [doc for kind in kinds for doc in describe(kind) if name in (None, doc.name)]
    if not found:
        _refuse(name or "", kinds)
    if as_json:
        print_json([asdict(doc) for doc in found])
    elif name:
        for doc in found:
            _print_options(doc)
    else:
        for kind in kinds:
            _print_list(kind, [doc for doc in found if doc.kind == kind])


def _refuse(name: str, kinds: "tuple[Kind, ...]") -> None:
    from schemas.errors import NotFoundError
    from tasks.discovery import names, suggest

    known = tuple(one for kind in kinds for one in names(kind))
    raise NotFoundError(f"nothing here is called {name!r}: {suggest(name, known)}")


def _print_list(kind: "Kind", docs: "list[ModuleDoc]") -> None:
    from rich.markup import escape

    table = _table(_TITLES[kind], "name", "purpose", "options")
    for doc in docs:
        table.add_row(*map(escape, (doc.name, doc.purpose, ", ".join(option.name for option in doc.options))))
    out().print(table)


def _print_options(doc: "ModuleDoc") -> None:
    from rich.markup import escape

    out().print(f"\n[bold]{doc.name}[/bold]: {escape(doc.purpose)}")
    table = _table("", "option", "type", "default", "meaning")
    for option in doc.options:
        table.add_row(*map(escape, (option.name, option.type, option.default if option.default is not None else "required", option.doc)))
    if doc.options:
        out().print(table)
    else:
        out().print("It takes no options.")


def _table(title: str, first: str, *others: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, expand=False)
    table.add_column(first, style="cyan", no_wrap=True)
    for name in others:
        table.add_column(name, overflow="fold")
    return table
