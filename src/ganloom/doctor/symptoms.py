"""From rows of figures to findings. A rule is a pure function of (rows, facts); the newest row is the last.

Rules stand in the order of causes: what lies further up explains what comes after it. Each threshold has its source, or the
measurement it rests on ("measured": healthy runs of all recipes and runs with a fault, ``ganloom bench doctor``).
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganloom.doctor.finding import RED, YELLOW, Facts, Finding, command

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
        return _number(self.looks[-1].get(LOOK + name)) if self.looks else math.nan

    def past(self, name: str) -> list[float]:
        """A figure over all probes, oldest first."""
        return [v for row in self.looks if not math.isnan(v := _number(row.get(LOOK + name)))]

    def row(self, name: str) -> float:
        """A statistic of the newest row of training."""
        return _number(self.rows[-1].get(name)) if self.rows else math.nan

    @property
    def kimg(self) -> float:
        """When it is."""
        return _number(self.rows[-1].get("kimg")) if self.rows else 0.0

    @property
    def steps(self) -> float:
        """Steps taken."""
        return _number(self.rows[-1].get("step")) if self.rows else 0.0

    def series(self, *names: str) -> dict[str, list[tuple[float, float]]]:
        """Curves of figures, thinned to 60 points."""
        found = {}
        for name in names:
            rows = self.looks if name.startswith(LOOK) else self.rows
            points = [(_number(r.get("kimg")), v) for r in rows if not math.isnan(v := _number(r.get(name)))]
            step = max(1, math.ceil(len(points) / 60))
            found[name] = points[::-1][::step][::-1]
        return {name: points for name, points in found.items() if points}

    def advise(self, change: Mapping[str, Any]) -> str:
        """The command that trains with a change."""
        return command(self.facts, change)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


@dataclass(frozen=True)
class Rule:
    """``sure``: one look is enough; otherwise two in a row must agree. ``explains``: names of findings it causes."""

    find: Callable[[Case], Iterator[Finding]]
    sure: bool = False
    explains: tuple[str, ...] = ()


# ----------------------------------------------------------------------------------------------------------------- data


def data_range(case: Case) -> Iterator[Finding]:
    """Batches outside [-1, 1], in [0, 1], or in a narrow band of it, while G's tanh fills [-1, 1]."""
    low, high = case.now("batch_low"), case.now("batch_high")
    own_low, own_high = case.now("data/low"), case.now("data/high")
    if math.isnan(low) or math.isnan(high):
        return
    span = {"batch_low": low, "batch_high": high}
    advice = "bring x to [-1, 1] in draw(): x / 127.5 - 1 of bytes, 2 x - 1 of numbers in [0, 1]"
    if low < -1.05 or high > 1.05:  # augmented pictures keep their range; 0.05 is for resampling that overshoots
        yield Finding("data range", RED, f"batches run from {low:.3g} to {high:.3g}, G makes [-1, 1]", advice, span)
    elif abs(low - own_low) > 0.3 or abs(high - own_high) > 0.3:
        text = f"batches run from {low:.3g} to {high:.3g}, the data from {own_low:.3g} to {own_high:.3g}"
        yield Finding("data range", RED, text, advice, span)
    elif high - low < 0.5:  # a quarter of the range: no 8-bit picture set that is exposed is so flat
        text = f"batches run from {low:.3g} to {high:.3g} only, a small part of [-1, 1]"
        yield Finding("data range", RED, text, "check how the files were scaled: `ganloom data check DATA`", span)
    elif low >= -0.05:
        text = f"batches run from {low:.3g} to {high:.3g}: [0, 1] where [-1, 1] is meant?"
        yield Finding("data range", YELLOW, text, advice, span)


def constant_channel(case: Case) -> Iterator[Finding]:
    """A channel that holds one number in all pictures."""
    n = max(case.now("data/constant"), case.now("batch_constant"))
    if n > 0:
        text = f"{n:g} of the data's channels hold one number in every picture"
        yield Finding("constant channel", YELLOW, text, "drop it: --shape with fewer channels", {"channels": n})


def repeated_batch(case: Case) -> Iterator[Finding]:
    """Batches of one epoch that share rows: exact copies beyond those that the data have."""
    share = case.now("batch_repeated")
    if share > 0.5:
        text = f"{share:.0%} of the rows of four batches are copies of an earlier row"
        advice = "draw() must ask data.draw(n, rng) with the rng it was given, each time anew"
        yield Finding("repeated batch", RED, text, advice, {"repeated": share})


def repeated_data(case: Case) -> Iterator[Finding]:
    """Pictures that the data hold more than once."""
    share = case.now("data/repeated")
    if share > 0.2:
        text = f"{share:.0%} of the pictures are exact copies of another"
        yield Finding(
            "repeated pictures", YELLOW, text, "`ganloom data check DATA` lists them; remove them", {"repeated": share}
        )


def labels_fit(case: Case) -> Iterator[Finding]:
    """Labels that nearest neighbours in feature space do not share: below a third of the way from chance to what is usual.

    Measured: Fashion-MNIST 0.86 to 0.92 with the classifier's features; shuffled labels 0.08 to 0.14 of 10 classes.
    """
    chance, own, drawn = case.now("data/labels_chance"), case.now("data/labels_fit"), case.now("batch_labels_fit")
    if math.isnan(chance) or math.isnan(own) or any(True for _ in data_range(case)):
        return
    figures = {"agree": own if math.isnan(drawn) else drawn, "chance": chance}
    if not math.isnan(drawn) and own - chance > 0.2 and drawn < chance + (own - chance) / 3:
        text = f"labels of the batches agree with their neighbours' in {drawn:.0%}, those of the data in {own:.0%}"
        yield Finding("labels shuffled", RED, text, "draw() must take x and c by the same indices", figures)
    elif own < chance + 0.03:
        text = f"neighbouring pictures share a label in {own:.0%} of cases, and guessing gives {chance:.0%}"
        severity = RED if case.facts.conditional else YELLOW
        yield Finding(
            "labels shuffled", severity, text, "check the order of the labels: `ganloom data check DATA`", figures
        )


def class_not_drawn(case: Case) -> Iterator[Finding]:
    """A class of the data that batches never hold, that has no picture, or that c() never asks for."""
    for name, what in (
        ("batch_empty", "never come up in the batches"),
        ("c_empty", "are never asked for by c()"),
        ("data/empty", "have no picture"),
    ):
        n = case.now(name)
        if n > 0 and (name != "c_empty" or case.facts.conditional):
            text = f"{n:g} of {case.facts.classes or 'the'} classes {what}"
            yield Finding("class missing", RED, text, "check draw(), c() and the class folders", {"classes": n})
            return


# --------------------------------------------------------------------------------------------------------------- latents


def no_noise(case: Case) -> Iterator[Finding]:
    """z() draws zeros."""
    if case.now("z_size") < 1e-6:
        text = "z() draws nothing but zeros, so G makes one sample a condition"
        yield Finding("z ignored", RED, text, "z() must draw noise: self.randn(n, z_dim)", {"z_size": 0.0})


def frozen_latent(case: Case) -> Iterator[Finding]:
    """z() draws the same latent each time: less than a hundredth of its size varies."""
    sd, size = case.now("z_sd"), case.now("z_size")
    if size >= 1e-6 and sd < 0.01 * size:
        text = f"all latents are alike (spread {sd:.2g} of size {size:.2g}), so all samples are"
        figures = {"z_sd": sd, "z_size": size, "diversity": case.now("diversity")}
        advice = "z() must draw anew for each sample: self.randn(n, z_dim)"
        yield Finding("mode collapse", RED, text, advice, figures, case.series("doctor/diversity"))


# ------------------------------------------------------------------------------------------------------------- settings


def bad_samples(case: Case) -> Iterator[Finding]:
    """G's samples are not numbers."""
    if case.now("samples_bad") > 0:
        yield Finding(
            "diverged", RED, "G's samples are NaN or infinite", "go back to an earlier checkpoint", {},
            change=_slower(case, 0.1),
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
        if moved > FAST or spurts[net] > SPURT or (times > MANY and (growth > FELT or moved > FAST / 3)):
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
        name, RED, text, f"lower it: {case.advise(change)}", _finite(figures),
        case.series(*(f"doctor/{net}_weights" for net in named)), change,
    )  # fmt: skip


def _spurt(case: Case, net: str, first: float) -> float:
    """The largest growth of the weights for the updates they had, within the first thousand."""
    found = []
    for row in case.looks:
        updates = _number(row.get("step")) * case.facts.updates.get(net, 1)
        size = _number(row.get(f"{LOOK}{net}_weights"))
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


def _slower(case: Case, factor: float) -> dict[str, Any]:
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


def _finite(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if math.isfinite(value)}


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
        yield Finding("vanishing gradients", RED, text, advice, _finite(figures), case.series("doctor/pull"), change)


def memorising(case: Case) -> Iterator[Finding]:
    """D takes unseen reals for fakes: half-way or more (Karras et al. 2020, arXiv:2006.06676, eq. 1), or it sees a small set
    so often that it must (the same paper, sec. 2: below some thousand pictures each run overfits)."""
    share, size = case.now("memorised"), case.facts.size
    epochs = case.kimg * 1000 / size if size else 0.0
    change = {"diff_augment": ("translation", "cutout")}
    advice = f"augment what D sees: {case.advise(change)}; or train on more pictures"
    series = case.series("doctor/memorised", "doctor/D_held", "doctor/D_real")
    figures = _finite({"memorised": share, "epochs": epochs, "pictures": float(size)})
    if share > 0.5 and case.now("D_accuracy") > 0.7:
        text = f"held-out pictures lie {share:.0%} of the way from D's training pictures to its fakes"
        yield Finding("D memorises", RED, text, advice, figures, series, change)
    elif 0 < size < 2000 and epochs > 10 and not case.facts.augmented and ("D" in case.facts.lr or not case.facts.lr):
        text = f"D has seen each of {size} pictures {epochs:.0f} times, without augmentation"
        yield Finding("D memorises", YELLOW, text, advice, figures, series, change)


# ------------------------------------------------------------------------------------------------------------- symptoms


def strong_d(case: Case) -> Iterator[Finding]:
    """D's logits of reals and fakes share nothing, its loss is near 0 and its lead grows (Arjovsky & Bottou 2017; "D loss
    goes to 0: failure mode", ganhacks no. 10)."""
    right, over, loss = case.now("D_accuracy"), case.now("D_overlap"), case.row("D/adv")
    level = case.facts.equilibrium[0] if case.facts.equilibrium else math.nan
    if case.steps < 500 or not (right > 0.98 and over < 0.02) or not level > 0:
        return
    if loss < 0.02 * level:
        text = f"D is right in {right:.0%}; its loss is {loss:.3g}, in balance it would be {level:.3g}"
        change = _r1(case)
        figures = {"D_accuracy": right, "D_overlap": over, "D_loss": loss, "equilibrium": level}
        advice = f"hold D's slope: {case.advise(change)}"
        yield Finding("D too strong", RED, text, advice, figures, case.series("doctor/D_accuracy", "D/adv"), change)


def _r1(case: Case) -> dict[str, Any]:
    facts = case.facts
    if facts.penalty and facts.penalty_usual and facts.penalty_now is not None:
        return {facts.penalty: max(facts.penalty_usual, 3 * facts.penalty_now)}
    rates = case.past("D_lr")
    return {"d_opt.lr": float(f"{rates[-1] / 2:.2g}")} if rates else {"penalty": "r1"}


def weak_d(case: Case) -> Iterator[Finding]:
    """D guesses, its loss is that of the equilibrium, and yet the samples are poor and get no better for a fifth of the run."""
    right, cover = case.now("D_accuracy"), case.past("coverage")
    total = case.facts.total_kimg or math.inf
    back = [r for r in case.looks if _number(r.get("kimg")) >= case.kimg - max(0.2 * total, 10.0)]
    if len(back) < 3 or case.kimg < 0.4 * total or not cover or case.steps < 1000:
        return
    then = [_number(r.get(LOOK + "coverage")) for r in back]
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
            change = _slower(case, 0.5)
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
        if not math.isnan(a := _number(r.get("D/adv"))) and not math.isnan(b := _number(r.get("G/adv")))
    ]
    if len(lead) < 16:
        return
    lead = lead[-64:]
    flat = _detrended(lead)
    half = len(flat) // 2
    early, late = _size(flat[:half]), _size(flat[half:])
    lowest, period = min((_auto(flat, lag), lag) for lag in range(2, half))
    if lowest < -0.5 and late > 1.5 * early and late > 0.5:
        each = (_number(case.rows[-1].get("kimg")) - _number(case.rows[-len(flat)].get("kimg"))) / max(1, len(flat) - 1)
        text = f"D's and G's losses swing against each other every {2 * period * each:.3g} kimg, wider each time"
        change = _r1(case)
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


def collapse(case: Case) -> Iterator[Finding]:
    """Samples far less varied than the data: now, after they were varied, or still, after a thousand steps.

    rho < 0.2 collapse, < 0.5 watch (real against real is 1 +- 0.05, research for this page); copies by the birthday test.
    """
    rho, copies, past = case.now("diversity"), case.now("duplicates"), case.past("diversity")
    if math.isnan(rho):
        return
    fallen = len(past) > 2 and rho < 0.5 * max(past) and rho < 0.35 and copies > 0.3
    stuck = (rho < 0.2 and copies > 0.8 and case.steps >= 1500) or (rho < 0.02 and case.steps >= 100)
    figures = _finite(
        {"diversity": rho, "duplicates": copies, "support": case.now("support"), "coverage": case.now("coverage")}
    )
    if fallen or stuck:
        rates = case.past("D_lr")
        change = {"penalty": "r1"} if not case.facts.penalty else _r1(case)
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
            change = _slower(case, 0.5)
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
        (_number(r.get("kimg")), v, n)
        for r in case.rows
        for n in r
        if n.startswith("fd") and not math.isnan(v := _number(r[n]))
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


HARM = (
    "D too strong",
    "D too weak",
    "not converging",
    "mode collapse",
    "diverged",
    "vanishing gradients",
    "class missing",
    "c ignored",
    "z ignored",
    "dead channels",
    "checkerboard",
)
RULES: tuple[Rule, ...] = (
    Rule(data_range, True, (*HARM, "D memorises")),
    Rule(repeated_batch, True, (*HARM, "D memorises")),
    Rule(labels_fit, True, ("c ignored",)),
    Rule(class_not_drawn, True, ()),
    Rule(no_noise, True, HARM),
    Rule(frozen_latent, True, HARM),
    Rule(learning_rate, False, HARM),
    Rule(penalty_off, False, HARM),
    Rule(bad_samples, True, HARM),
    Rule(vanishing, False, HARM),
    Rule(memorising, False, HARM),
    Rule(constant_channel, True, ()),
    Rule(repeated_data, True, ()),
    Rule(strong_d),
    Rule(growing),
    Rule(collapse),
    Rule(z_ignored),
    Rule(c_ignored),
    Rule(lost_classes),
    Rule(oscillating),
    Rule(weak_d),
    Rule(dead_channels),
    Rule(checkerboard),
    Rule(best_behind, True),
)


def examine(
    rows: Sequence[Row], facts: Facts = NOTHING_KNOWN, ended: str | None = None, once: bool = False
) -> list[Finding]:
    """All findings at the newest row, the cause before what it causes; ``ended``: the reason of a run that has ended.

    A finding that is not sure must be there at the last two probes, unless ``once``. A cause is as severe as the worst that
    it explains.
    """
    rows = [r for r in rows if not r.get("partial")]
    if len(rows) > EARLY + RECENT:
        rows = [*rows[:EARLY], *rows[-RECENT:]]
    looks = [r for r in rows if any(name.startswith(LOOK) for name in r)]
    found: list[tuple[Rule, Finding]] = []
    if looks:
        at = rows.index(looks[-1]) + 1
        now = Case(looks, rows[:at], facts)
        before = Case(looks[:-1], rows[: rows.index(looks[-2]) + 1], facts) if len(looks) > 1 else None
        for rule in RULES:
            for finding in rule.find(now):
                again = once or rule.sure or (before and any(f.name == finding.name for f in rule.find(before)))
                if again and all(f.name != finding.name for _, f in found):
                    found.append((rule, finding))
    if ended == "nan":
        case = Case(looks, rows, facts)
        change = _slower(case, 0.1)
        finding = Finding(
            "diverged", RED, "training met a NaN or an infinity", f"slow down: {case.advise(change)}", {}, {}, change
        )
        found.insert(0, (Rule(bad_samples, True, HARM), finding))
    result = []
    for rule, finding in found:
        caused = [f.severity for _, f in found if f.name in rule.explains and f.name != finding.name]
        result.append(dataclasses.replace(finding, severity=RED) if RED in caused else finding)
    return sorted(result, key=lambda f: f.severity != RED)  # stable: causes stay first
