"""Draw the Dirac-GAN as an SVG: trajectories, and the distance to the equilibrium next to the theoretical rate."""

import math
from collections.abc import Sequence

from ganloom.bench.modes.dirac import STEPS, Path, Row, distance

SIDE, GAP, HEAD, COLUMNS = 150, 12, 34, 3
REACH, EARLY = 2.2, 400
FLOOR, CEILING = 1e-16, 10.0
COLOURS = {True: "#2456c4", False: "#d9711c"}
"""Alternating and simultaneous updates."""


def draw(runs: Sequence[tuple[Row, Path]]) -> str:
    """Draw all runs, one cell for each setting.

    Left: (theta, psi). Right: the distance over steps; the rate of the theory is dashed.

    Args:
        runs: (row, path) of each setting and order of updates.

    Returns:
        The SVG.
    """
    names = list(dict.fromkeys(row.setting for row, _ in runs))
    wide, high = 2 * SIDE + 3 * GAP, SIDE + HEAD + GAP
    rows = math.ceil(len(names) / COLUMNS)
    width, height = COLUMNS * wide, rows * high + 58
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11" fill="#222"><rect width="{width}" height="{height}" fill="#fff"/>',
        '<text x="12" y="20" font-size="14">Dirac-GAN: 2,000 steps of 0.1 from (1, 1)</text>',
        f'<text x="12" y="38"><tspan fill="{COLOURS[True]}">alternating</tspan> and '
        f'<tspan fill="{COLOURS[False]}">simultaneous</tspan> updates. Left: theta, psi up, -{REACH} to {REACH}, {EARLY} steps. '
        f"Right: distance from (0, 0), {FLOOR:g} to {CEILING:g}, over steps; dashed: the rate of the theory.</text>",
    ]
    for i, name in enumerate(names):
        left, top = i % COLUMNS * wide + GAP, i // COLUMNS * high + 50
        cell = [(row, path) for row, path in runs if row.setting == name]
        out.append(f'<g transform="translate({left} {top})">{_cell(name, cell)}</g>')
    return "\n".join([*out, "</svg>"]) + "\n"


def _cell(name: str, runs: Sequence[tuple[Row, Path]]) -> str:
    parts = [f'<text x="0" y="14" font-weight="bold">{name}</text>']
    verdicts = "; ".join(dict.fromkeys(row.verdict for row, _ in runs))
    parts.append(f'<text x="0" y="27" fill="#666">{verdicts}</text>')
    frame = f'<rect y="{HEAD}" width="{SIDE}" height="{SIDE}" fill="#fafaf8" stroke="#ccc"/>'
    second = SIDE + GAP
    parts.append(
        frame + f'<path d="M{SIDE / 2} {HEAD}v{SIDE}M0 {HEAD + SIDE / 2}h{SIDE}" stroke="#ddd"/>'
        f'<g transform="translate({second} 0)">{frame}</g>'
    )
    for row, path in runs:
        line = f'fill="none" stroke="{COLOURS[row.alternating]}" stroke-width="1" stroke-opacity=".8"'
        parts.append(f'<path d="{_plane(path)}" {line}/>')
        parts.append(f'<g transform="translate({second} 0)"><path d="{_decay(path)}" {line}/>')
        if row.modulus is not None:
            parts.append(f'<path d="{_theory(row, path)}" {line} stroke-dasharray="4 3"/>')
        parts.append("</g>")
    return "".join(parts)


def _polyline(points: Sequence[tuple[float, float]]) -> str:
    """An SVG path. Points less than a pixel from the last one are left out."""
    line: list[tuple[float, float]] = []
    for x, y in points:
        if not line or math.hypot(x - line[-1][0], y - line[-1][1]) >= 1:
            line.append((x, y))
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line)


def _plane(path: Path) -> str:
    """The first steps of a path, until it leaves the frame. Later steps would only thicken a circle."""
    points = []
    for theta, psi in path[:EARLY]:
        if max(abs(theta), abs(psi)) > REACH:
            break
        points.append((SIDE / 2 * (1 + theta / REACH), HEAD + SIDE / 2 * (1 - psi / REACH)))
    return _polyline(points)


def _at(step: float, far: float) -> tuple[float, float]:
    low, high = math.log10(FLOOR), math.log10(CEILING)
    level = (math.log10(min(max(far, FLOOR), CEILING)) - low) / (high - low)
    return SIDE * step / STEPS, HEAD + SIDE * (1 - level)


def _decay(path: Path) -> str:
    points = []
    for step, point in enumerate(path):
        points.append(_at(step, distance(point)))
        if not FLOOR < distance(point) < CEILING:
            break
    return _polyline(points)


def _theory(row: Row, path: Path) -> str:
    """From step 100, the distance multiplied by the factor of the theory, until it leaves the frame."""
    assert row.modulus is not None
    start = min(100, len(path) - 1)
    far = distance(path[start])
    edge = FLOOR if row.modulus < 1 else CEILING
    slope = math.log(row.modulus) if abs(row.modulus - 1) > 1e-12 else 0.0
    steps = STEPS - start
    if slope:
        steps = int(min(steps, max(0.0, math.log(edge / max(far, FLOOR)) / slope)))
    return _polyline([_at(start, far), _at(start + steps, far * math.exp(slope * steps))])
