"""Figures as people read them: short numbers, durations, and what the names in a row of statistics mean."""

import math
import re
from typing import Any

CLOCK = frozenset({"kimg", "nimg", "step", "seconds", "img_per_s", "time", "tick", "partial"})
"""Names in a row that say when it was, not how it went."""

LOWER = ("fd", "fid", "kd", "kid", "swd", "mmd", "ppl", "fpd", "nll", "mse", "lpips", "memorised")
HIGHER = ("coverage", "density", "precision", "recall", "inception", "is", "modes", "accuracy", "psnr", "ssim", "auc")


def number(value: Any) -> float:
    """A finite float, or NaN for everything else: None, text, truth values, infinities."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        value = float(value)
    except OverflowError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def short(value: Any) -> str:
    """A number in about four characters that matter; a dash where there is none."""
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
    """The clock without needless digits: 0.2, 12, 12.25, 200."""
    x = number(value)
    return "–" if math.isnan(x) else f"{x:.3f}".rstrip("0").rstrip(".")


def duration(seconds: float) -> str:
    """Two units of time at most: "12 s", "3 m 20 s", "1 h 16 m", "2 d 3 h"; "?" where unknown."""
    if not math.isfinite(seconds) or seconds < 0:
        return "?"
    whole = round(seconds)
    for size, name, part, part_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {name} {rest} {part_name}" if rest else f"{whole // size} {name}"
    return f"{whole} s"


def family(name: str) -> str:
    """The metric without its protocol: ``fd_fashion2k`` -> ``fd``, ``fid50k_full`` -> ``fid``."""
    return re.split(r"[_\d]", name.lower(), maxsplit=1)[0]


def is_metric(name: str) -> bool:
    """Whether a row's name is a measured metric: no phase before a slash, not the clock, not the machine."""
    return "/" not in name and name not in CLOCK and not name.endswith(("_mb", "_gb", "_ms", "_s"))


def better(name: str) -> int:
    """-1 where lower is better, +1 where higher is, 0 where nobody says."""
    kind = family(name)
    return -1 if kind in LOWER else 1 if kind in HIGHER else 0


def headline(row: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures of a row worth a line: losses, D(real), D(fake), gradient norms, then metrics, as (name, text)."""
    known: list[list[tuple[str, str]]] = [[], [], [], []]
    for name, value in row.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        said = short(value) if math.isfinite(value) else str(value)
        net, _, term = name.rpartition("/")
        if term in ("adv", "loss") and net:
            known[0].append((net, said))
        elif term.startswith("logits_"):
            known[1].append((f"{net}({term.removeprefix('logits_')})", said))
        elif term == "grad_norm":
            known[2].append((f"|g{net}|", said))
        elif is_metric(name):
            known[3].append((name, said))
    return [
        *sorted(known[0])[:4],
        *sorted(known[1], key=lambda pair: (pair[0].split("(")[0], pair[0].endswith("(fake)")))[:4],
        *sorted(known[2])[:4],
        *known[3][:4],
    ]
