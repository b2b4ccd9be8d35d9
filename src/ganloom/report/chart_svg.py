"""Draw a chart as inline SVG: axes, ticks, curves, and events as vertical lines. The page's script shows values."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ganloom.report.chart_data import Chart, Point, Series
from ganloom.report.number_format import kimg as kimg_text
from ganloom.report.number_format import short

WIDTH, HEIGHT = 560, 264
LEFT, RIGHT, TOP, BOTTOM = 62, 22, 12, 34
MARKED = 40  # curves with at most this many points show each point as a dot


@dataclass(frozen=True)
class Axis:
    """Map values from ``low`` to ``high`` to pixels from ``start`` to ``end``. ``cut``: outliers are outside."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    cut: bool = False

    def at(self, value: float) -> float:
        """Return the pixel of a value, rounded to one decimal."""
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        value = math.log10(max(value, 1e-300)) if self.log else value
        share = (value - low) / (high - low)
        return round(self.start + (self.end - self.start) * min(max(share, -2.0), 3.0), 1)

    def ticks(self, about: int = 5) -> list[tuple[float, str]]:
        """Return ``about`` round values on the axis, with their labels."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            every = max(1, math.ceil((last - first + 1) / 6))
            return [(10.0**e, f"{10.0**e:g}") for e in range(first, last + 1, every)]
        raw = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        plain = digits <= 4 and abs(self.high) < 1e6 and abs(self.low) < 1e6
        return [(i * step, f"{i * step:.{digits}f}" if plain else f"{i * step:.3g}") for i in range(first, last + 1)]


def value_axis(values: Sequence[float], from_zero: bool = False) -> Axis:
    """Choose the vertical axis of a chart.

    Args:
        values: Finite values, at least one.
        from_zero: The axis starts at 0.

    Returns:
        A logarithmic axis where positive values span more than a factor of 200, else a linear one without extreme
        outliers.
    """
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    ends = (float(HEIGHT - BOTTOM), float(TOP))
    if low > 0 and high / low > 200 and not from_zero:
        return Axis(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high)), *ends, log=True)
    cut = False
    if len(ordered) >= 40:
        inner_low, inner_high = ordered[len(ordered) // 50], ordered[-1 - len(ordered) // 50]
        if 0 < 6 * (inner_high - inner_low) < high - low:
            low, high, cut = max(low, 2 * inner_low - inner_high), min(high, 2 * inner_high - inner_low), True
    low = min(low, 0.0) if from_zero else low
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 0.5
    return Axis(low - (0.0 if from_zero and low == 0 else margin), high + margin, *ends, cut=cut)


def path(points: Sequence[Point], x: Axis, y: Axis) -> str:
    """Return the attribute ``d`` of a curve. A NaN starts a new line."""
    parts, pen = [], "M"
    for kimg, value in points:
        if math.isnan(value):
            pen = "M"
            continue
        parts.append(f"{pen}{x.at(kimg):g} {y.at(value):g}")
        pen = "L"
    return "".join(parts)


def _event_lines(events: Sequence[dict[str, Any]], x: Axis) -> str:
    """Draw events (with a finite "kimg", "kind", "text") as dashed lines, with their names where there is room."""
    lines, free = [], -math.inf
    for event in events:
        if not x.low <= event["kimg"] <= x.high:
            continue
        at, kind = x.at(event["kimg"]), escape(str(event["kind"]))
        title = escape(f"kimg {kimg_text(event['kimg'])}, {event['kind']}: {event['text']}")
        name = ""
        if at >= free:
            free = at + 15
            left = at - 4 if at > WIDTH - RIGHT - 14 else at + 11
            name = f'<text class="event-name" transform="translate({left:g} {TOP + 4}) rotate(90)">{kind}</text>'
        lines.append(
            f'<g class="event {_css(event["kind"])}"><title>{title}</title>'
            f'<line x1="{at:g}" x2="{at:g}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>{name}</g>'
        )
    return "".join(lines)


def _css(kind: Any) -> str:
    return {"nan": "bad", "failed": "bad", "error": "bad", "warning": "warn", "signal": "warn", "best": "good"}.get(
        str(kind), "plain"
    )


def _axes(x: Axis, y: Axis) -> str:
    parts = []
    for value, text in y.ticks():
        at = y.at(value)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:g}" y2="{at:g}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{at:g}" dy=".34em" text-anchor="end">{text}</text>')
    base = HEIGHT - BOTTOM
    for value, text in x.ticks(6):
        at = x.at(value)
        parts.append(f'<line class="axis" x1="{at:g}" x2="{at:g}" y1="{base}" y2="{base + 5}"/>')
        parts.append(f'<text class="tick" x="{at:g}" y="{base + 20}" text-anchor="middle">{text}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>')
    return "".join(parts)


def _curve(index: int, series: Series, x: Axis, y: Axis) -> str:
    finite = [point for point in series.points if not math.isnan(point[1])]
    marks = finite if len(finite) <= MARKED else []
    dots = "".join(f'<circle class="mark" cx="{x.at(k):g}" cy="{y.at(v):g}" r="2.6"/>' for k, v in marks)
    return f'<g class="s{index}"><path class="curve" d="{path(series.points, x, y)}"/>{dots}</g>'


def _data(chart: Chart, x: Axis, y: Axis) -> str:
    """Return the data that the page's script needs, as JSON for a script element."""
    series = [
        [[round(kimg, 4), None if math.isnan(v) else float(f"{v:.5g}")] for kimg, v in one.points]
        for one in chart.series
    ]
    return in_script({"x": [x.low, x.high, x.start, x.end], "y": [y.low, y.high, y.start, y.end, y.log], "s": series})


def in_script(value: Any) -> str:
    """Return ``value`` as JSON without the characters that could end a script element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def draw(chart: Chart, number: int, until: float, events: Sequence[dict[str, Any]]) -> str:
    """Draw one chart.

    Args:
        chart: The curves.
        number: Makes the ids of the chart unique in the page.
        until: The right end of all charts, in kimg.
        events: Events with "kimg", "kind" and "text".

    Returns:
        A <figure> as HTML.
    """
    values = [value for one in chart.series for _, value in one.points if not math.isnan(value)]
    x = Axis(0.0, max(until, 1e-3), float(LEFT), float(WIDTH - RIGHT))
    y = value_axis(values, chart.from_zero)
    legend = "".join(
        f'<li class="s{i}"><span class="swatch"></span>{escape(one.label)} <b>{short(one.last)}</b></li>'
        for i, one in enumerate(chart.series)
    )
    curves = "".join(_curve(i, one, x, y) for i, one in enumerate(chart.series))
    dots = "".join(f'<circle class="dot s{i}" r="4.5" visibility="hidden"/>' for i in range(len(chart.series)))
    remarks = [chart.note, "logarithmic scale" if y.log else "", "extreme values are outside" if y.cut else ""]
    note = escape("; ".join(remark for remark in remarks if remark))
    summary = ", ".join(f"{one.label} last {short(one.last)}" for one in chart.series)
    inside = f'x="{LEFT}" y="{TOP - 2}" width="{WIDTH - LEFT - RIGHT + 2}" height="{HEIGHT - TOP - BOTTOM + 4}"'
    return (
        f'<figure class="chart card"><figcaption><h3>{escape(chart.title)} <output class="when"></output></h3>'
        f'<p class="note">{note}</p><ul class="legend">{legend}</ul></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" tabindex="0" role="img" '
        f'aria-label="{escape(chart.title)} over kimg: {escape(summary)}. Use the arrow keys to read values.">'
        f'<clipPath id="clip{number}"><rect {inside}/></clipPath>{_axes(x, y)}'
        f'<g clip-path="url(#clip{number})">{curves}</g>{_event_lines(events, x)}'
        f'<line class="cursor" y1="{TOP}" y2="{HEIGHT - BOTTOM}" visibility="hidden"/>{dots}</svg>'
        f'<script type="application/json">{_data(chart, x, y)}</script></figure>'
    )
