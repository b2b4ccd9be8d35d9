"""Which curves a run has, how they are grouped into charts, and how long ones are thinned."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganloom.report.figures import CLOCK, better, family, is_metric, number

Point = tuple[float, float]
"""(kimg, value); a NaN value is a gap in the curve."""

MAX_POINTS = 500
MAX_SERIES = 6
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
    """One named curve, already thinned; ``last`` is its newest finite value."""

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
    """At most about ``limit`` points that keep the first, the last, each gap's place, and each stretch's extremes."""
    if len(points) <= limit:
        return list(points)
    inner = points[1:-1]
    buckets = (limit - 2) // 3  # lowest, highest and, where there is one, a gap
    kept = [points[0]]
    for b in range(buckets):
        start, end = b * len(inner) // buckets, (b + 1) * len(inner) // buckets
        stretch = range(start, end)
        finite = [i for i in stretch if not math.isnan(inner[i][1])]
        chosen = {i for i in stretch if math.isnan(inner[i][1])}
        chosen = {min(chosen)} if chosen else set()
        if finite:
            chosen |= {min(finite, key=lambda i: inner[i][1]), max(finite, key=lambda i: inner[i][1])}
        kept += [inner[i] for i in sorted(chosen)]
    return [*kept, points[-1]]


def curve(rows: Sequence[dict[str, Any]], name: str) -> list[Point]:
    """The values of ``name`` over kimg; rows without the name are passed over, bad values are gaps."""
    return [(row["kimg"], number(row[name])) for row in rows if name in row]


LOOKED = ("diversity", "duplicates", "coverage", "precision", "D_accuracy", "D_overlap")
"""Of the doctor's figures those that are drawn; the others stand in metrics.jsonl."""


def _group(name: str) -> str:
    """The chart that a curve belongs to."""
    net, _, term = name.rpartition("/")
    if net == "doctor":
        return "looks"
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
    order = ("losses", "logits", "metric", "looks", "gradients", "terms", "rates", "speed", "machine")
    return order.index(group.split()[0])


def _title(group: str) -> tuple[str, str]:
    """A chart's title and what to make of it."""
    kind, _, what = group.partition(" ")
    if kind == "metric":
        way = {-1: "lower is better", 1: "higher is better", 0: ""}[1 if what == "fidelity" else better(what)]
        return TITLES.get(what, what), way
    if kind == "machine":
        return what, ""
    return {
        "losses": ("Losses", "a loss that falls says little in a GAN: watch the samples and the metrics"),
        "logits": ("Discriminator's logits", "mean before the sigmoid; curves that part for good mean D has won"),
        "looks": (
            "The doctor's looks",
            "variety and copies of few samples, how often D is right, how much its logits overlap",
        ),
        "gradients": ("Gradient norms", "of each network's loss, before clipping"),
        "terms": ("Other terms", "penalties and what else the recipe logs"),
        "rates": ("Learning rates", ""),
        "speed": ("Speed", "real images a second"),
    }[kind]


def label(name: str, group: str) -> str:
    """How the legend calls a curve."""
    net, _, term = name.rpartition("/")
    if group == "logits" and term.startswith("logits_"):
        return f"{net}({term.removeprefix('logits_')})"
    if group == "looks":
        return term
    return net if group in ("losses", "gradients") and term in ("adv", "grad_norm") else name


def charts(rows: Sequence[dict[str, Any]]) -> list[Chart]:
    """All curves of a run, grouped; a group of more than six curves is spread over several charts."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        drawn = name == "img_per_s" or name not in CLOCK
        drawn = drawn and (not name.startswith("doctor/") or name.removeprefix("doctor/") in LOOKED)
        if drawn and any(not math.isnan(y) for _, y in curve(rows, name)):
            groups.setdefault(_group(name), []).append(name)
    found = []
    for group in sorted(groups, key=_rank):
        names = sorted(groups[group], key=lambda n: (n.rpartition("/")[0], n.endswith("fake")))
        title, note = _title(group)
        for start in range(0, len(names), MAX_SERIES):
            chunk = [_series(rows, name, group) for name in names[start : start + MAX_SERIES]]
            more = f" ({start // MAX_SERIES + 1})" if len(names) > MAX_SERIES else ""
            found.append(Chart(title + more, note, chunk, from_zero=group == "speed"))
    return found


def _series(rows: Sequence[dict[str, Any]], name: str, group: str) -> Series:
    points = curve(rows, name)
    last = next(y for _, y in reversed(points) if not math.isnan(y))
    return Series(name, label(name, group), thin(points), last)
