"""`gristmill preview`: a few records through every stage, with the prompts as they are sent and the answers as they come."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from cli.console import err, out, print_json
from cli.figures import count

if TYPE_CHECKING:
    from schemas.records import Conversation
    from tasks.previewed import Exchange, PreviewedAnswer, PreviewedPrompt, PreviewedStep, PreviewResult

_LINES, _WIDTH = 12, 1_200
"""Of one text: what is longer is cut on screen, and whole with --full or --json."""


def preview(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe's YAML file.", show_default=False)],
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help="Prompts, shared out over the recipe's techniques.")] = 8,
    data: Annotated[Path | None, typer.Option(help="Folder of runs, calls and releases; default: GRISTMILL_DATA, else ./data.")] = None,
    rehearse: Annotated[bool, typer.Option("--rehearse", help="Put the small built-in models in the place of the recipe's.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Show every text whole, and every call.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, everything in it.")] = False,
) -> None:
    """Put a few records through every stage and show them: prompts as sent, answers as they came, scores, drops. Nothing is published.

    What a preview pays, the run does not pay again. Copies are not looked for: that takes the whole data.

    Example: [bold]gristmill preview recipes/rehearsal.yaml -n 4[/bold]

    Of a recipe for big models, without them: [bold]gristmill preview recipes/nemotron4-340b.yaml --rehearse[/bold]
    """
    from cli.log import log_to
    from infra.settings import read_settings
    from tasks.preview import preview as run_preview

    settings = read_settings(data=data)
    with log_to(settings.local), err().status("asking the engines"):
        result = run_preview(recipe, settings, n=n, rehearse=rehearse)
    if as_json:
        print_json(asdict(result))
    else:
        show_preview(result, out(), full=full)


def show_preview(result: "PreviewResult", console: Console, *, full: bool = False) -> None:
    """Print a preview, stage by stage, record by record."""
    badge = ("  rehearsal", "yellow") if result.rehearsal else ""
    console.print(Text.assemble((result.name, "bold"), "  ", (f"{count(len(result.prompts))} prompts", "dim"), badge))
    for step in result.steps:
        if step.exchanges:
            console.print(_step(step, full=full))
    for number, one in enumerate(result.prompts, 1):
        # The first answer's calls are shown whole: how a prompt is rendered is the same for all.
        console.print(_prompt(one, number, calls=full or number == 1, full=full))
    console.print(_closing(result))


def _step(step: "PreviewedStep", *, full: bool) -> RenderableType:
    shown = step.exchanges if full else step.exchanges[:1]
    more = len(step.exchanges) - len(shown)
    parts: list[RenderableType] = [Rule(Text(f"{step.technique} / {step.step}", style="bold"), align="left", style="dim")]
    parts += [line for exchange in shown for line in _exchange(exchange, full=full)]
    if more:
        parts.append(Text(f"and {count(more)} calls more like it", style="dim"))
    parts.append(_indented("makes", "\n".join(f"• {one}" for one in step.out), full=full, style="green"))
    return Group(*parts)


def _prompt(one: "PreviewedPrompt", number: int, *, calls: bool, full: bool) -> RenderableType:
    title = Text.assemble((f"prompt {number}", "bold"), (f"  {one.prompt.technique}, {one.prompt.category}", "dim"))
    parts: list[RenderableType] = [Text(), Rule(title, align="left", style="dim")]
    parts += [_indented(turn.role, turn.content, full=full) for turn in one.prompt.messages]
    if one.prompt.reference:
        parts.append(_indented("known answer", one.prompt.reference.value, full=full))
    for index, answer in enumerate(one.answers):
        parts += _answer(answer, calls=calls and (full or index == 0), full=full)
    for pair in one.preferences:
        margin = "" if pair.margin is None else f", margin {pair.margin:.2f}"
        parts.append(Text(f"pair by {pair.judge}{margin}: {pair.chosen_id[:8]} over {pair.rejected_id[:8]}", style="cyan"))
    return Group(*parts)


def _answer(answer: "PreviewedAnswer", *, calls: bool, full: bool) -> Iterator[RenderableType]:
    one = answer.conversation
    fate = Text(answer.fate or "lost", style="green" if answer.published else "yellow")
    yield Text.assemble((f"\nanswer {one.conversation_id[:8]}", "bold"), (f"  {one.response} {one.sample_index}  ", "dim"), fate, (_facts(one), "dim"))
    if calls:
        for exchange in answer.exchanges:
            yield from _exchange(exchange, full=full)
    else:
        for turn in one.messages[one.prompt_turns :]:
            yield _indented(turn.role, turn.content, full=full)


def _facts(one: "Conversation") -> str:
    facts = [f"reward {one.scores.reward:.2f}"] if one.scores else []
    if one.verdict:
        facts.append(f"{'right' if one.verdict.passed else 'wrong'}: expected {one.verdict.expected}, found {one.verdict.found}")
    if one.gate:
        facts.append(f"barred by {one.gate}")
    if one.finish_reason == "length":
        facts.append("cut off")
    return "".join(f"  {fact}" for fact in facts)


def _exchange(exchange: "Exchange", *, full: bool) -> Iterator[RenderableType]:
    yield _indented(f"to {exchange.model}", exchange.prompt, full=full, style="dim")
    yield _indented("known" if exchange.reused else "answer", exchange.answer, full=full)


def _indented(label: str, text: str, *, full: bool, style: str = "") -> RenderableType:
    return Group(Text(f"  {label}", style="magenta"), Padding(Text(text if full else _cut(text), style=style), (0, 0, 0, 4)))


def _cut(text: str) -> str:
    lines = text[:_WIDTH].splitlines()
    short = "\n".join(lines[:_LINES])
    return short if short == text.rstrip("\n") else f"{short} …"


def _closing(result: "PreviewResult") -> RenderableType:
    answers = [answer for one in result.prompts for answer in one.answers]
    fates = Counter(answer.fate for answer in answers)
    said = ", ".join(f"{fate or 'lost'} {number}" for fate, number in fates.most_common())
    other = Counter(drop.reason for drop in result.drops if drop.stage in ("prompts", "screen", "responses"))
    lost = f"; dropped before: {', '.join(f'{reason} {number}' for reason, number in other.most_common())}" if other else ""
    return Text(f"\n{count(len(answers))} answers: {said}{lost}. Nothing was published.", style="bold")
