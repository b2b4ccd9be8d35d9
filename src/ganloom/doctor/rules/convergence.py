"""Rules on convergence: NaN, weights that grow without bound, losses that oscillate, dead channels."""

import math
from collections.abc import Iterator, Sequence

from ganloom.doctor.case import Case, number
from ganloom.doctor.finding import RED, YELLOW, Finding
from ganloom.doctor.rules.remedies import lower_rates, weaker_d


def nan_samples(case: Case) -> Iterator[Finding]:
    """Find samples with NaN or infinity."""
    if case.now("samples_bad") > 0:
        change = lower_rates(case, 0.1)
        text = "The training has diverged. G's samples contain NaN or infinity."
        advice = f"Go back to an earlier checkpoint, or lower the learning rates: {case.advise(change)}"
        yield Finding("diverged", RED, text, advice, {}, change=change)


def nan_training(case: Case) -> Finding:
    """Return the finding of a run that ended with a NaN or an infinity."""
    change = lower_rates(case, 0.1)
    text = "The training has diverged. It stopped at a gradient that was NaN or infinite."
    return Finding("diverged", RED, text, f"Lower the learning rates: {case.advise(change)}", {}, {}, change)


def growing_weights(case: Case) -> Iterator[Finding]:
    """Find weights that keep growing: 10 times their size at the first probe (healthy runs stay below 4, measured)."""
    for net in ("D", "G"):
        past = case.past(f"{net}_weights")
        if len(past) > 2 and past[-1] > 10 * past[0] and past[-1] > 1.02 * past[-2]:
            growth = past[-1] / past[0]
            text = f"{net}'s weights keep growing. They are {growth:.1f} times as large as at the first probe."
            change = lower_rates(case, 0.5)
            yield Finding(
                "not converging", RED, text, f"Lower the learning rates: {case.advise(change)}", {"growth": growth},
                case.series(f"doctor/{net}_weights"), change,
            )  # fmt: skip
            return


def oscillating_losses(case: Case) -> Iterator[Finding]:
    """Find losses of D and G that oscillate against each other with a growing amplitude.

    The signal is D's loss minus G's loss without its linear trend. Its autocorrelation must fall below -0.5 (the
    oscillation is periodic), and its second half must be wider than the first (Mescheder et al. 2018, arXiv:1801.04406:
    cycles that do not shrink).
    """
    difference = [
        a - b
        for r in case.rows
        if not math.isnan(a := number(r.get("D/adv"))) and not math.isnan(b := number(r.get("G/adv")))
    ]
    if len(difference) < 16:
        return
    signal = _detrended(difference[-64:])
    half = len(signal) // 2
    early, late = _rms(signal[:half]), _rms(signal[half:])
    lowest, lag = min((_autocorrelation(signal, lag), lag) for lag in range(2, half))
    if lowest < -0.5 and late > 1.5 * early and late > 0.5:
        kimg = number(case.rows[-1].get("kimg")) - number(case.rows[-len(signal)].get("kimg"))
        period = 2 * lag * (kimg / max(1, len(signal) - 1))
        text = (
            "The losses of D and G oscillate against each other, and the amplitude grows. "
            f"The period is {period:.3g} kimg; the amplitude grew {late / max(early, 1e-9):.2g}-fold."
        )
        change = weaker_d(case)
        yield Finding(
            "not converging", YELLOW, text, f"Weaken D to damp the oscillation: {case.advise(change)}",
            {"autocorrelation": lowest, "period_kimg": period, "growth": late / max(early, 1e-9)},
            case.series("D/adv", "G/adv"), change,
        )  # fmt: skip


def _detrended(values: Sequence[float]) -> list[float]:
    """Subtract the least-squares line."""
    n = len(values)
    mean_x, mean_y = (n - 1) / 2, sum(values) / n
    slope = sum((i - mean_x) * (v - mean_y) for i, v in enumerate(values)) / sum((i - mean_x) ** 2 for i in range(n))
    return [v - mean_y - slope * (i - mean_x) for i, v in enumerate(values)]


def _rms(values: Sequence[float]) -> float:
    return math.sqrt(sum(v * v for v in values) / max(1, len(values)))


def _autocorrelation(values: Sequence[float], lag: int) -> float:
    power = sum(v * v for v in values)
    return sum(a * b for a, b in zip(values, values[lag:], strict=False)) / power if power > 0 else 0.0


def dead_channels(case: Case) -> Iterator[Finding]:
    """Find a layer in which more than half of the channels have the same output for all samples."""
    for net in ("G", "D"):
        dead = case.now(f"{net}_dead")
        if dead > 0.5 and case.steps >= 500:
            text = (
                f"Many channels of {net} are dead. In one layer, {dead:.0%} of the channels have the same output for "
                "all samples."
            )
            change = lower_rates(case, 0.5)
            advice = f"Lower the learning rates: {case.advise(change)}"
            yield Finding("dead channels", YELLOW, text, advice, {"dead": dead}, {}, change)
