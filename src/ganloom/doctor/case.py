"""The input of a rule (``Case``) and the rule itself (``Rule``)."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganloom.doctor.finding import Facts, Finding, command

Row = Mapping[str, Any]
NOTHING_KNOWN = Facts()
EARLY, RECENT = 50, 500
"""The rules read this many first and last rows, so that a long run costs no more at each tick."""
LOOK = "doctor/"
"""Prefix of the doctor's figures in a row of metrics.jsonl."""
CHART_POINTS = 60
"""Most points of a curve in a finding."""


@dataclass(frozen=True)
class Case:
    """What a rule receives.

    Attributes:
        probes: The rows that hold figures of a probe, oldest first.
        rows: All rows of the training, oldest first.
        facts: What does not change during the run.
    """

    probes: Sequence[Row]
    rows: Sequence[Row]
    facts: Facts

    def now(self, name: str) -> float:
        """Return a figure of the newest probe, NaN if it is missing."""
        return number(self.probes[-1].get(LOOK + name)) if self.probes else math.nan

    def past(self, name: str) -> list[float]:
        """Return a figure of all probes that have it, oldest first."""
        return [v for row in self.probes if not math.isnan(v := number(row.get(LOOK + name)))]

    def row(self, name: str) -> float:
        """Return a statistic of the newest training row, NaN if it is missing."""
        return number(self.rows[-1].get(name)) if self.rows else math.nan

    @property
    def kimg(self) -> float:
        """Real images shown to D so far, in thousands."""
        return number(self.rows[-1].get("kimg")) if self.rows else 0.0

    @property
    def steps(self) -> float:
        """Training steps so far."""
        return number(self.rows[-1].get("step")) if self.rows else 0.0

    def series(self, *names: str) -> dict[str, list[tuple[float, float]]]:
        """Return curves for a chart.

        Args:
            names: Names of statistics; those that start with ``doctor/`` are read from the probes.

        Returns:
            name -> list of (kimg, value), thinned to at most 60 points. Names without values are left out.
        """
        curves = {}
        for name in names:
            rows = self.probes if name.startswith(LOOK) else self.rows
            points = [(number(r.get("kimg")), v) for r in rows if not math.isnan(v := number(r.get(name)))]
            step = max(1, math.ceil(len(points) / CHART_POINTS))
            curves[name] = points[::-1][::step][::-1]
        return {name: points for name, points in curves.items() if points}

    def advise(self, change: Mapping[str, Any]) -> str:
        """Return the command that starts the same training with ``change`` applied."""
        return command(self.facts, change)


def number(value: Any) -> float:
    """Return ``value`` as a float, NaN if it is not a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        find: Function of a ``Case`` that yields findings.
        sure: Whether one probe is enough. Otherwise the finding must appear at two probes in a row.
        explains: Names of the findings that this rule's finding can cause.
        raises: Whether a red finding of this rule makes its causes red. Facts of the data do not.
    """

    find: Callable[[Case], Iterator[Finding]]
    sure: bool = False
    explains: tuple[str, ...] = ()
    raises: bool = True


def finite(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures without NaN and infinity."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}
