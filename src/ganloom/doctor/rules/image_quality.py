"""Rules on the quality of the samples: checkerboard artifacts, no improvement since an early best checkpoint."""

import math
from collections.abc import Iterator

from ganloom.doctor.case import Case, number
from ganloom.doctor.finding import YELLOW, Finding


def checkerboard(case: Case) -> Iterator[Finding]:
    """Find samples of good precision with far more power at a period of two pixels than the data.

    Durall et al. 2020, arXiv:2003.01826.
    """
    in_samples, in_data = case.now("checker"), case.now("data/checker")
    good = case.now("precision") > 0.3
    if case.steps >= 1000 and in_data > 0 and in_samples > 5 * in_data and in_samples > 0.01 and good:
        text = (
            "The samples have checkerboard artifacts. Their power at a period of two pixels is "
            f"{in_samples / in_data:.1f} times the data's."
        )
        advice = "In G, use upsampling and a convolution instead of a strided transposed convolution."
        yield Finding("checkerboard", YELLOW, text, advice, {"checker": in_samples, "data": in_data})


def best_is_behind(case: Case) -> Iterator[Finding]:
    """Find a distance that was best at least two checkpoints ago and is a third worse at the last two.

    Late decline is common (Brock et al. 2018, arXiv:1809.11096, sec. 4, stop early because of it). A Frechet distance of
    1,000 samples repeats to within a few per cent.
    """
    distances = [
        (number(r.get("kimg")), v, n)
        for r in case.rows
        for n in r
        if n.startswith("fd") and not math.isnan(v := number(r[n]))
    ]
    if len(distances) < 4:
        return
    at, best, name = min(distances, key=lambda one: one[1])
    last = distances[-2:]
    if min(v for _, v, _ in last) > 4 / 3 * best and at < last[0][0]:
        text = f"The samples have become worse. The distance {name} was {best:.4g} at {at:g} kimg and is {last[-1][1]:.4g} now."
        advice = f"Use the best checkpoint: `ganloom sample RUN --checkpoint best`. Train less next time: --total-kimg {at:g}"
        figures = {"best": best, "best_kimg": at, "last": last[-1][1]}
        yield Finding("best is behind", YELLOW, text, advice, figures, case.series(name))
