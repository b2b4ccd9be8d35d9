"""The failures to prevent: the data that shows each, the metric for it, and whether a method improves it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ganloom.bench.modes.benchmark import DATA, Row
from ganloom.bench.modes.cures import CURES, MAIN
from ganloom.metrics.statistics.intervals import interval

LESS = ("kl", "wander", "sure", "known")
"""Figures that should be small; the others should be large."""


@dataclass(frozen=True)
class Sickness:
    """One failure: on which data it is measured, and by which figure."""

    data: tuple[str, ...]
    """Keys of ``benchmark.DATA``, the best one first."""
    figure: str
    """A figure of ``benchmark.Row``."""
    what: str
    """What the figure measures."""
    plain: str = ""
    """The training without a cure, if it is not the ``sick`` of the data set."""

    @property
    def sick(self) -> str:
        """The training without a cure."""
        return self.plain or DATA[self.data[0]].sick


SICKNESSES: dict[str, Sickness] = {
    "mode collapse": Sickness(("grid25", "narrow"), "kl", "reverse KL to equal modes"),
    "oscillation": Sickness(
        ("steady",), "wander", "total variation between snapshots a 50th of the run apart, equal z"
    ),
    "vanishing gradients": Sickness(("far",), "quality", "good samples, with D far ahead"),
    "overfitting of few data": Sickness(
        ("few",), "known", "pairs in which D distinguishes a training point from a new one"
    ),
    "a D too sure": Sickness(("far",), "sure", "distance of D's probabilities from 1/2, times 2", "plain"),
    "bad samples": Sickness(("grid25", "narrow"), "quality", "good samples"),
    "truncation's artefacts": Sickness(("grid25", "narrow"), "truncated", "good samples with z truncated at 0.5"),
}
"""By the names in ``Cure.against``."""


def usual(data: str) -> tuple[str, ...]:
    """Choose the cures for a data set: the main ones, or those against the failure that the data set shows.

    Args:
        data: A key of ``DATA``.

    Returns:
        Names of cures.
    """
    if data not in DATA or data.startswith(("ring", "grid")):
        return MAIN
    here = {name for name, sickness in SICKNESSES.items() if data in sickness.data}
    return (DATA[data].sick, *(name for name, cure in CURES.items() if here & set(cure.against)))


@dataclass(frozen=True)
class Compared:
    """A figure with and without a cure."""

    figure: str
    difference: tuple[float, float, float]
    """With the cure minus without: the mean over seeds and its 95 % interval by Welch's t."""
    word: str
    """"helps", "hurts", "no difference shown", or why the two cannot be compared."""

    def __str__(self) -> str:
        value, low, high = (f"{x:+.3f}" for x in self.difference)
        return f"{self.word}: {self.figure} {value} [{low}, {high}]"


def welch(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    """Compute the difference of two means, for unequal variances (Welch 1947).

    Args:
        a: Two or more values.
        b: Two or more values.

    Returns:
        (mean of a minus mean of b, lower end and upper end of the 95 % interval).
    """
    means = [sum(x) / len(x) for x in (a, b)]
    shares = [sum((v - m) ** 2 for v in x) / (len(x) - 1) / len(x) for x, m in zip((a, b), means, strict=True)]
    spread, difference = math.sqrt(sum(shares)), means[0] - means[1]
    if not spread:
        return (difference,) * 3
    degrees = sum(shares) ** 2 / sum(s**2 / (len(x) - 1) for s, x in zip(shares, (a, b), strict=True))
    return (difference, *interval(difference, spread, max(2, math.floor(degrees + 1))))


def compare(row: Row, sick: Row, figure: str) -> Compared:
    """Compare a training with a cure and one without.

    Args:
        row: With the cure.
        sick: Without the cure.
        figure: The figure to compare.

    Returns:
        The comparison; "helps" and "hurts" only if 0 is outside the interval.
    """
    difference = welch(row.seeds_of(figure), sick.seeds_of(figure))
    _, low, high = difference
    if figure in ("kl", "wander") and row.figures["quality"][0] < 0.5 * sick.figures["quality"][0]:
        return Compared(figure, difference, "not comparable, few good samples")
    if low <= 0 <= high:
        return Compared(figure, difference, "no difference shown")
    return Compared(figure, difference, "helps" if (high < 0) == (figure in LESS) else "hurts")


def verdict(row: Row, rows: Sequence[Row]) -> str:
    """Compare a row with the row without a cure.

    Args:
        row: The row.
        rows: All rows of the table.

    Returns:
        The comparisons as text: by the failures that the cure is against, if the data shows them.
    """
    own = [one for one in map(SICKNESSES.__getitem__, CURES[row.cure].against) if row.data in one.data]
    pairs = [(one.sick, one.figure) for one in own] or [(DATA[row.data].sick, DATA[row.data].figure)]
    twins = {one.cure: one for one in rows if one.cure != row.cure and one.seeds > 1}
    results = [compare(row, twins[sick], figure) for sick, figure in pairs if sick in twins and row.seeds > 1]
    return "; ".join(map(str, results))


def against(rows: Sequence[Row]) -> list[str]:
    """Write a table of all cures and the failures that they are against, and a list of those that did not help.

    Args:
        rows: All rows.

    Returns:
        Lines of Markdown.
    """
    out = [
        "| against | cure | what | measured by | without | with | difference | result |",
        "|---|---|---|---|---|---|---|---|",
    ]
    failed, missing = [], []
    for name, sickness in SICKNESSES.items():
        for cure in (key for key, value in CURES.items() if name in value.against):
            pair = _pair(rows, cure, sickness)
            if pair is None:
                missing.append(f"`{cure}` ({name})")
                continue
            row, sick = pair
            result = compare(row, sick, sickness.figure)
            figures = [_cell(one.figures[sickness.figure]) for one in (sick, row)]
            out.append(
                f"| {name} | `{cure}` | {CURES[cure].title} | {sickness.what}; {row.data}, {row.steps:,} steps "
                f"| `{sick.cure}` {figures[0]} | {figures[1]} | {_cell(result.difference, '+')} | {result.word} |"
            )
            if result.word != "helps":
                failed.append(f"`{cure}` ({name}: {result.word})")
    out += ["", "Did not help here: " + ("; ".join(failed) or "none") + "."]
    return [*out, "", "Not measured: " + "; ".join(missing) + "."] if missing else out


def _pair(rows: Sequence[Row], cure: str, sickness: Sickness) -> tuple[Row, Row] | None:
    """The rows with and without a cure, with equal data, steps and seeds: those with the default steps, or the longest."""
    for data in sickness.data:
        same = [row for row in rows if row.data == data and row.seeds > 1 and row.extra]
        twins = {(row.steps, row.seeds, row.seed): row for row in same if row.cure == sickness.sick}
        cured = [row for row in same if row.cure == cure and (row.steps, row.seeds, row.seed) in twins]
        if cured:
            row = max(cured, key=lambda r: (r.steps == DATA[data].steps, r.seeds, r.steps))
            return row, twins[row.steps, row.seeds, row.seed]
    return None


def _cell(figure: tuple[float, ...], sign: str = "") -> str:
    value, low, high = (f"{x:{sign}.3f}" for x in figure)
    return f"{value} [{low}, {high}]"
