"""Choose the curves of a report, group them into charts, and thin long ones. `chart_svg` draws them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganloom.report.number_format import CLOCK, better, family, is_metric, number

Point = tuple[float, float]
"""(kimg, value). A value of NaN is a gap in the curve."""

MAX_POINTS = 500
"""About the most points of a curve."""
MAX_SERIES = 6
"""Most curves in a chart."""
TITLES = {
    "fd": "Fréchet distance",
    "fid": "Fréchet Inception distance",
    "kd": "Kernel distance",
    "kid": "Kernel Inception distance",
    "fidelity": "Fidelity and coverage",
}
FIDELITY = ("precision", "recall", "density", "coverage")


@dataclass(frozen=True)
class Series:
    """One named curve, already thinned. ``last`` is its newest finite value."""

    name: str
    label: str
    points: list[Point]
    last: float


@dataclass(frozen=True)
class Chart:
    """Curves that share their axes."""

    title: str
    note: str
    series: list[Series]
    from_zero: bool = False


def thin(points: Sequence[Point], limit: int = MAX_POINTS) -> list[Point]:
    """Thin a curve.

    Args:
        points: The curve.
        limit: About the most points of the result.

    Returns:
        Points that keep the first and the last one, gaps, and the lowest and highest value of each interval.
    """
    if len(points) <= limit:
        return list(points)
    inner = points[1:-1]
    buckets = (limit - 2) // 3  # each keeps its lowest, its highest and one gap
    result = [points[0]]
    for b in range(buckets):
        start, end = b * len(inner) // buckets, (b + 1) * len(inner) // buckets
        finite = [i for i in range(start, end) if not math.isnan(inner[i][1])]
        chosen = {i for i in range(start, end) if math.isnan(inner[i][1])}
        chosen = {min(chosen)} if chosen else set()
        if finite:
            chosen |= {min(finite, key=lambda i: inner[i][1]), max(finite, key=lambda i: inner[i][1])}
        result += [inner[i] for i in sorted(chosen)]
    return [*result, points[-1]]


def curve(rows: Sequence[dict[str, Any]], name: str) -> list[Point]:
    """Return the values of ``name`` over kimg. Rows without the name are skipped; values that are not finite are gaps."""
    return [(row["kimg"], number(row[name])) for row in rows if name in row]


DOCTOR_CURVES = ("diversity", "duplicates", "coverage", "precision", "D_accuracy", "D_overlap")
"""The doctor's statistics that are drawn. The others are only in metrics.jsonl."""


def _group(name: str) -> str:
    """Return the chart that a curve belongs to."""
    net, _, term = name.rpartition("/")
    if net == "doctor":
        return "doctor"
    if not net:
        if name == "img_per_s":
            return "speed"
        kind = family(name)
        return "metric fidelity" if kind in FIDELITY else f"metric {kind}" if is_metric(name) else f"machine {name}"
    if "logits" in term:
        return "logits"
    if "grad_norm" in term:
        return "gradients"
    if net == "lr" or term == "lr":
        return "rates"
    return "losses" if term in ("adv", "loss", "total") else "terms"


def _rank(group: str) -> int:
    order = ("losses", "logits", "metric", "doctor", "gradients", "terms", "rates", "speed", "machine")
    return order.index(group.split()[0])


def _title(group: str, unit: str) -> tuple[str, str]:
    """Return a chart's title and how to read it."""
    kind, _, what = group.partition(" ")
    if kind == "metric":
        direction = 1 if what == "fidelity" else better(what)
        return TITLES.get(what, what), {-1: "lower is better", 1: "higher is better", 0: ""}[direction]
    if kind == "machine":
        return what, ""
    return {
        "losses": ("Losses", "a falling loss says little in a GAN: watch the samples and the metrics"),
        "logits": ("Discriminator's logits", "mean before the sigmoid; if the curves stay far apart, D has won"),
        "doctor": (
            "The doctor's checks",
            "variety and duplicates in a few samples, accuracy of D, overlap of its logits",
        ),
        "gradients": ("Gradient norms", "of each network's loss, before clipping"),
        "terms": ("Other terms", "penalties and other values that the recipe logs"),
        "rates": ("Learning rates", ""),
        "speed": ("Speed", f"real {unit} per second"),
    }[kind]


def label(name: str, group: str) -> str:
    """Return the name of a curve in the legend of its chart ``group``."""
    net, _, term = name.rpartition("/")
    if group == "logits" and term.startswith("logits_"):
        return f"{net}({term.removeprefix('logits_')})"
    if group == "doctor":
        return term
    return net if group in ("losses", "gradients") and term in ("adv", "grad_norm") else name


def charts(rows: Sequence[dict[str, Any]], unit: str = "images") -> list[Chart]:
    """Group all curves of a run into charts.

    Args:
        rows: The rows of metrics.jsonl, each with "kimg".
        unit: What a row of the data is, see ``Data``.

    Returns:
        The charts in the order of the page. A group of more than `MAX_SERIES` curves is spread over several charts.
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        shown = name == "img_per_s" or name not in CLOCK
        shown = shown and (not name.startswith("doctor/") or name.removeprefix("doctor/") in DOCTOR_CURVES)
        if shown and any(not math.isnan(y) for _, y in curve(rows, name)):
            groups.setdefault(_group(name), []).append(name)
    result = []
    for group in sorted(groups, key=_rank):
        names = sorted(groups[group], key=lambda n: (n.rpartition("/")[0], n.endswith("fake")))
        title, note = _title(group, unit)
        for start in range(0, len(names), MAX_SERIES):
            chunk = [_series(rows, name, group) for name in names[start : start + MAX_SERIES]]
            more = f" ({start // MAX_SERIES + 1})" if len(names) > MAX_SERIES else ""
            result.append(Chart(title + more, note, chunk, from_zero=group == "speed"))
    return result


def _series(rows: Sequence[dict[str, Any]], name: str, group: str) -> Series:
    points = curve(rows, name)
    last = next(y for _, y in reversed(points) if not math.isnan(y))
    return Series(name, label(name, group), thin(points), last)
