"""Rules on what is given: the data, their labels, the latents."""

import math
from collections.abc import Iterator

from ganloom.doctor.case import Case
from ganloom.doctor.finding import RED, YELLOW, Finding


def data_range(case: Case) -> Iterator[Finding]:
    """Batches outside [-1, 1], in [0, 1], or in a narrow band of it, while G's tanh fills [-1, 1]."""
    low, high = case.now("batch_low"), case.now("batch_high")
    own_low, own_high = case.now("data/low"), case.now("data/high")
    if math.isnan(low) or math.isnan(high):
        return
    span = {"batch_low": low, "batch_high": high}
    advice = "bring x to [-1, 1] in draw(): x / 127.5 - 1 of bytes, 2 x - 1 of numbers in [0, 1]"
    if low < -1.05 or high > 1.05:  # augmented images keep their range; 0.05 is for resampling that overshoots
        yield Finding("data range", RED, f"batches run from {low:.3g} to {high:.3g}, G makes [-1, 1]", advice, span)
    elif abs(low - own_low) > 0.3 or abs(high - own_high) > 0.3:
        text = f"batches run from {low:.3g} to {high:.3g}, the data from {own_low:.3g} to {own_high:.3g}"
        yield Finding("data range", RED, text, advice, span)
    elif high - low < 0.5:  # a quarter of the range: no 8-bit image set that is exposed is so flat
        text = f"batches run from {low:.3g} to {high:.3g} only, a small part of [-1, 1]"
        yield Finding("data range", RED, text, "check how the files were scaled: `ganloom data check DATA`", span)
    elif low >= -0.05:
        text = f"batches run from {low:.3g} to {high:.3g}: [0, 1] where [-1, 1] is meant?"
        yield Finding("data range", YELLOW, text, advice, span)


def constant_channel(case: Case) -> Iterator[Finding]:
    """A channel that holds one number in all images."""
    n = max(case.now("data/constant"), case.now("batch_constant"))
    if n > 0:
        text = f"{n:g} of the data's channels hold one number in every image"
        yield Finding("constant channel", YELLOW, text, "drop it: --shape with fewer channels", {"channels": n})


def repeated_batch(case: Case) -> Iterator[Finding]:
    """Batches of one epoch that share rows: exact copies beyond those that the data have."""
    share = case.now("batch_repeated")
    if share > 0.5:
        text = f"{share:.0%} of the rows of four batches are copies of an earlier row"
        advice = "draw() must ask data.draw(n, rng) with the rng it was given, each time anew"
        yield Finding("repeated batch", RED, text, advice, {"repeated": share})


def repeated_data(case: Case) -> Iterator[Finding]:
    """Images that the data hold more than once."""
    share = case.now("data/repeated")
    if share > 0.2:
        text = f"{share:.0%} of the images are exact copies of another"
        yield Finding(
            "repeated images", YELLOW, text, "`ganloom data check DATA` lists them; remove them", {"repeated": share}
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
        text = f"neighbouring images share a label in {own:.0%} of cases, and guessing gives {chance:.0%}"
        severity = RED if case.facts.conditional else YELLOW
        yield Finding(
            "labels shuffled", severity, text, "check the order of the labels: `ganloom data check DATA`", figures
        )


def class_not_drawn(case: Case) -> Iterator[Finding]:
    """A class of the data that batches never hold, that has no image, or that c() never asks for."""
    for name, what in (
        ("batch_empty", "never come up in the batches"),
        ("c_empty", "are never asked for by c()"),
        ("data/empty", "have no image"),
    ):
        n = case.now(name)
        if n > 0 and (name != "c_empty" or case.facts.conditional):
            text = f"{n:g} of {case.facts.classes or 'the'} classes {what}"
            yield Finding("class missing", RED, text, "check draw(), c() and the class folders", {"classes": n})
            return


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
