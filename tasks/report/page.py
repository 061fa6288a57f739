"""Puts the report together: facts in, one self-contained HTML page out. Everything that a model or a seed wrote is escaped by Jinja."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from schemas.run import ShardReport, StageReport, add_reports
from tasks.report.charts import draw_flow, draw_histogram, draw_length_bias
from tasks.report.facts import ReportFacts
from tasks.report.text import compact, duration, show

FOLDER = Path(__file__).parent
SHORT = 700
"""Characters of a text shown beside others."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the big numbers at the top."""

    label: str
    value: str
    note: str = ""


def write_report(facts: ReportFacts) -> str:
    """Write the page."""
    return _template().render(
        facts=facts,
        figures=_figures(facts),
        losses=_losses(facts),
        total=add_reports(*(stage.total for stage in facts.stages)),
        wall=_wall(facts),
    )


@cache
def _template() -> Template:
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"show": show, "short": _short, "compact": compact, "duration": duration, "thousands": _thousands, "some": _some, "moment": _moment}
    environment.globals |= {
        "style": (FOLDER / "report.css").read_text(encoding="utf-8"),
        "draw_flow": draw_flow,
        "draw_histogram": draw_histogram,
        "draw_length_bias": draw_length_bias,
        "rate": _rate,
        "amount": _amount,
        "spread": _spread,
        "settings": _settings,
        "turns_of": _turns_of,
    }
    return environment.get_template("template.html.j2")


def _figures(facts: ReportFacts) -> list[Figure]:
    answers = next((account for account in facts.accounts if account.unit == "answers"), None)
    total = add_reports(*(stage.total for stage in facts.stages))
    found = [
        Figure("conversations", _thousands(_rows(facts.rows, "sft")), "instruction data"),
        Figure("preference pairs", _thousands(_rows(facts.rows, "preferences")), "chosen and rejected"),
        Figure("prompts", _thousands(_rows(facts.rows, "prompts")), "screened"),
    ]
    if answers and answers.requested:
        found.append(Figure("answers kept", f"{answers.kept / answers.requested:.0%}", f"{answers.kept:,} of {answers.requested:,}"))
    found.append(Figure("engine calls", compact(total.calls), f"{total.reused:,} more reused" if total.reused else "none reused"))
    found.append(Figure("tokens written", compact(total.completion_tokens), _speed(total, _wall(facts))))
    return found


def _rows(rows: Mapping[str, int], data_set: str) -> int:
    return sum(count for name, count in rows.items() if name.partition("/")[0] == data_set)


def _speed(total: ShardReport, wall: float | None) -> str:
    return f"{compact(round(total.completion_tokens / wall))} a second" if wall else f"{compact(total.prompt_tokens)} read"


def _wall(facts: ReportFacts) -> float | None:
    """Seconds from start to end; None where either is unknown, as for a release, which is written before its run ends."""
    if not facts.started_at or not facts.finished_at:
        return None
    return (datetime.fromisoformat(facts.finished_at) - datetime.fromisoformat(facts.started_at)).total_seconds() or None


def _losses(facts: ReportFacts) -> list[dict[str, Any]]:
    """List all drop reasons with each one's share of its chapter's rows, the commonest first."""
    return [
        {"stage": loss.stage, "reason": loss.reason, "rows": loss.rows, "kind": loss.kind, "unit": account.unit, "share": loss.rows / max(account.requested, 1)}
        for account in facts.accounts
        for loss in sorted(account.losses, key=lambda loss: -loss.rows)
    ]


def _rate(stage: StageReport) -> str:
    tokens = stage.total.completion_tokens
    return f"{tokens / stage.total.seconds:,.0f}" if tokens and stage.total.seconds else "–"


def _amount(number: float | None, digits: int = 2) -> str:
    return "–" if number is None else f"{number:,.{digits}f}"


def _spread(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in rows.items())


def _settings(row: Mapping[str, Any]) -> str:
    """Say in one line which models made a row, asked how; seeds are in the row itself."""
    uses = row.get("provenance", {}).get("models") or []
    counted = Counter(_use(use) for use in uses)
    return ", ".join(use + (f" × {times}" if times > 1 else "") for use, times in counted.items())


def _use(use: Mapping[str, Any]) -> str:
    heat = f" at temperature {use['temperature']:g}" if use.get("temperature") is not None else ""
    return f"{use['role']} {use['model']}{heat}"


def _turns_of(record: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Find what to show of any record: its turns, or its value as one turn."""
    if isinstance(record.get("messages"), list):
        turns: list[Mapping[str, Any]] = record["messages"]
        return turns
    if isinstance(record.get("chosen"), list):
        named = [{"role": f"{side} {turn['role']}", "content": turn["content"]} for side in ("chosen", "rejected") for turn in record[side]]
        return [*record.get("prompt", []), *named]
    return [{"role": "item", "content": record.get("value", "")}]


def _short(text: object) -> str:
    return show(text, SHORT)


def _some(number: int) -> str:
    return f"{number:,}" if number else "–"


def _thousands(number: int) -> str:
    return f"{number:,}"


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%-d %B %Y, %H:%M UTC") if text else ""
