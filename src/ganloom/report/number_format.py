"""Format numbers and durations for people, and tell what the names in a row of statistics mean."""

import math
import re
from typing import Any

CLOCK = frozenset({"kimg", "nimg", "step", "seconds", "img_per_s", "time", "tick", "partial"})
"""Names in a row that state the time, not a result."""

LOWER = ("fd", "fid", "kd", "kid", "swd", "mmd", "ppl", "fpd", "nll", "mse", "lpips", "memorised")
HIGHER = ("coverage", "density", "precision", "recall", "inception", "is", "modes", "accuracy", "psnr", "ssim", "auc")
CHANCE = 0.05
"""D is at chance if its accuracy differs from 1/2 by at most this much."""


def number(value: Any) -> float:
    """Return a finite float, or NaN for everything else: None, text, booleans, infinities."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        value = float(value)
    except OverflowError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def per_second(unit: str) -> str:
    """Return the unit of the speed: "img/s" for "images", else such as "texts/s"."""
    return "img/s" if unit == "images" else f"{unit}/s"


def short(value: Any) -> str:
    """Return a number with about three significant digits, or a dash for anything else."""
    x = number(value)
    if math.isnan(x):
        return "–"
    size = abs(x)
    if size and (size < 1e-3 or size >= 1e7):
        return f"{x:.2e}"
    if size >= 1000:
        return f"{x:,.0f}".replace(",", "\u2009")
    if 0 < size < 0.1:
        return f"{x:.3g}"
    return f"{x:.{1 if size >= 100 else 2 if size >= 1 else 3}f}"


def kimg(value: Any) -> str:
    """Return kimg without trailing zeros: 0.2, 12, 12.25, 200."""
    x = number(value)
    return "–" if math.isnan(x) else f"{x:.3f}".rstrip("0").rstrip(".")


def duration(seconds: float) -> str:
    """Return seconds in at most two units: "12 s", "3 m 20 s", "1 h 16 m", "2 d 3 h". Unknown values give "?"."""
    if not math.isfinite(seconds) or seconds < 0:
        return "?"
    whole = round(seconds)
    for size, name, part, part_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {name} {rest} {part_name}" if rest else f"{whole // size} {name}"
    return f"{whole} s"


def family(name: str) -> str:
    """Return the metric without its protocol: ``fd_fashion2k`` -> ``fd``, ``fid50k_full`` -> ``fid``."""
    return re.split(r"[_\d]", name.lower(), maxsplit=1)[0]


def is_metric(name: str) -> bool:
    """Return whether a name in a row is a metric: not a loss (which has a slash), not the time, not the machine."""
    return "/" not in name and name not in CLOCK and not name.endswith(("_mb", "_gb", "_ms", "_s"))


def better(name: str) -> int:
    """Return -1 where lower is better, +1 where higher is better, and 0 where it is unknown."""
    kind = family(name)
    return -1 if kind in LOWER else 1 if kind in HIGHER else 0


def headline(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Choose the most important numbers of a row.

    Args:
        row: One row of metrics.jsonl.

    Returns:
        (name, text) of losses, D(real), D(fake), gradient norms and metrics, at most four of each.
    """
    losses: list[tuple[str, str]] = []
    logits: list[tuple[str, str]] = []
    norms: list[tuple[str, str]] = []
    metrics: list[tuple[str, str]] = []
    for name, value in row.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        text = short(value) if math.isfinite(value) else str(value)
        net, _, term = name.rpartition("/")
        if term in ("adv", "loss") and net:
            losses.append((net, text))
        elif term.startswith("logits_"):
            logits.append((f"{net}({term.removeprefix('logits_')})", text))
        elif term == "grad_norm":
            norms.append((f"|g{net}|", text))
        elif is_metric(name):
            metrics.append((name, text))
    return [
        *sorted(losses)[:4],
        *sorted(logits, key=lambda pair: (pair[0].split("(")[0], pair[0].endswith("(fake)")))[:4],
        *sorted(norms)[:4],
        *metrics[:4],
    ]


def at_chance(row: dict[str, Any]) -> str:
    """Return a few words if the doctor measured that D cannot tell real from generated images, or always can."""
    accuracy = number(row.get("doctor/D_accuracy"))
    if abs(accuracy - 0.5) <= CHANCE:
        return f"D at chance (accuracy {accuracy:.2f}: it cannot tell real from generated)"
    return f"D almost always right (accuracy {accuracy:.3g})" if accuracy >= 0.995 else ""


def explained(name: str) -> str:
    """Say what a metric such as ``fd_random1k`` was measured with; empty for other names.

    Args:
        name: The name of a metric, with its feature net and its number of samples.
    """
    kind, _, rest = name.partition("_")
    match = re.fullmatch(r"([a-z]+)(\d+k?)", rest)
    if match is None:
        return ""
    net, count = match.groups()
    direction = {-1: "; lower is better", 1: "; higher is better", 0: ""}[better(kind)]
    features = "coordinates" if net == "points" else f"{net} features"
    return f"{features}, {count} samples{direction}"
