"""Draw the benchmark as an SVG: NLL_oracle over NLL_test, the curves of maximum likelihood, and a mark for each model."""

from collections.abc import Sequence
from html import escape

from ganloom.bench.text.benchmark import BASELINE, Point, Row
from ganloom.report.chart_svg import Axis

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 460, 70, 190, 56, 52
COLOURS = {"mle": "#555", "seqgan": "#d9711c", "relgan": "#2456c4", "maligan": "#8a3fb0", "residual-energy": "#1d8a4c"}


def draw(rows: Sequence[Row]) -> str:
    """Draw the rows. Lower left is better; a model to the lower left of its curve gains.

    Args:
        rows: The models, at least one.

    Returns:
        The SVG.
    """
    shown = [point for row in rows for point in row.points if _near(row, rows, point)]
    xs, ys = [p.test.value for p in shown], [p.oracle.value for p in shown]
    x, y = _axis(xs, LEFT, WIDTH - RIGHT), _axis(ys, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" '
        f'fill="#222"><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        '<text x="12" y="22" font-size="15">Text models on sequences of the oracle</text>',
        '<text x="12" y="40" fill="#555">nats per token, with standard errors. Down: better samples. Left: more of the true '
        "sequences are probable.</text>",
        _axes(x, y),
    ]
    names: list[str] = []
    for row in rows:
        colour = COLOURS.get(row.recipe, "#b02a4c")
        if row.recipe == BASELINE:
            near = sorted((p for p in row.points if _near(row, rows, p)), key=lambda p: -p.temperature)
            line = "M" + "L".join(f"{x.at(p.test.value):g} {y.at(p.oracle.value):g}" for p in near)
            dash = "" if row.hidden == rows[0].hidden else ' stroke-dasharray="5 4"'
            parts.append(f'<path d="{line}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>')
            parts += [_mark(p, x, y, colour, f"T {p.temperature:g}") for p in near]
        else:
            parts.append(_mark(row.points[0], x, y, colour, row.recipe, 5.0))
        name = f"{row.recipe}, width {row.hidden}"
        if name not in names:
            names.append(name)
            at = TOP + 10 + 20 * (len(names) - 1)
            parts.append(f'<circle cx="{WIDTH - RIGHT + 24}" cy="{at - 4}" r="5" fill="{colour}"/>')
            parts.append(f'<text x="{WIDTH - RIGHT + 36}" y="{at}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _near(row: Row, rows: Sequence[Row], point: Point) -> bool:
    """Whether a point is shown: of the curves, only what is not far beyond the models."""
    others = [p.test.value for other in rows if other.recipe != BASELINE for p in other.points]
    lowest = min(p.test.value for p in row.points)
    return row.recipe != BASELINE or point.test.value <= max([*others, lowest]) + 0.3


def _axis(values: Sequence[float], start: float, end: float) -> Axis:
    low, high = min(values), max(values)
    margin = (high - low) * 0.06 or 0.1
    return Axis(low - margin, high + margin, start, end)


def _axes(x: Axis, y: Axis) -> str:
    base, parts = HEIGHT - BOTTOM, []
    for value, text in x.ticks(6):
        at = x.at(value)
        parts.append(f'<path d="M{at:g} {TOP}V{base + 4}" stroke="#e4e4e0"/>')
        parts.append(f'<text x="{at:g}" y="{base + 18}" text-anchor="middle">{text}</text>')
    for value, text in y.ticks(6):
        at = y.at(value)
        parts.append(f'<path d="M{LEFT - 4} {at:g}H{WIDTH - RIGHT}" stroke="#e4e4e0"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:g}" text-anchor="end">{text}</text>')
    middle = (TOP + base) / 2
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:g}" y="{HEIGHT - 12}" text-anchor="middle">NLL_test</text>')
    parts.append(f'<text transform="translate(18 {middle:g}) rotate(-90)" text-anchor="middle">NLL_oracle</text>')
    return "".join(parts)


def _mark(point: Point, x: Axis, y: Axis, colour: str, title: str, radius: float = 3.0) -> str:
    at, up = x.at(point.test.value), y.at(point.oracle.value)
    low, high = (y.at(point.oracle.value + sign * point.oracle.error) for sign in (-1, 1))
    label = f"{title}: NLL_oracle {point.oracle.value:.3f}, NLL_test {point.test.value:.3f}"
    return (
        f'<g fill="{colour}" stroke="{colour}"><title>{escape(label)}</title><path d="M{at:g} {low:g}V{high:g}"/>'
        f'<circle cx="{at:g}" cy="{up:g}" r="{radius:g}" stroke="none"/></g>'
    )
