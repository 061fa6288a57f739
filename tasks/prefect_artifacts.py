"""What a run's artifacts in Prefect hold: the funnel, a plot of scores, a few rows, and a write-up with links. Pure; each kept small whatever the data.

Prefect keeps artifacts in its own database and sends them whole to every page that shows them: they are for a glance, the report is for reading.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from markupsafe import escape

from schemas.run import StageReport
from tasks.report.samples import Row, Samples
from tasks.report.scores import Histogram
from tasks.report.text import show

MOST_BYTES = 16_384
"""No artifact is larger, as JSON. (By test, on texts and reasons without end.)"""

_REASONS, _NAME, _ROWS = 6, 60, 9
"""Drop reasons a stage, characters of a name, rows of samples."""
_ASKED, _ANSWER, _SIDE = 60, 140, 70
"""Characters of a question, of an answer and of one side of a pair: Prefect's table breaks no line, and shows some 120 without scrolling."""
_PLOTS = 6
_WIDE, _HIGH, _FOOT = 300, 120, 22
_KEPT, _LOST, _INK = "#2f855a", "#cbd5e0", "#718096"
"""Readable on Prefect's light page and on its dark one."""


def funnel(stages: Sequence[StageReport]) -> list[dict[str, Any]]:
    """Lay the stages out as rows of a table."""
    return [
        {
            "stage": show(one.stage, _NAME),
            "in": one.total.rows_in,
            "out": one.total.rows_out,
            "dropped": _reasons(one.total.dropped),
            "calls": one.total.calls,
            "reused": one.total.reused,
            "tokens": one.total.completion_tokens,
        }
        for one in stages
    ]


def plot_scores(histograms: Sequence[Histogram]) -> str:
    """Draw how scores are spread, published rows at the foot of each bar: Markdown with an SVG in a data URL, an image without scripts, and without a server.

    (Prefect's own image artifact shows the URL as well, all of it.)
    """
    shown = histograms[:_PLOTS]
    columns = min(3, len(shown)) or 1
    lines = -(-len(shown) // columns)
    bars = "".join(_plot(one, (place % columns) * _WIDE, (place // columns) * _HIGH) for place, one in enumerate(shown))
    size = f'width="{columns * _WIDE}" height="{lines * _HIGH}"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">{bars}</svg>'
    return f"![How scores are spread](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})\n\nIn green rows that are published, in grey the others.\n"


def sample_rows(samples: Samples) -> list[dict[str, Any]]:
    """Lay a few rows out: answers, pairs, and one row for each of the commonest reasons why others are not there."""
    answers = (_line("sft", row, row["messages"][:-1], row["messages"][-1]["content"]) for row in samples.sft)
    pairs = (_line("preferences", row, row["prompt"], _sides(row)) for row in samples.preferences)
    rows = [*answers, *pairs, *(_drop(row) for row in samples.drops)]
    return rows[:_ROWS]


def summarise(release: str, path: str, rows: Mapping[str, int], means: Mapping[str, float]) -> str:
    """Write a release up in Markdown."""
    lines = [f"## {release}", "", f"`{path}`", "", "| rows of | |", "| --- | ---: |", *(f"| {name} | {count} |" for name, count in rows.items())]
    if means:
        lines += ["", "| mean score | |", "| --- | ---: |", *(f"| {name} | {mean:.2f} |" for name, mean in means.items())]
    lines += ["", f"The report, with charts and sample rows: `{path}/report.html`", "", f"To page through it: `gristmill browse {release}`"]
    return "\n".join(lines)


def _reasons(dropped: Mapping[str, int]) -> str:
    ordered = sorted(dropped.items(), key=lambda one: (-one[1], one[0]))
    told = [f"{show(reason, _NAME)} {rows}" for reason, rows in ordered[:_REASONS]]
    rest = ordered[_REASONS:]
    return ", ".join([*told, *([f"{len(rest)} more reasons {sum(rows for _, rows in rest)}"] if rest else [])])


def _line(data_set: str, row: Row, asked: Iterable[Mapping[str, Any]], answer: str) -> dict[str, Any]:
    question = next((turn["content"] for turn in reversed(list(asked)) if turn["role"] == "user"), "")
    score = row["margin"] if data_set == "preferences" else (row.get("scores") or {}).get("reward")
    number = "" if score is None else f"{score:.2f}"
    return {"of": data_set, "score": number, "asked": _glance(question, _ASKED), "answer": _glance(answer, _ANSWER)}


def _sides(row: Row) -> str:
    chosen, rejected = (_glance(row[side][-1]["content"], _SIDE) for side in ("chosen", "rejected"))
    return f"{chosen}  ≻  {rejected}"


def _drop(row: Row) -> dict[str, Any]:
    reason = show(f"{row['stage']}: {row['reason']} ({row['of']} rows)", 2 * _NAME)
    return {"of": "dropped", "score": "", "asked": reason, "answer": _glance(row.get("detail") or "", _ANSWER)}


def _glance(text: object, limit: int) -> str:
    whole = " ".join(str(text)[: 4 * limit].split())
    return show(whole if len(whole) <= limit else whole[: limit - 1] + "…")


def _plot(one: Histogram, left: int, top: int) -> str:
    most = max((kept + lost for kept, lost in zip(one.kept, one.lost, strict=True)), default=0) or 1
    scale, width, base = (_HIGH - 2 * _FOOT) / most, (_WIDE - 24) / max(len(one.kept), 1), top + _HIGH - _FOOT
    mean = "" if one.kept_mean is None else f", mean {one.kept_mean:.2f}"
    title = f'<text x="{left + 12}" y="{top + 13}" fill="{_INK}">{escape(show(one.name, _NAME))}{mean}</text>'
    ends = f'<text x="{left + 12}" y="{base + 13}" fill="{_INK}">{one.edges[0]:.2f}</text>'
    ends += f'<text x="{left + _WIDE - 12}" y="{base + 13}" fill="{_INK}" text-anchor="end">{one.edges[-1]:.2f}</text>'
    return title + "".join(_bars(one, (left + 12, base), width, scale)) + ends


def _bars(one: Histogram, foot: tuple[int, int], width: float, scale: float) -> Iterator[str]:
    """Draw all bars of a colour as one path: a third of the bytes of as many rectangles."""
    nothing = (0,) * len(one.kept)
    for colour, below, rows in ((_KEPT, nothing, one.kept), (_LOST, one.kept, one.lost)):
        bars = "".join(
            f"M{foot[0] + place * width:.0f} {foot[1] - low * scale:.0f}v-{max(count * scale, 1):.0f}h{width - 1:.0f}v{max(count * scale, 1):.0f}z"
            for place, (low, count) in enumerate(zip(below, rows, strict=True))
            if count
        )
        yield f'<path d="{bars}" fill="{colour}"/>' if bars else ""
