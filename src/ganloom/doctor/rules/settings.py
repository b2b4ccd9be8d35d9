"""Rules on settings: rates, penalties, a loss without slope, too few images."""

import math
from collections.abc import Iterator
from typing import Any

from ganloom.doctor.case import LOOK, Case, finite, number
from ganloom.doctor.finding import RED, YELLOW, Finding


def bad_samples(case: Case) -> Iterator[Finding]:
    """G's samples are not numbers."""
    if case.now("samples_bad") > 0:
        yield Finding(
            "diverged", RED, "G's samples are NaN or infinite", "go back to an earlier checkpoint", {},
            change=slower(case, 0.1),
        )  # fmt: skip


FAST = 0.15
"""A step of so large a share of the weights' size forgets them. Measured: healthy runs of all recipes stay below 0.05."""
MANY, FELT = 8.0, 1.5
"""Times the recipe's own rate, if the weights then grow to so many times their first size. Lucic et al. 2018
(arXiv:1711.10337) search rates over four decades; those that work lie about one decade wide."""
SPURT = 1.3
"""Growth of the weights, less 1, over the root of hundreds of updates (a walk of equal steps grows so). Measured at the first
looks: healthy at most 0.8, with 30 times the rate 1.6 to 3.7, whatever the rate was."""


def learning_rate(case: Case) -> Iterator[Finding]:
    """A step moves a network's weights by far more than nets are trained with, or they grow at once; or the rate is many times
    the recipe's and is felt."""
    over: dict[str, tuple[float, float]] = {}
    spurts = {}
    for net in ("D", "G"):
        strides, rates, sizes = case.past(f"{net}_stride"), case.past(f"{net}_lr"), case.past(f"{net}_weights")
        usual, first = case.facts.rates.get(net, math.nan), case.facts.sizes.get(net, math.nan)
        times = max(rates) / usual if rates and not math.isnan(usual) else math.nan
        moved = max(strides) if strides else math.nan
        growth = max(sizes) / first if sizes and first > 0 else math.nan
        spurts[net] = _spurt(case, net, first)
        # At the recipe's own rate growth is no fault of the rate: CUT begins with weights of a fortieth of others' size.
        spurt = spurts[net] > SPURT and not times <= 1.5
        if moved > FAST or spurt or (times > MANY and (growth > FELT or moved > FAST / 3)):
            over[net] = (moved, times)
    if not over:
        return
    worst = max(over, key=lambda net: over[net][1] if not math.isnan(over[net][1]) else spurts[net])
    nets = sorted(over)
    both = len(nets) == 2 and 1 / 3 < _ratio(over["D"], over["G"]) < 3
    named = nets if both else [worst]
    change = {f"{net.lower()}_opt.lr": _sane(case, net, over[net]) for net in named}
    moved, times = over[worst]
    size = max(case.past(f"{worst}_weights"), default=math.nan) / case.facts.sizes.get(worst, math.nan)
    beside = "" if math.isnan(times) else f"; the rate is {times:.3g} times the recipe's"
    text = (
        f"a step moves {worst}'s weights by {moved:.1%} of their size, which is {size:.1f} times the first one{beside}"
    )
    figures = {f"{net}_stride": over[net][0] for net in nets} | {f"{net}_times": over[net][1] for net in nets}
    figures |= {f"{net}_spurt": spurts[net] for net in nets}
    name = "learning rates" if both else f"{worst} learning rate"
    yield Finding(
        name, RED, text, f"lower it: {case.advise(change)}", finite(figures),
        case.series(*(f"doctor/{net}_weights" for net in named)), change,
    )  # fmt: skip


def _spurt(case: Case, net: str, first: float) -> float:
    """The largest growth of the weights for the updates they had, within the first thousand."""
    found = []
    for row in case.looks:
        updates = number(row.get("step")) * case.facts.updates.get(net, 1)
        size = number(row.get(f"{LOOK}{net}_weights"))
        if 10 <= updates <= 1000 and first > 0 and not math.isnan(size):
            found.append((size / first - 1) / math.sqrt(updates / 100))
    return max(found, default=math.nan)


def _ratio(a: tuple[float, float], b: tuple[float, float]) -> float:
    place = 1 if not (math.isnan(a[1]) or math.isnan(b[1])) else 0
    return a[place] / b[place]


def _sane(case: Case, net: str, over: tuple[float, float]) -> float:
    usual = case.facts.rates.get(net)
    if usual is not None and over[1] > 1.5:
        return usual
    rates = case.past(f"{net}_lr")
    return float(f"{max(rates) * min(0.5, 0.03 / over[0]):.2g}")


def slower(case: Case, factor: float) -> dict[str, Any]:
    """Both networks' rates: the recipe's own where they are above them, else a part of what they are."""
    change = {}
    for net in ("D", "G"):
        rates, usual = case.past(f"{net}_lr"), case.facts.rates.get(net)
        now = max(rates) if rates else case.facts.lr.get(net, usual)
        if now is not None:
            change[f"{net.lower()}_opt.lr"] = (
                usual if usual is not None and now > 1.5 * usual else float(f"{now * factor:.2g}")
            )
    return change


def penalty_off(case: Case) -> Iterator[Finding]:
    """The recipe's penalty on D's gradient is off, or a hundredth or a hundred times of what it is tuned for."""
    facts = case.facts
    if facts.penalty_now is None or not facts.penalty_usual or not case.looks:
        return
    change = {facts.penalty: facts.penalty_usual}
    figures = {facts.penalty: facts.penalty_now, "usual": facts.penalty_usual}
    flag = "--" + facts.penalty.replace("_", "-")
    text = f"{flag} is {facts.penalty_now:g}, the recipe is tuned for {facts.penalty_usual:.3g}"
    series = case.series("doctor/D_accuracy")
    if facts.penalty_now < 0.01 * facts.penalty_usual:
        advice = f"put the penalty back: {case.advise(change)}"
        yield Finding("penalty off", YELLOW, text, advice, figures, series, change)
    elif facts.penalty_now > 100 * facts.penalty_usual:
        advice = f"D grows blind: weaken it, {case.advise(change)}"
        yield Finding("penalty too strong", YELLOW, text, advice, figures, series, change)


def vanishing(case: Case) -> Iterator[Finding]:
    """D is sure and G's loss has no slope left: below 0.05 of the 1 that a loss which does not saturate keeps.

    Arjovsky & Bottou 2017 (arXiv:1701.04862), theorem 2.4: under a saturating loss G's gradient dies with D's error.
    """
    pull, right, loss = case.now("pull"), case.now("D_accuracy"), case.row("D/adv")
    level = case.facts.equilibrium[0] if case.facts.equilibrium else math.nan
    sure = (right > 0.95 and case.now("D_fake") < case.now("D_real")) or 0 < loss < 0.05 * level
    if pull < 0.05 and sure:
        text = f"D is right in {right:.0%} and G's loss has {pull:.2g} of its slope left"
        change = {"instance_noise": 0.2, "noise_kimg": max(10.0, (case.facts.total_kimg or 100.0) / 2)}
        advice = f"take a loss that does not saturate, or blur what D sees: {case.advise(change)}"
        figures = {"pull": pull, "D_accuracy": right, "D_loss": loss}
        yield Finding("vanishing gradients", RED, text, advice, finite(figures), case.series("doctor/pull"), change)


def memorising(case: Case) -> Iterator[Finding]:
    """D takes unseen reals for fakes: half-way or more (Karras et al. 2020, arXiv:2006.06676, eq. 1), or it sees a small set
    so often that it must (the same paper, sec. 2: below some thousand images each run overfits)."""
    share, size = case.now("memorised"), case.facts.size
    epochs = case.kimg * 1000 / size if size else 0.0
    change = {"diff_augment": ("translation", "cutout")}
    advice = f"augment what D sees: {case.advise(change)}; or train on more images"
    series = case.series("doctor/memorised", "doctor/D_held", "doctor/D_real")
    figures = finite({"memorised": share, "epochs": epochs, "pictures": float(size)})
    if share > 0.5 and case.now("D_accuracy") > 0.7:
        text = f"held-out images lie {share:.0%} of the way from D's training images to its fakes"
        yield Finding("D memorises", RED, text, advice, figures, series, change)
    elif 0 < size < 2000 and epochs > 10 and not case.facts.augmented and ("D" in case.facts.lr or not case.facts.lr):
        text = f"D has seen each of {size} images {epochs:.0f} times, without augmentation"
        yield Finding("D memorises", YELLOW, text, advice, figures, series, change)


def r1(case: Case) -> dict[str, Any]:
    facts = case.facts
    if facts.penalty and facts.penalty_usual and facts.penalty_now is not None:
        return {facts.penalty: max(facts.penalty_usual, 3 * facts.penalty_now)}
    rates = case.past("D_lr")
    return {"d_opt.lr": float(f"{rates[-1] / 2:.2g}")} if rates else {"penalty": "r1"}
