"""A number with its 95 % interval."""

from dataclasses import dataclass

from torch import Tensor

from ganloom.metrics.statistics.intervals import interval


@dataclass(frozen=True)
class Value:
    """A number, its 95 % interval, and for some metrics a published spread.

    Attributes:
        value: the number.
        low: lower end of the interval, None without an interval.
        high: upper end.
        sd: standard deviation between subsets (kd) or parts (is), as published. It is not the error of the number.
    """

    value: float
    low: float | None = None
    high: float | None = None
    sd: float | None = None

    @classmethod
    def mean_of(cls, values: Tensor) -> "Value":
        """The mean of independent values (N,) and its 95 % interval by Student's t; without an interval for N = 1."""
        x = values.double()
        if len(x) < 2:
            return cls(float(x.mean()))
        return cls(float(x.mean()), *interval(float(x.mean()), float(x.std()) / len(x) ** 0.5, len(x)))

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return _short(self.value)
        return f"{_short(self.value)} [{_short(self.low)}, {_short(self.high)}]"


def _short(x: float) -> str:
    """Three significant figures, without exponents in the usual range."""
    return f"{x:.3f}" if abs(x) < 10 else f"{x:.1f}" if abs(x) < 1000 else f"{x:.0f}"
