"""Rules on the data: value range, channels, duplicates, labels, classes without images."""

import math
from collections.abc import Iterator

from ganloom.doctor.case import Case
from ganloom.doctor.finding import RED, YELLOW, Finding


def data_range(case: Case) -> Iterator[Finding]:
    """Find batches outside [-1, 1], in [0, 1] or with hardly any contrast. G's tanh covers [-1, 1]."""
    low, high = case.now("batch_low"), case.now("batch_high")
    data_low, data_high = case.now("data/low"), case.now("data/high")
    if math.isnan(low) or math.isnan(high):
        return
    figures = {"batch_low": low, "batch_high": high}
    span = f"Values in the batches range from {low:.3g} to {high:.3g}"
    advice = "Scale x to [-1, 1] in draw(): x / 127.5 - 1 for bytes, 2 * x - 1 for values in [0, 1]."
    if low < -1.05 or high > 1.05:  # augmentation keeps the range; 0.05 allows for resampling that overshoots
        text = f"The training images and G's samples have different value ranges. {span}, G's from -1 to 1."
        yield Finding("data range", RED, text, advice, figures)
    elif abs(low - data_low) > 0.3 or abs(high - data_high) > 0.3:
        text = f"draw() changes the value range of the data. {span}, the data's from {data_low:.3g} to {data_high:.3g}."
        yield Finding("data range", RED, text, advice, figures)
    elif high - low < 0.5:  # a quarter of the range: no 8-bit image set with a normal exposure is so flat
        text = f"The training images have hardly any contrast. {span} only, a small part of [-1, 1]."
        advice = "Check how the files were scaled: `ganloom data check DATA`."
        yield Finding("data range", RED, text, advice, figures)
    elif low >= -0.05:
        text = f"The training images seem to be scaled to [0, 1] instead of [-1, 1]. {span}."
        yield Finding("data range", YELLOW, text, advice, figures)


def constant_channel(case: Case) -> Iterator[Finding]:
    """Find channels that have the same value in all images."""
    n = max(case.now("data/constant"), case.now("batch_constant"))
    if n > 0:
        text = (
            "Some image channels carry no information. "
            f"{n:g} {'channel has' if n == 1 else 'channels have'} the same value in all images."
        )
        advice = "Load the data with fewer channels: --shape C H W."
        yield Finding("constant channel", YELLOW, text, advice, {"channels": n})


def repeated_batch(case: Case) -> Iterator[Finding]:
    """Find batches of one epoch that share rows: exact copies, not counting the duplicates of the data set."""
    share = case.now("batch_repeated")
    if share > 0.5:
        text = (
            f"The batches repeat the same images. {share:.0%} of the rows of four batches are copies of an earlier row."
        )
        advice = "Call data.draw(n, rng) for every batch in draw(), with the rng that draw() receives."
        yield Finding("repeated batch", RED, text, advice, {"repeated": share})


def repeated_data(case: Case) -> Iterator[Finding]:
    """Find images that the data set contains more than once."""
    share = case.now("data/repeated")
    if share > 0.2:
        text = f"The data set contains duplicates. {share:.0%} of the images are exact copies of another image."
        advice = "Remove the duplicates; `ganloom data check DATA` lists them."
        yield Finding("repeated images", YELLOW, text, advice, {"repeated": share})


def shuffled_labels(case: Case) -> Iterator[Finding]:
    """Find labels that differ from those of the nearest neighbours in feature space, by Cohen's kappa.

    Kappa is 0 for labels that are independent of the images, whatever the shares of the classes are. In the batches: kappa
    plus 2.5 standard errors is below half of the data's. In the data set: kappa plus 2.5 standard errors is below 0.15.
    Measured: 0.84 for Fashion-MNIST with the classifier's features.
    """
    in_data, in_batch = case.now("data/kappa"), case.now("batch_kappa")
    if math.isnan(in_data) or any(True for _ in data_range(case)) or case.now("data/repeated") > 0.5:
        return  # equal images have no own neighbours
    highest = in_batch + 2.5 * case.now("batch_kappa_error")
    figures = {"kappa": in_data if math.isnan(in_batch) else in_batch, "kappa_data": in_data}
    if in_data > 0.2 and highest < in_data / 2:
        text = (
            "The labels in the batches do not match the images. They agree with the labels of the nearest neighbours with a "
            f"kappa of {in_batch:.2f} (0: chance, 1: always), against {in_data:.2f} in the data set."
        )
        advice = "Take x and c by the same indices in draw()."
        yield Finding("labels shuffled", RED, text, advice, figures)
    elif in_data + 2.5 * case.now("data/kappa_error") < 0.15:
        text = (
            "The labels of the data set do not match the images, as far as features show. They agree with the labels of the "
            f"nearest neighbours with a kappa of {in_data:.2f} (0: chance, 1: always)."
        )
        severity = RED if case.facts.conditional and in_data < 0.05 else YELLOW
        advice = "Check the order of the labels: `ganloom data check DATA`."
        yield Finding("labels shuffled", severity, text, advice, figures)


def class_not_drawn(case: Case) -> Iterator[Finding]:
    """Find a class that has no image, that the batches never contain, or that c() never returns."""
    for name, what in (
        ("batch_empty", "never occur in the batches"),
        ("c_empty", "are never returned by c()"),
        ("data/empty", "have no image"),
    ):
        n = case.now(name)
        if n > 0 and (name != "c_empty" or case.facts.conditional):
            total = f" of {case.facts.classes}" if case.facts.classes else ""
            text = f"The training does not cover all classes. Classes that {what}: {n:g}{total}."
            severity = YELLOW if name == "data/empty" else RED
            yield Finding("class missing", severity, text, "Check draw(), c() and the class folders.", {"classes": n})
            return
