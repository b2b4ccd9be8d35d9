"""What each cure is said to cure: data on which the uncured has it, the figure that shows it, and what the cure does to it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ganloom.bench.modes.benchmark import DATA, Row
from ganloom.bench.modes.cures import CURES, MAIN
from ganloom.metrics.statistics.intervals import interval

LESS = ("kl", "wander", "sure", "known")
"""Figures that a cure makes smaller; the others it makes larger."""


@dataclass(frozen=True)
class Sickness:
    """Where it is measured and by what."""

    data: tuple[str, ...]
    """Keys of `modes.DATA`, the best first; the uncured is that data's ``sick``."""
    figure: str
    """A figure of `modes.Row`."""
    what: str
    """What the figure says."""
    plain: str = ""
    """The uncured, where it is not that data's ``sick``."""

    @property
    def sick(self) -> str:
        """The cure that is none."""
        return self.plain or DATA[self.data[0]].sick


SICKNESSES: dict[str, Sickness] = {
    "mode collapse": Sickness(("grid25", "narrow"), "kl", "reverse KL to equal modes"),
    "oscillation": Sickness(("steady",), "wander", "total variation between looks a 50th of the run apart, equal z"),
    "vanishing gradients": Sickness(("far",), "quality", "good samples, D being far ahead"),
    "overfitting of few data": Sickness(("few",), "known", "pairs in which D tells a training point from a fresh one"),
    "a D too sure": Sickness(("far",), "sure", "distance of D's probabilities from 1/2, times 2", "plain"),
    "bad samples": Sickness(("grid25", "narrow"), "quality", "good samples"),
    "truncation's artefacts": Sickness(("grid25", "narrow"), "truncated", "good samples where z is cut at 0.5"),
}
"""By the names that ``Cure.against`` uses."""


def usual(data: str) -> tuple[str, ...]:
    """The cures to measure on a data set: the main ones, or where it shows one sickness those said to cure that."""
    if data not in DATA or data.startswith(("ring", "grid")):
        return MAIN
    here = {name for name, sickness in SICKNESSES.items() if data in sickness.data}
    return (DATA[data].sick, *(cure for cure, said in CURES.items() if here & set(said.against)))


@dataclass(frozen=True)
class Compared:
    """A cure's figure beside its uncured twin's."""

    figure: str
    difference: tuple[float, float, float]
    """Cured less uncured: mean over seeds, and its 95 % interval by Welch's t."""
    word: str
    """"helps", "hurts", "no difference shown", or why the two are not comparable."""

    def __str__(self) -> str:
        value, low, high = (f"{x:+.3f}" for x in self.difference)
        return f"{self.word}: {self.figure} {value} [{low}, {high}]"


def welch(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    """Mean of a less mean of b and its 95 % interval, the two varying differently (Welch 1947); 2 values or more each."""
    means = [sum(x) / len(x) for x in (a, b)]
    shares = [sum((v - m) ** 2 for v in x) / (len(x) - 1) / len(x) for x, m in zip((a, b), means, strict=True)]
    spread, difference = math.sqrt(sum(shares)), means[0] - means[1]
    if not spread:
        return (difference,) * 3
    degrees = sum(shares) ** 2 / sum(s**2 / (len(x) - 1) for s, x in zip(shares, (a, b), strict=True))
    return (difference, *interval(difference, spread, max(2, math.floor(degrees + 1))))


def compare(row: Row, sick: Row, figure: str) -> Compared:
    """``row`` beside ``sick``, which was trained without the cure; "helps" and "hurts" only where 0 is out of the interval."""
    difference = welch(row.seeds_of(figure), sick.seeds_of(figure))
    _, low, high = difference
    if figure in ("kl", "wander") and row.figures["quality"][0] < 0.5 * sick.figures["quality"][0]:
        return Compared(figure, difference, "not comparable, few good samples")
    if low <= 0 <= high:
        return Compared(figure, difference, "no difference shown")
    return Compared(figure, difference, "helps" if (high < 0) == (figure in LESS) else "hurts")


def verdict(row: Row, rows: Sequence[Row]) -> str:
    """What a row of a table says beside the uncured one among ``rows``: by its own sickness where the data shows that."""
    own = [one for one in map(SICKNESSES.__getitem__, CURES[row.cure].against) if row.data in one.data]
    asked = [(one.sick, one.figure) for one in own] or [(DATA[row.data].sick, DATA[row.data].figure)]
    twins = {one.cure: one for one in rows if one.cure != row.cure and one.seeds > 1}
    found = [compare(row, twins[sick], figure) for sick, figure in asked if sick in twins and row.seeds > 1]
    return "; ".join(map(str, found))


def against(rows: Sequence[Row]) -> list[str]:
    """Markdown: every cure with each sickness that it is said to cure, from all rows; then what did not help."""
    out = [
        "| said to cure | cure | what | measured by | uncured | cured | difference | so |",
        "|---|---|---|---|---|---|---|---|",
    ]
    failed, missing = [], []
    for name, sickness in SICKNESSES.items():
        for cure in (one for one, said in CURES.items() if name in said.against):
            pair = _pair(rows, cure, sickness)
            if pair is None:
                missing.append(f"`{cure}` ({name})")
                continue
            row, sick = pair
            found = compare(row, sick, sickness.figure)
            figures = [_cell(one.figures[sickness.figure]) for one in (sick, row)]
            out.append(
                f"| {name} | `{cure}` | {CURES[cure].title} | {sickness.what}; {row.data}, {row.steps:,} steps "
                f"| `{sick.cure}` {figures[0]} | {figures[1]} | {_cell(found.difference, '+')} | {found.word} |"
            )
            if found.word != "helps":
                failed.append(f"`{cure}` ({name}: {found.word})")
    out += ["", "Did not help here: " + ("; ".join(failed) or "none") + "."]
    return [*out, "", "Not measured: " + "; ".join(missing) + "."] if missing else out


def _pair(rows: Sequence[Row], cure: str, sickness: Sickness) -> tuple[Row, Row] | None:
    """The cure's row and its uncured twin's of the same data, steps and seeds: those of the usual steps, or the longest."""
    for data in sickness.data:
        same = [row for row in rows if row.data == data and row.seeds > 1 and row.extra]
        twins = {(row.steps, row.seeds, row.seed): row for row in same if row.cure == sickness.sick}
        mine = [row for row in same if row.cure == cure and (row.steps, row.seeds, row.seed) in twins]
        if mine:
            row = max(mine, key=lambda r: (r.steps == DATA[data].steps, r.seeds, r.steps))
            return row, twins[row.steps, row.seeds, row.seed]
    return None


def _cell(figure: tuple[float, ...], sign: str = "") -> str:
    value, low, high = (f"{x:{sign}.3f}" for x in figure)
    return f"{value} [{low}, {high}]"
