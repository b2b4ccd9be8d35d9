"""Rules on settings: learning rates, the weight of the gradient penalty."""

import math
from collections.abc import Iterator

from ganloom.doctor.case import LOOK, Case, finite, number
from ganloom.doctor.finding import RED, YELLOW, Finding
from ganloom.doctor.rules.learning import poor

LARGE_STEP = 0.15
"""A step of this share of the weights' size makes a network forget. Measured: healthy runs of all recipes stay below 0.05."""
MANY_TIMES, LARGE_GROWTH = 8.0, 1.5
"""A learning rate this many times the recipe's is too high if the weights also grow to this many times their initial size.
Lucic et al. 2018 (arXiv:1711.10337) search rates over four decades; those that work span about one decade."""
TINY = 1e-3
"""Root mean square of initial weights below which they are too small; those of the recipes have 0.01 to 1."""
EARLY_GROWTH = 1.3
"""Limit of the weights' early growth (``_early_growth``). Measured at the first probes: at most 0.8 in healthy runs, 1.6 to
3.7 with 30 times the learning rate, whatever the rate was."""


def learning_rate(case: Case) -> Iterator[Finding]:
    """Find a learning rate that is too high.

    Either one step changes a network's weights far more than usual, or the weights grow at once, or the rate is many
    times the recipe's and its effect shows.
    """
    too_high: dict[str, tuple[float, float]] = {}
    growth_rates = {}
    for net in ("D", "G"):
        steps, rates, sizes = case.past(f"{net}_stride"), case.past(f"{net}_lr"), case.past(f"{net}_weights")
        usual, initial = case.facts.rates.get(net, math.nan), case.facts.sizes.get(net, math.nan)
        times = max(rates) / usual if rates and usual > 0 else math.nan
        step = max(steps) if steps else math.nan
        growth = max(sizes) / initial if sizes and initial > 0 else math.nan
        growth_rates[net] = _early_growth(case, net, initial)
        # Near the recipe's own rate, growth is not the rate's fault: CUT and DCGAN start with small weights.
        grows = growth_rates[net] > EARLY_GROWTH and not times <= MANY_TIMES and (times > MANY_TIMES or poor(case))
        if step > LARGE_STEP or grows or (times > MANY_TIMES and (growth > LARGE_GROWTH or step > LARGE_STEP / 3)):
            too_high[net] = (step, times)
    if too_high:
        yield _rate_finding(case, too_high, growth_rates)


def _rate_finding(case: Case, too_high: dict[str, tuple[float, float]], growth_rates: dict[str, float]) -> Finding:
    """Describe the network with the highest rate, or both if their excess is similar. ``too_high``: net -> (step, times)."""
    worst = max(too_high, key=lambda net: too_high[net][1] if not math.isnan(too_high[net][1]) else growth_rates[net])
    nets = sorted(too_high)
    if (initial := case.facts.sizes.get(worst, math.nan)) < TINY and too_high[worst][1] <= 1.5:
        return _tiny_weights(case, worst, initial)
    both = len(nets) == 2 and 1 / 3 < _ratio(too_high["D"], too_high["G"]) < 3
    named = nets if both else [worst]
    change = {f"{net.lower()}_opt.lr": _lower_rate(case, net, too_high[net]) for net in named}
    step, times = too_high[worst]
    size = max(case.past(f"{worst}_weights"), default=math.nan) / (case.facts.sizes.get(worst) or math.nan)
    excess = "" if math.isnan(times) else f", and the rate is {times:.3g} times the recipe's"
    text = (
        f"{'The learning rates are' if both else f'The learning rate of {worst} is'} too high. One step changes {worst}'s "
        f"weights by {step:.1%} of their size, they are {size:.1f} times as large as at the start{excess}."
    )
    figures = {f"{net}_stride": too_high[net][0] for net in nets} | {f"{net}_times": too_high[net][1] for net in nets}
    figures |= {f"{net}_spurt": growth_rates[net] for net in nets}
    name = "learning rates" if both else f"{worst} learning rate"
    advice = f"Lower {'them' if both else 'it'}: {case.advise(change)}"
    curves = case.series(*(f"doctor/{net}_weights" for net in named))
    return Finding(name, RED, text, advice, finite(figures), curves, change)


def _tiny_weights(case: Case, net: str, initial: float) -> Finding:
    text = (
        f"The weights of {net} are too small at the start. Their root mean square is {initial:.1g}, so that a step of the "
        f"recipe's own learning rate is {max(case.past(f'{net}_stride'), default=math.nan):.0%} of their size."
    )
    advice = "Leave the weights as their layers initialize them, or draw them with a standard deviation of 0.02."
    severity = RED if poor(case) else YELLOW
    return Finding("initial weights", severity, text, advice, {"size": initial}, case.series(f"doctor/{net}_weights"))


def _early_growth(case: Case, net: str, initial: float) -> float:
    """Return the largest (growth of the weights - 1) / sqrt(updates / 100) within the first 1,000 updates.

    A random walk of equal steps grows with the square root of the number of updates.
    """
    growth = []
    for row in case.probes:
        updates = number(row.get("step")) * case.facts.updates.get(net, 1)
        size = number(row.get(f"{LOOK}{net}_weights"))
        if 10 <= updates <= 1000 and initial > 0 and not math.isnan(size):
            growth.append((size / initial - 1) / math.sqrt(updates / 100))
    return max(growth, default=math.nan)


def _ratio(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Divide the excess of two rates; if one is unknown, divide the steps."""
    index = 1 if not (math.isnan(a[1]) or math.isnan(b[1])) else 0
    return a[index] / b[index]


def _lower_rate(case: Case, net: str, excess: tuple[float, float]) -> float:
    """Return the recipe's learning rate, or a rate that makes a step 3 % of the weights' size, at most half the present one."""
    step, times = excess
    usual = case.facts.rates.get(net)
    if usual is not None and times > 1.5:
        return usual
    rates = case.past(f"{net}_lr")
    return float(f"{max(rates) * min(0.5, 0.03 / step):.2g}")


def penalty_weight(case: Case) -> Iterator[Finding]:
    """Find a gradient penalty below a hundredth or above a hundred times of the weight that the recipe is tuned for."""
    facts = case.facts
    if facts.penalty_now is None or not facts.penalty_usual or not case.probes:
        return
    change = {facts.penalty: facts.penalty_usual}
    figures = {facts.penalty: facts.penalty_now, "usual": facts.penalty_usual}
    flag = "--" + facts.penalty.replace("_", "-")
    weight = f"{flag} is {facts.penalty_now:g}; the recipe is tuned for {facts.penalty_usual:.3g}."
    series = case.series("doctor/D_accuracy")
    if facts.penalty_now < 0.01 * facts.penalty_usual:
        text = f"The penalty on D's gradient is off, or nearly so. {weight}"
        yield Finding("penalty off", YELLOW, text, f"Restore it: {case.advise(change)}", figures, series, change)
    elif facts.penalty_now > 100 * facts.penalty_usual:
        text = f"The penalty on D's gradient is so strong that D cannot learn. {weight}"
        yield Finding("penalty too strong", YELLOW, text, f"Lower it: {case.advise(change)}", figures, series, change)
