"""What a rule of the doctor sees, and what a rule is."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganloom.doctor.finding import Facts, Finding, command

Row = Mapping[str, Any]
NOTHING_KNOWN = Facts()
EARLY, RECENT = 50, 500
"""Rows from the beginning and the end that a verdict rests on, so that a long run's ticks stay cheap."""
LOOK = "doctor/"
"""Before the names of a probe's figures in a row."""


@dataclass(frozen=True)
class Case:
    """What a rule sees: the rows that hold a probe, all rows, the facts."""

    looks: Sequence[Row]
    rows: Sequence[Row]
    facts: Facts

    def now(self, name: str) -> float:
        """A figure of the newest probe, NaN where there is none."""
        return number(self.looks[-1].get(LOOK + name)) if self.looks else math.nan

    def past(self, name: str) -> list[float]:
        """A figure over all probes, oldest first."""
        return [v for row in self.looks if not math.isnan(v := number(row.get(LOOK + name)))]

    def row(self, name: str) -> float:
        """A statistic of the newest row of training."""
        return number(self.rows[-1].get(name)) if self.rows else math.nan

    @property
    def kimg(self) -> float:
        """When it is."""
        return number(self.rows[-1].get("kimg")) if self.rows else 0.0

    @property
    def steps(self) -> float:
        """Steps taken."""
        return number(self.rows[-1].get("step")) if self.rows else 0.0

    def series(self, *names: str) -> dict[str, list[tuple[float, float]]]:
        """Curves of figures, thinned to 60 points."""
        found = {}
        for name in names:
            rows = self.looks if name.startswith(LOOK) else self.rows
            points = [(number(r.get("kimg")), v) for r in rows if not math.isnan(v := number(r.get(name)))]
            step = max(1, math.ceil(len(points) / 60))
            found[name] = points[::-1][::step][::-1]
        return {name: points for name, points in found.items() if points}

    def advise(self, change: Mapping[str, Any]) -> str:
        """The command that trains with a change."""
        return command(self.facts, change)


def number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


@dataclass(frozen=True)
class Rule:
    """``sure``: one look is enough; otherwise two in a row must agree. ``explains``: names of findings it causes."""

    find: Callable[[Case], Iterator[Finding]]
    sure: bool = False
    explains: tuple[str, ...] = ()


def finite(figures: Mapping[str, float]) -> dict[str, float]:
    """Without NaN and infinity."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}
