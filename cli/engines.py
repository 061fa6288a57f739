"""`gristmill engines`: what answers at the addresses that settings name, and what builds and serves a model."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import err, out, print_json

if TYPE_CHECKING:
    from infra.engines.check import Checked
    from infra.settings import Address, Settings
    from infra.triton.production.repository import Rendered
    from infra.triton.production.shapes import Shape
    from schemas.model_card import ModelCard

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=False)

Recipe = Annotated[
    Path | None, typer.Argument(metavar="[RECIPE]", help="Check this recipe's models; default: all that GRISTMILL_ENGINES names.", show_default=False)
]
Rehearse = Annotated[bool, typer.Option("--rehearse", help="Check the small built-in models in the place of the recipe's.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON array.")]


Card = Annotated[str, typer.Argument(metavar="CARD", help="The model's card, for example nemotron-4-340b-instruct.")]
Hardware = Annotated[str, typer.Option("--on", help="GPUs: their number and kind (H100, H200, A100), as in 8xH100.")]
Precision = Annotated[str | None, typer.Option(help="bf16 or fp8; default: bf16 where it fits.")]
Wire = Annotated[
    str | None,
    typer.Option(help="engine (TensorRT engines), llmapi (TensorRT-LLM's LLM API) or aligner (NeMo-Aligner's reward server); default: the model's usual one."),
]
Out = Annotated[Path, typer.Option("--out", help="Folder to write to.")]
At = Annotated[str | None, typer.Option("--at", help="Where the server will see that folder; default: where it is.")]
Guided = Annotated[bool, typer.Option("--guided", help="Switch guided decoding on (engine path; wants a tokenizer file, see docs/deployment.md).")]
Go = Annotated[bool, typer.Option("--run", help="Run the build, not only show it. In TensorRT-LLM's container, with the GPUs there.")]


@app.callback()
def engines() -> None:
    """Check the served models that GRISTMILL_ENGINES names; write what builds and serves them with Triton and TensorRT-LLM."""


@app.command(epilog="Example: gristmill engines check recipes/rehearsal.yaml")
def check(recipe: Recipe = None, rehearse: Rehearse = False, as_json: AsJson = False) -> None:
    """Ask every engine what it is: address, dialect, server, what it can be told and tells.

    Rehearsal models without an address are started for the moment. Exit code 3 if any engine can't be used.
    """
    from infra.engines.check import check_engines
    from infra.settings import read_settings

    settings = read_settings()
    with contextlib.ExitStack() as stack:
        stack.enter_context(err().status("asking the engines"))
        checked = check_engines(_wanted(settings, recipe, stack, rehearse=rehearse), settings)
    if as_json:
        print_json([_plain(one) for one in checked])
    else:
        _print(checked)
    _refuse(checked)


@dataclass(frozen=True, slots=True)
class Served:
    """What was written to build and serve a model."""

    rendered: "Rendered"
    shape: "Shape"


def of_a_server(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say how a model is served, and hand it what was written in accordance with them, before options of its own."""
    shared = list(signature(_serve).parameters.values())
    own = list(signature(command).parameters.values())[1:]

    @wraps(command)
    def call(**given: Any) -> None:
        named = {one.name: given.pop(one.name) for one in shared}
        command(_serve(**named), **given)

    call.__signature__ = Signature([*shared, *own])  # type: ignore[attr-defined]  # what Typer reads, besides the annotations
    call.__annotations__ = {one.name: one.annotation for one in (*shared, *own)}
    return call


def _serve(card: Card, on: Hardware, out_: Out, precision: Precision = None, wire: Wire = None, at: At = None, guided: Guided = False) -> Served:
    from infra.triton.production.repository import render as write
    from infra.triton.production.shapes import choose_shape, read_precision, read_wire

    shape = choose_shape(card, on, precision=read_precision(precision), wire=read_wire(wire))
    return Served(write(shape, out_, at=at, guided=guided), shape)


@app.command(epilog="Example: gristmill engines render nemotron-4-340b-instruct --on 8xH100 --out served/340b")
@of_a_server
def render(served: Served) -> None:
    """Write the build script, the Triton model repository and the launcher of a model to a folder.

    Nothing of it was run on GPUs by us; the configurations were served by Triton, with stand-ins for tokenizer and engine.
    """
    rendered, shape = served.rendered, served.shape
    out().print(
        f"Wrote [bold]{rendered.folder}[/]: {shape.precision}, {shape.copies} x {shape.ranks} GPUs, {shape.wire}; models {', '.join(rendered.models) or 'none'}"
    )
    out().print(f"Read {rendered.folder / 'README.md'} on how to go on; then:")
    out().print(f'  export GRISTMILL_ENGINES="{" ".join(rendered.engines)}"', soft_wrap=True)


@app.command(epilog="Example: gristmill engines build llama-3.1-nemotron-70b-reward --on 8xH100 --out served/reward")
@of_a_server
def build(served: Served, run: Go = False) -> None:
    """Build a model's engine from CHECKPOINT: shows the commands, and with --run runs them where the GPUs are."""
    from infra.triton.production.building import CONTAINER, build_gpus
    from infra.triton.production.running import count_gpus, run_build

    needed, there = build_gpus(served.shape), count_gpus()
    if run:
        run_build(served.rendered.folder, needed=needed, there=there)
        return
    out().print((served.rendered.folder / "build.sh").read_text(encoding="utf-8"), markup=False, highlight=False, soft_wrap=True)
    out().print(f"Nothing was run. It takes {needed} GPUs in {CONTAINER}; here are {there}. To run it there: CHECKPOINT=… gristmill engines build … --run")


def _wanted(settings: "Settings", recipe: Path | None, stack: contextlib.ExitStack, *, rehearse: bool) -> "list[tuple[ModelCard, tuple[Address, ...]]]":
    from schemas.errors import SettingsError
    from schemas.model_card import load_card

    if recipe is not None:
        from cli.run import load
        from tasks.run_engines import open_addresses

        loaded = load(recipe, settings, rehearse=rehearse)
        addresses = open_addresses(loaded, settings, stack, log_path=None)
        cards = {card.id: card for card in loaded.cards.values()}
        return [(card, addresses.get(card.id, ())) for card in cards.values()]
    if not settings.addresses:
        raise SettingsError("no engine is named: give a recipe, or set GRISTMILL_ENGINES=card=grpc://host:8001/model (or card=https://host/v1#model)")
    return [(load_card(name, settings.cards), addresses) for name, addresses in settings.addresses.items()]


def _plain(one: "Checked") -> dict[str, Any]:
    facts = one.facts
    return {
        "model": one.card.id,
        "address": str(one.address) if one.address else None,
        "kind": facts.kind if facts else None,
        "served_model": facts.served_model if facts else None,
        "server": facts.server if facts else None,
        "decoupled": facts.decoupled if facts else None,
        "options": sorted(facts.options) if facts else [],
        "tells": sorted(facts.tells) if facts else [],
        "attributes": list(facts.attributes) if facts else [],
        "error": one.error,
        "fault": one.fault.value if one.fault else None,
    }


def _print(checked: "Sequence[Checked]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("Model", "at", "answers as", "server", "can be told"):
        table.add_column(name, overflow="fold")
    for one in checked:
        where = str(one.address) if one.address else "nowhere"
        if one.facts is None:
            table.add_row(one.card.id, where, Text("can't be used", style="bold red"))
        else:
            told = ", ".join(one.facts.attributes or sorted(one.facts.options))
            table.add_row(one.card.id, where, Text(one.facts.kind, style="green"), one.facts.server, told)
    out().print(table)


def _refuse(checked: "Sequence[Checked]") -> None:
    from schemas.errors import EngineError, EngineFault

    failed = [one for one in checked if one.error]
    if failed:
        message = "\n".join(f"{one.card.id}: {one.error}" for one in failed)
        raise EngineError(message, fault=failed[0].fault or EngineFault.UNREACHABLE)
