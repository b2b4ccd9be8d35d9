"""Rules on the game between D and G: who is ahead, what grows, what circles."""

import math
from collections.abc import Iterator, Sequence

from ganloom.doctor.case import LOOK, Case, number
from ganloom.doctor.finding import RED, YELLOW, Finding
from ganloom.doctor.rules.settings import r1, slower


def strong_d(case: Case) -> Iterator[Finding]:
    """D's logits of reals and fakes share nothing, its loss is near 0 and its lead grows (Arjovsky & Bottou 2017; "D loss
    goes to 0: failure mode", ganhacks no. 10)."""
    right, over, loss = case.now("D_accuracy"), case.now("D_overlap"), case.row("D/adv")
    level = case.facts.equilibrium[0] if case.facts.equilibrium else math.nan
    if case.steps < 500 or not (right > 0.98 and over < 0.02) or not level > 0:
        return
    if loss < 0.02 * level:
        text = f"D is right in {right:.0%}; its loss is {loss:.3g}, in balance it would be {level:.3g}"
        change = r1(case)
        figures = {"D_accuracy": right, "D_overlap": over, "D_loss": loss, "equilibrium": level}
        advice = f"hold D's slope: {case.advise(change)}"
        yield Finding("D too strong", RED, text, advice, figures, case.series("doctor/D_accuracy", "D/adv"), change)


def weak_d(case: Case) -> Iterator[Finding]:
    """D guesses, its loss is that of the equilibrium, and yet the samples are poor and get no better for a fifth of the run."""
    right, cover = case.now("D_accuracy"), case.past("coverage")
    total = case.facts.total_kimg or math.inf
    back = [r for r in case.looks if number(r.get("kimg")) >= case.kimg - max(0.2 * total, 10.0)]
    if len(back) < 3 or case.kimg < 0.4 * total or not cover or case.steps < 1000:
        return
    then = [number(r.get(LOOK + "coverage")) for r in back]
    if 0.45 <= right <= 0.55 and max(then) < 0.1 and max(then[1:]) <= then[0] + 0.02:
        text = f"D guesses ({right:.0%} right) while coverage stays at {then[-1]:.2f}"
        rates = case.past("D_lr")
        change = {"d_opt.lr": float(f"{2 * rates[-1]:.2g}")} if rates else {}
        advice = f"let D learn faster, or weaken its penalty: {case.advise(change)}"
        yield Finding(
            "D too weak",
            YELLOW,
            text,
            advice,
            {"D_accuracy": right, "coverage": then[-1]},
            case.series("doctor/coverage"),
            change,
        )


def growing(case: Case) -> Iterator[Finding]:
    """Weights that grow without end: 10 times their first size (healthy runs stay below 4, measured)."""
    for net in ("D", "G"):
        past = case.past(f"{net}_weights")
        if len(past) > 2 and past[-1] > 10 * past[0] and past[-1] > 1.02 * past[-2]:
            text = f"{net}'s weights are {past[-1] / past[0]:.1f} times their first size and grow"
            change = slower(case, 0.5)
            yield Finding(
                "not converging", RED, text, f"slow down: {case.advise(change)}", {"growth": past[-1] / past[0]},
                case.series(f"doctor/{net}_weights"), change,
            )  # fmt: skip
            return


def oscillating(case: Case) -> Iterator[Finding]:
    """D and G chase each other: the lead of one over the other swings with a period, around no level, and grows.

    The lead is D's loss less G's, without its line; its autocorrelation must fall below -0.5 (a period that repeats) and
    the later half must swing wider than the earlier (Mescheder et al. 2018, arXiv:1801.04406: cycles that do not shrink).
    """
    lead = [
        a - b
        for r in case.rows
        if not math.isnan(a := number(r.get("D/adv"))) and not math.isnan(b := number(r.get("G/adv")))
    ]
    if len(lead) < 16:
        return
    lead = lead[-64:]
    flat = _detrended(lead)
    half = len(flat) // 2
    early, late = _size(flat[:half]), _size(flat[half:])
    lowest, period = min((_auto(flat, lag), lag) for lag in range(2, half))
    if lowest < -0.5 and late > 1.5 * early and late > 0.5:
        each = (number(case.rows[-1].get("kimg")) - number(case.rows[-len(flat)].get("kimg"))) / max(1, len(flat) - 1)
        text = f"D's and G's losses swing against each other every {2 * period * each:.3g} kimg, wider each time"
        change = r1(case)
        yield Finding(
            "not converging", YELLOW, text, f"damp it: {case.advise(change)}",
            {"autocorrelation": lowest, "period_kimg": 2 * period * each, "growth": late / max(early, 1e-9)},
            case.series("D/adv", "G/adv"), change,
        )  # fmt: skip


def _detrended(values: Sequence[float]) -> list[float]:
    n = len(values)
    mean_x, mean_y = (n - 1) / 2, sum(values) / n
    slope = sum((i - mean_x) * (v - mean_y) for i, v in enumerate(values)) / sum((i - mean_x) ** 2 for i in range(n))
    return [v - mean_y - slope * (i - mean_x) for i, v in enumerate(values)]


def _size(values: Sequence[float]) -> float:
    return math.sqrt(sum(v * v for v in values) / max(1, len(values)))


def _auto(values: Sequence[float], lag: int) -> float:
    power = sum(v * v for v in values)
    return sum(a * b for a, b in zip(values, values[lag:], strict=False)) / power if power > 0 else 0.0
