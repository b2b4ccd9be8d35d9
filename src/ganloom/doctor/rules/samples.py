"""Rules on what G makes: modes, classes, codes, channels, patterns, the best checkpoint."""

import math
from collections.abc import Iterator

from ganloom.doctor.case import Case, finite, number
from ganloom.doctor.finding import RED, YELLOW, Finding
from ganloom.doctor.rules.settings import r1, slower


def collapse(case: Case) -> Iterator[Finding]:
    """Samples far less varied than the data: now, after they were varied, or still, after a thousand steps.

    rho < 0.2 collapse, < 0.5 watch (real against real is 1 +- 0.05, research for this page); copies by the birthday test.
    """
    rho, copies, past = case.now("diversity"), case.now("duplicates"), case.past("diversity")
    if math.isnan(rho):
        return
    fallen = len(past) > 2 and rho < 0.5 * max(past) and rho < 0.35 and copies > 0.3
    stuck = (rho < 0.2 and copies > 0.8 and case.steps >= 1500) or (rho < 0.02 and case.steps >= 100)
    figures = finite(
        {"diversity": rho, "duplicates": copies, "support": case.now("support"), "coverage": case.now("coverage")}
    )
    if fallen or stuck:
        rates = case.past("D_lr")
        change = {"penalty": "r1"} if not case.facts.penalty else r1(case)
        how = "fell" if fallen else "stays"
        text = f"the samples' variety {how} at {rho:.0%} of the data's, {copies:.0%} of them have a copy"
        yield Finding(
            "mode collapse", RED, text, f"bound D's slope: {case.advise(change)}", figures,
            case.series("doctor/diversity", "doctor/duplicates"), change if rates else {},
        )  # fmt: skip


def lost_classes(case: Case) -> Iterator[Finding]:
    """Samples are good and yet a class has less than a fifth of its share (PacGAN's and `bench modes`' stricter rule)."""
    lost, least = case.now("classes_lost"), case.now("classes_least")
    if case.steps < 1000:
        return
    if lost > 0 and case.now("precision") > 0.6 and least > 0.4 and lost <= max(1.0, 0.2 * case.facts.classes):
        text = f"{lost:g} of {case.facts.classes} classes are nearly absent from the samples, the others are there"
        advice = "train with labels (a conditional recipe), or bound D's slope: `ganloom doctor --help`"
        yield Finding("class missing", YELLOW, text, advice, {"classes": lost}, case.series("doctor/classes_lost"))


def c_ignored(case: Case) -> Iterator[Finding]:
    """Samples are varied, but their class is not the one asked for."""
    got, chance, own = case.now("c_agrees"), case.now("data/labels_chance"), case.now("data/labels_fit")
    if case.steps < 1000 or math.isnan(got) or own - chance < 0.2:
        return
    if got < chance + 0.15 * (own - chance) and case.now("precision") > 0.3:
        text = f"a sample's class is the one asked for in {got:.0%}, guessing gives {chance:.0%}"
        yield Finding(
            "c ignored", RED, text, "D must see c too: check D(x, c) and the labels", {"agrees": got, "chance": chance},
            case.series("doctor/c_agrees"),
        )  # fmt: skip


def z_ignored(case: Case) -> Iterator[Finding]:
    """Samples of one class are all alike, while classes differ: under a twentieth of the data's variety within a class."""
    within, over = case.now("diversity_within"), case.now("diversity")
    if within < 0.05 and over > 0.2 and case.steps >= 500:
        text = f"samples of one class have {within:.1%} of the variety that the data have"
        advice = "make z matter: --zcr 5 (its zcr_g term pushes samples of near latents apart)"
        yield Finding(
            "z ignored",
            RED,
            text,
            advice,
            {"within": within, "diversity": over},
            case.series("doctor/diversity_within"),
            {"zcr": 5.0},
        )


def dead_channels(case: Case) -> Iterator[Finding]:
    """Most channels of a layer answer the same to every sample."""
    for net in ("G", "D"):
        dead = case.now(f"{net}_dead")
        if dead > 0.5 and case.steps >= 500:
            text = f"in one of {net}'s layers {dead:.0%} of the channels answer the same to every sample"
            change = slower(case, 0.5)
            yield Finding(
                "dead channels", YELLOW, text, f"lower the rate: {case.advise(change)}", {"dead": dead}, {}, change
            )


def checkerboard(case: Case) -> Iterator[Finding]:
    """Power at period 2 far above the data's (Durall et al. 2020, arXiv:2003.01826), in samples that are otherwise good."""
    now, own = case.now("checker"), case.now("data/checker")
    if case.steps >= 1000 and own > 0 and now > 5 * own and now > 0.01 and case.now("precision") > 0.3:
        text = f"samples have {now / own:.1f} times the data's power at a period of two pixels"
        yield Finding(
            "checkerboard",
            YELLOW,
            text,
            "upsample and convolve in place of strided transposed convolutions",
            {"checker": now, "data": own},
        )


def best_behind(case: Case) -> Iterator[Finding]:
    """The last two judgements are a third worse than the best, which lies two checkpoints or more back: late decline is
    common (Brock et al. 2018, arXiv:1809.11096, sec. 4, stop early for it). Judged on 1,000 samples a Frechet distance
    repeats to some per cent."""
    judged = [
        (number(r.get("kimg")), v, n)
        for r in case.rows
        for n in r
        if n.startswith("fd") and not math.isnan(v := number(r[n]))
    ]
    if len(judged) < 4:
        return
    at, best, name = min(judged, key=lambda one: one[1])
    last = judged[-2:]
    if min(v for _, v, _ in last) > 4 / 3 * best and at < last[0][0]:
        text = f"{name} was {best:.4g} at {at:g} kimg and is {last[-1][1]:.4g}: the best is behind you"
        advice = f"it is kept: `ganloom sample RUN --checkpoint best`; next time stop there, --total-kimg {at:g}"
        yield Finding(
            "best is behind",
            YELLOW,
            text,
            advice,
            {"best": best, "best_kimg": at, "last": last[-1][1]},
            case.series(name),
        )
