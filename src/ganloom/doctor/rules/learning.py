"""Rules on the outcome: whether the samples come nearer to the data, whatever the cause, and whether it is too early to say."""

import math
from collections.abc import Iterator

from ganloom.doctor.case import LOOK, Case, finite, number
from ganloom.doctor.finding import RED, YELLOW, Finding

LAGS = 1e-3
"""Momentum of BatchNorm below which its running statistics need more than 1,000 updates; usual values are 0.01 to 0.1."""
YOUNG = 300
"""Steps before which it is too early to say whether a run learns. The faults and healthy runs of the benchmark's tuning half
differ from then on."""
LATE = 1000
"""Steps after which a run that has learned nothing is red."""
STILL, FAR = 0.85, 0.25
"""Nothing is learned if the distance is above ``STILL`` of that of untrained samples. Samples are poor above ``FAR``."""
GOOD = 2 / 3
"""Coverage from which on samples are good. Real images have about 0.95."""


def remaining(case: Case, name: str) -> float:
    """Return a distance of the samples now, as a share of that of untrained samples; NaN if one is unknown."""
    first = case.facts.untrained.get(name, math.nan)
    if math.isnan(first):  # a probe of the first half of the run takes their place
        early = [r for r in case.probes if number(r.get("step")) < 0.5 * case.steps]
        first = number(early[0].get(LOOK + name)) if early else math.nan
    return case.now(name) / first if first > 0 else math.nan


def learned(case: Case) -> bool:
    """Return whether the samples are nearer to the data than untrained samples are. Unknown counts as learned."""
    shares = [s for s in (remaining(case, "distance"), remaining(case, "pixel_distance")) if not math.isnan(s)]
    before = case.facts.untrained.get("coverage", 0.0)
    covers = case.now("coverage") > before + 0.05
    return not shares or min(shares) < STILL or covers


def poor(case: Case) -> bool:
    """Return whether the samples are far from the data, or few of them differ. Unknown counts as not poor."""
    return case.now("distance") > FAR or case.now("coverage") < 0.1


def good(case: Case) -> bool:
    """Return whether the samples cover most of the data. Unknown counts as good."""
    return not (poor(case) or case.now("coverage") < GOOD)


def nothing_learned(case: Case) -> Iterator[Finding]:
    """Find samples that are no nearer to the data than at the start, after a few hundred steps."""
    if case.steps < YOUNG or learned(case):
        return
    share = remaining(case, "distance")
    text = (
        f"Nothing is learned. After {case.steps:,.0f} steps the samples are no nearer to the data than before the first step: "
        f"their distance is {share:.0%} of that of untrained samples, and they cover {max(0.0, case.now('coverage')):.0%} of "
        "the data."
    )
    advice = (
        "Look at the samples, and check what the losses and draw() do: `ganloom doctor RUN --probe`. The recipe's own "
        f"settings are {case.advise({})}"
    )
    figures = finite({name: case.now(name) for name in ("distance", "pixel_distance", "coverage", "diversity")})
    severity = RED if case.steps >= LATE else YELLOW
    yield Finding("nothing is learned", severity, text, advice, figures, case.series("doctor/distance"))


def no_progress(case: Case) -> Iterator[Finding]:
    """Find poor samples in the last third of a run that have not improved since its first third."""
    total = case.facts.total_kimg
    if case.steps < YOUNG or not total or case.kimg < 0.6 * total or not poor(case) or not learned(case):
        return
    past = case.past("distance")
    if len(past) < 4 or not past[-1] > 0.9 * min(past[: max(2, len(past) // 2)]) or past[-1] < FAR:
        return
    text = (
        f"The samples are poor and do not improve. Their distance to the data is {past[-1]:.2f} of the data's own spread, and "
        f"was {min(past[:-1]):.2f} before; they cover {case.now('coverage'):.0%} of the data."
    )
    advice = f"Go back to the recipe's own settings: {case.advise({})}"
    figures = finite({name: case.now(name) for name in ("distance", "coverage", "diversity")})
    yield Finding("no progress", YELLOW, text, advice, figures, case.series("doctor/distance"))


def lagging_average(case: Case) -> Iterator[Finding]:
    """Find an EMA whose samples are much worse than those of the networks in training."""
    ema, live = case.now("distance"), case.now("live_distance")
    if case.steps >= 100 and ema > 2 * max(live, 0.02) + 0.15:
        text = (
            "The EMA lags: samples are drawn from averaged weights that are far behind the networks in training. The distance "
            f"to the data is {ema:.2f} with the EMA and {live:.2f} without it."
        )
        advice = "Shorten the half-life of the EMA (--ema-kimg), or check average_kimg()."
        series = case.series("doctor/distance", "doctor/live_distance")
        yield Finding("EMA lags", RED, text, advice, {"distance": ema, "live_distance": live}, series)


def norm_statistics(case: Case) -> Iterator[Finding]:
    """Find a G that is good in training mode and much worse in eval mode: BatchNorm's running statistics are wrong."""
    live, trained, momentum = case.now("live_distance"), case.now("train_distance"), case.now("G_momentum")
    if case.steps >= 100 and not good(case) and momentum < LAGS:
        text = (
            f"BatchNorm's running statistics in G hardly move: their momentum is {momentum:.1g}, so that G in eval mode uses "
            f"those of the untrained G. The distance to the data is {live:.2f} in eval mode and {trained:.2f} in training mode."
        )
        advice = "Use BatchNorm's default momentum (0.1)."
        yield Finding(
            "norm statistics", RED, text, advice, finite({"momentum": momentum, "live": live, "trained": trained})
        )
    elif case.steps >= 100 and live > 3 * max(trained, 0.02) + 0.1:
        text = (
            "G's samples are worse in eval mode than in training mode, as with running statistics of BatchNorm that are wrong. "
            f"The distance to the data is {live:.2f} in eval mode and {trained:.2f} in training mode."
        )
        advice = "Use BatchNorm's default momentum (0.1), and call G in training mode for D's and G's losses."
        series = case.series("doctor/live_distance", "doctor/train_distance")
        yield Finding("norm statistics", RED, text, advice, {"live": live, "trained": trained}, series)
