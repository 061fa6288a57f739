"""The report's charts, as inline SVG drawn here: no script, no library, colours by the page's style sheet.

Every text that goes into a chart is escaped by markupsafe; every chart carries a title and a description for screen readers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tasks.release.accounts import Account, Loss
from tasks.report.scores import Histogram, LengthBias
from tasks.report.text import compact, show

_FLOW_WIDTH, _BAND, _TOP = 1000.0, 150.0, 46.0
_QUIET_BAND = 56.0
"""Height of the band where nothing was lost, and so nothing is to be compared."""
_TAIL = 150.0
"""Room for the last stage's losses."""
_LINE = 17.0
_REASONS_SHOWN = 4
_RIBBON = Markup(
    '<path class="ribbon" d="M{0:.1f} {1:.1f}C{2:.1f} {1:.1f} {2:.1f} {1:.1f} {2:.1f} {3:.1f}H{4:.1f}C{4:.1f} {5:.1f} {0:.1f} {5:.1f} {0:.1f} {5:.1f}Z"/>'
)

_WIDE, _HIGH = 320.0, 150.0
_LEFT, _RIGHT, _BOTTOM = 8.0, 8.0, 22.0


@dataclass(frozen=True, slots=True)
class _Column:
    """One stage's place in a flow."""

    x: float
    before: float
    after: float
    """Heights of the band on either side."""


def draw_flow(account: Account) -> Markup:
    """Draw a chapter's rows as a band from left to right that loses a ribbon at each stage that drops some."""
    step = (_FLOW_WIDTH - _TAIL) / len(account.stages)
    band = _BAND if account.losses else _QUIET_BAND
    scale = band / max(account.requested, 1)
    columns = [_Column(step * (place + 1), one.total.rows_in * scale, one.total.rows_out * scale) for place, one in enumerate(account.stages)]
    lines = max((len(_shortened(account, one.stage)) for one in account.stages), default=0)
    height = _TOP + band + (40 + _LINE * lines + 6 if lines else 12)
    parts = [*_flow_band(account, columns), *_flow_losses(account, columns, step)]
    told = f"Of {account.requested:,} {account.unit} requested, {account.kept:,} were kept"
    return _svg(_FLOW_WIDTH, height, f"Flow of {account.unit}", f"{told}; the table below holds the same numbers.", parts, "flow")


def draw_histogram(one: Histogram, *, decided: bool) -> Markup:
    """Draw a distribution, published rows at the foot of each bar and the rest on top."""
    top, base = 10.0, _HIGH - _BOTTOM
    most = max((kept + lost for kept, lost in zip(one.kept, one.lost, strict=True)), default=0) or 1
    width = (_WIDE - _LEFT - _RIGHT) / len(one.kept)
    parts: list[Markup] = []
    for place, (kept, lost) in enumerate(zip(one.kept, one.lost, strict=True)):
        x, scale = _LEFT + place * width, (base - top) / most
        title = f"{one.edges[place]:.2f} to {one.edges[place + 1]:.2f}: {kept + lost:,}"
        parts += _bar(x, base - kept * scale, width - 1.5, kept * scale, "kept" if decided else "open", title)
        parts += _bar(x, base - (kept + lost) * scale, width - 1.5, lost * scale, "lost", title)
    parts += [_line(_LEFT, base, _WIDE - _RIGHT, base, "axis"), *_ticks(one.edges[0], one.edges[-1], base)]
    means = f"mean {_mean(one.kept_mean)}" + (f", of rows not published {_mean(one.lost_mean)}" if decided else "")
    return _svg(_WIDE, _HIGH, f"Distribution of {one.name}", f"{sum(one.kept) + sum(one.lost):,} rows, {means}", parts, "histogram")


def draw_length_bias(bias: LengthBias) -> Markup:
    """Draw reward against answer length, a dot a row."""
    width, height, left, base = 1000.0, 280.0, 44.0, 250.0
    xs, ys = [point[0] for point in bias.points], [point[1] for point in bias.points]
    x_low, x_span = min(xs), (max(xs) - min(xs)) or 1
    y_low, y_span = min(ys), (max(ys) - min(ys)) or 1
    parts = [_line(left, base, width - 10, base, "axis"), _line(left, 12, left, base, "axis")]
    for x, y, kept in sorted(bias.points, key=lambda point: point[2]):
        place_x, place_y = left + 8 + (x - x_low) / x_span * (width - left - 28), base - 8 - (y - y_low) / y_span * (base - 28)
        parts.append(Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format("kept" if kept else "lost", place_x, place_y))
    parts += [_text(left + 8, base + 18, f"{x_low:,.0f}", "tick"), _text(width - 20, base + 18, f"{x_low + x_span:,.0f} tokens", "tick end")]
    parts += [_text(left - 6, base - 4, f"{y_low:.1f}", "tick end"), _text(left - 6, 24, f"{y_low + y_span:.1f}", "tick end")]
    told = "does not vary with" if bias.correlation is None else f"has a correlation of {bias.correlation:.2f} with"
    return _svg(width, height, "Reward against answer length", f"The reward {told} the number of completion tokens.", parts, "scatter")


def _flow_band(account: Account, columns: Sequence[_Column]) -> Iterator[Markup]:
    begin = columns[0].before if columns else 0.0
    yield _rect(0, _TOP, 8, max(begin, 1), "node")
    yield _text(0, _TOP - 24, "requested", "stage")
    yield _text(0, _TOP - 8, f"{account.requested:,}", "count")
    x, height = 8.0, begin
    for column, one in zip(columns, account.stages, strict=True):
        yield Markup('<path class="band" d="M{:.1f} {:.1f}H{:.1f}V{:.1f}H{:.1f}Z"/>').format(x, _TOP, column.x, _TOP + height, x)
        yield _rect(column.x, _TOP, 6, max(column.after, 1), "node")
        yield _text(column.x, _TOP - 24, one.stage, "stage")
        yield _text(column.x, _TOP - 8, f"{one.total.rows_out:,}", "count")
        x, height = column.x + 6, column.after
    tail = _FLOW_WIDTH - 4
    yield Markup('<path class="band" d="M{:.1f} {:.1f}H{:.1f}L{:.1f} {:.1f}L{:.1f} {:.1f}H{:.1f}Z"/>').format(
        x, _TOP, tail - 14, tail, _TOP + height / 2, tail - 14, _TOP + height, x
    )


def _flow_losses(account: Account, columns: Sequence[_Column], step: float) -> Iterator[Markup]:
    foot = _TOP + _BAND + 26
    for column, one in zip(columns, account.stages, strict=True):
        ribbon = column.before - column.after
        if ribbon <= 0:
            continue
        upper, lower = _TOP + column.after, _TOP + column.before
        # A ribbon as wide as its share of the rows, but never so wide that it touches the next stage, nor too thin to see.
        width = min(max(ribbon, 1.5), step * 0.45)
        yield _RIBBON.format(column.x, upper, column.x + 12 + width, foot, column.x + 12, lower)
        for row, line in enumerate(_shortened(account, one.stage)):
            yield _text(column.x + 12, foot + 18 + row * _LINE, line, "reason")


def _shortened(account: Account, stage: str) -> list[str]:
    """Write a stage's losses as lines, the smallest joined into one."""
    losses: list[Loss] = [loss for loss in account.losses if loss.stage == stage]
    shown = losses if len(losses) <= _REASONS_SHOWN else losses[: _REASONS_SHOWN - 1]
    rest = losses[len(shown) :]
    more = [f"{sum(loss.rows for loss in rest):,} for {len(rest)} others"] if rest else []
    return [f"{loss.rows:,} {show(loss.reason, 22)}" for loss in shown] + more


def _ticks(low: float, high: float, base: float) -> Iterator[Markup]:
    middle = (low + high) / 2
    yield _text(_LEFT, base + 15, compact(low), "tick")
    yield _text(_WIDE / 2, base + 15, compact(middle), "tick middle")
    yield _text(_WIDE - _RIGHT, base + 15, compact(high), "tick end")


def _bar(x: float, y: float, width: float, height: float, kind: str, title: str) -> Iterator[Markup]:
    if height > 0:
        yield Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>').format(kind, x, y, width, height, title)


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="1.5"/>').format(kind, x, y, width, height)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(kind, x1, y1, x2, y2)


def _text(x: float, y: float, text: str, kind: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(kind, x, y, text)


def _mean(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _svg(width: float, height: float, title: str, description: str, parts: Iterable[Markup], kind: str) -> Markup:
    opening = Markup('<svg class="{}" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}: {}">').format(kind, width, height, title, description)
    return opening + Markup("").join(parts) + Markup("</svg>")
