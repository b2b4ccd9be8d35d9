"""Compare two classifiers over several trainings (seeds) and the same test images.

Both the trainings and the test images are samples: another seed gives another classifier, and another test set other
answers. McNemar's test takes the training as fixed, and a t-test over seeds takes the test images as fixed. Each ignores a
part of the variance and finds differences that the next seed or the next test set does not show. Here both are random
factors, crossed: every classifier answers for every test image. This is the design of many readers and many cases in
radiology (Dorfman, Berbaum and Metz 1992), with the degrees of freedom of Hillis (2007, Statistics in Medicine 26:596).

Let d[s, i] be the difference of two classifiers with seed s on test image i: 1 if only the first is right, -1 if only the
second is. Its mean over all is the difference D of the accuracies. With the mean squares R (seeds), C (images) and RC
(interaction) of the two-way table of S seeds and N images,

    variance of D = (R + max(C - RC, 0)) / (S N),    degrees of freedom = (R + max(C - RC, 0))^2 / (R^2 / (S - 1)),

and D / sd follows Student's t. With three seeds there are about two degrees of freedom, so an interval reaches 4.3 sd to each
side; more seeds make it shorter. The same formula gives the interval of one classifier's accuracy, with d = 1 if it is right
and 0 if not.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.value import Value

MATTERS = 0.005
"""A gain in accuracy below this, half a percentage point, counts as none."""
LEVEL = 0.05
"""Largest p-value of a difference."""


@dataclass(frozen=True)
class Mean:
    """A mean over seeds and test images.

    Attributes:
        value: the mean.
        low: lower end of the 95 % interval; -inf or the bound if it is not known.
        high: upper end.
        p: two-sided p-value of a mean of 0; None with a single seed, whose variance is not known.
        dof: degrees of freedom.
    """

    value: float
    low: float
    high: float
    p: float | None
    dof: float

    def within(self, low: float, high: float) -> Value:
        """Return the mean and its interval, clipped to the possible range."""
        return Value(self.value, max(low, self.low), min(high, self.high))


@dataclass(frozen=True)
class Verdict:
    """Whether a change helps.

    Attributes:
        word: "helps", "does not help" or "cannot tell".
        gain: mean difference of the accuracies, with its interval.
        p: two-sided p-value of no difference; None with a single seed.
        reason: why, in some words.
    """

    word: str
    gain: Value
    p: float | None
    reason: str

    def __str__(self) -> str:
        return f"{self.word}{'' if self.p is None else f', {p_text(self.p)}'} ({self.reason})"


def means_over(seeds: int, what: str) -> str:
    """Say in words what ``crossed_mean`` gives for a number of seeds; ``what``: the tested things, in the plural."""
    if seeds == 1:
        return f"one seed, 95 % intervals over test {what} only"
    return f"means of {seeds} seeds, 95 % intervals over seeds and test {what}"


def crossed_mean(values: Tensor) -> Mean:
    """Compute the mean over seeds and images with an interval for new seeds and new images.

    Args:
        values: (S, N) numbers of S seeds and N images.

    Returns:
        The mean. With one seed, the interval is that of new images alone, and there is no p-value.

    Raises:
        BadInput: there is no seed, or fewer than two images.
    """
    d = values.double()
    if d.dim() != 2 or len(d) < 1 or d.shape[1] < 2:
        raise BadInput(f"values: shape {tuple(d.shape)}; give at least one seed and two images")
    seeds, images = d.shape
    by_seed, by_image, mean = d.mean(1), d.mean(0), float(d.mean())
    if seeds == 1:
        reach = student_quantile(0.975, images - 1) * float(by_image.std()) / math.sqrt(images)
        return Mean(mean, mean - reach, mean + reach, None, float(images - 1))
    rest = d - by_seed[:, None] - by_image + mean
    rc = float(rest.square().sum()) / ((seeds - 1) * (images - 1))
    r = images * float(by_seed.var())
    total = r + max(seeds * float(by_image.var()) - rc, 0.0)
    if total <= 0:  # all values are equal
        return Mean(mean, mean, mean, 1.0 if mean == 0 else 0.0, math.inf)
    dof = total**2 / (r**2 / (seeds - 1)) if r > 0 else math.inf
    sd = math.sqrt(total / (seeds * images))
    reach = student_quantile(0.975, dof) * sd
    return Mean(mean, mean - reach, mean + reach, student_p(mean / sd, dof), dof)


def judge(changed: Tensor, plain: Tensor) -> Verdict:
    """Say whether a change of the training data helps.

    "helps": the accuracy is higher and p is below 0.05. "does not help": the 95 % interval of the gain ends below half a
    percentage point. "cannot tell": neither, or there is only one seed.

    Args:
        changed: (S, N) whether the classifier with the change is right, for each seed and test image.
        plain: (S, N) the same for the classifier without it, with the same seeds and images.

    Returns:
        The verdict.

    Raises:
        BadInput: the shapes differ.
    """
    if changed.shape != plain.shape:
        raise BadInput(f"answers of shape {tuple(changed.shape)} and {tuple(plain.shape)} cannot be compared in pairs")
    mean = crossed_mean(changed.double() - plain.double())
    gain = mean.within(-1.0, 1.0)
    points = (
        f"{100 * mean.value:+.1f} points, 95 % interval {100 * (gain.low or 0):+.1f} to {100 * (gain.high or 0):+.1f}"
    )
    if mean.p is None:
        return Verdict("cannot tell", gain, None, f"{points} for new test images; one seed does not show the rest")
    if mean.value > 0 and mean.p < LEVEL:
        return Verdict("helps", gain, mean.p, points)
    if mean.high < MATTERS:
        return Verdict("does not help", gain, mean.p, points)
    return Verdict("cannot tell", gain, mean.p, points)


def p_text(p: float) -> str:
    """Return a p-value as text."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


# -------------------------------------------------------------------------------------------------- Student's t


def student_p(t: float, dof: float) -> float:
    """Compute the two-sided p-value of Student's t, for any degrees of freedom above 0."""
    if math.isinf(dof) or dof > 1e7:
        return math.erfc(abs(t) / math.sqrt(2))
    return _incomplete_beta(dof / 2, 0.5, dof / (dof + t * t))


def student_quantile(level: float, dof: float) -> float:
    """Compute the quantile of Student's t for a level of 0.5 or more, by bisection."""
    low, high = 0.0, 1.0
    while student_p(high, dof) > 2 * (1 - level):
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_p(middle, dof) > 2 * (1 - level) else (low, middle)
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    tiny = 1e-300
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    fraction = d
    for m in range(1, 2000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = fraction
        for step in (even, odd):
            d = 1 / ((1 + step * d) or tiny)
            c = (1 + step / c) or tiny
            fraction *= d * c
        if abs(fraction - before) < 1e-15 * abs(fraction):
            break
    return math.exp(scale) * fraction / a
