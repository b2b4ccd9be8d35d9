"""Rules on what the networks are given: images that draw() changed, inputs, labels and latents that differ or repeat."""

import math
from collections.abc import Iterator

from ganloom.doctor.case import LOOK, Case, finite, number
from ganloom.doctor.finding import RED, YELLOW, Finding
from ganloom.doctor.rules.learning import good, learned, poor
from ganloom.stabilisers.config import Stabilise

SHIFT = 0.05
"""Energy distance of drawn images to the stored ones. Batches of 96 unchanged images stay below 0.02."""


MIXED = 0.75
"""Mean distance of two images of a batch, as a share of that in four batches, below which batches are not mixed. Batches drawn at
random have 0.95 to 1.05."""


LATENTS = 1.25
"""Ratio of the sizes of two sets of latents above which they differ. Two sets of 64 latents of length 64 stay below 1.05;
shorter latents get a higher limit."""
SMALL = 0.1
"""Root mean square below which latents are too small; those of the recipes have 0.57 (uniform) to 1."""
NOISY_D = 0.6
"""The same for D's logits. A D with the usual dropout of 0.3 stays below 0.45."""
HIDDEN = 1.5
"""Change of D's inputs above which they hardly show the images. Two different images of black and white pixels differ by 1.4."""
NOISY = 0.5
"""Share of the differences between G's outputs that the latents do not explain, above which G is noisy. Noise inputs of the
style-based recipes stay below 0.2."""


def images_changed(case: Case) -> Iterator[Finding]:
    """Find batches whose images have another distribution than the stored images: noise, flips, shifts, inversion."""
    past = case.past("batch_shift")
    unmixed = any(True for _ in unmixed_batches(case))
    if len(past) >= 2 and min(past[-3:]) > SHIFT and case.now("batch_repeated") <= 0.5 and not unmixed:
        text = (
            "draw() changes the images: what D gets as real differs from the stored images. The energy distance of the "
            f"two is {past[-1]:.2f} of the data's own spread; unchanged images have 0."
        )
        advice = "G learns what draw() returns. Return the images unchanged, and augment reals and fakes alike: --diff-augment."
        figures = {"shift": past[-1]}
        severity = RED if past[-1] > 2 * SHIFT else YELLOW
        yield Finding("images changed", severity, text, advice, figures, case.series("doctor/batch_shift"))


def unmixed_batches(case: Case) -> Iterator[Finding]:
    """Find batches whose images are far more alike than the data, as in data that are drawn in the order of their classes."""
    past = case.past("batch_variety")
    if past and max(past[-2:]) < MIXED and case.now("batch_repeated") <= 0.5:
        text = (
            f"The images of a batch are alike: their mean distance is {past[-1]:.0%} of that of several batches, so D sees "
            "one kind of image at a time."
        )
        advice = "Draw each batch at random from all images: data.draw(n, rng), with the rng that draw() receives."
        severity = RED if poor(case) else YELLOW
        yield Finding(
            "batches not mixed", severity, text, advice, {"variety": past[-1]}, case.series("doctor/batch_variety")
        )


def strong_noise(case: Case) -> Iterator[Finding]:
    """Find a D that gets images which have hardly anything in common with the data or with G's samples, on both sides alike."""
    changes = case.past("D_real_change"), case.past("D_fake_change")
    own = min(min(past[-2:]) for past in changes) if all(len(past) >= 2 for past in changes) else math.nan
    noise = case.facts.optimisers.get("input", {})
    set_noise = math.nan
    if noise:
        settings = Stabilise(instance_noise=noise["instance_noise"], noise_kimg=noise["noise_kimg"])
        set_noise = settings.noise(case.kimg)
    change = max((v for v in (own, set_noise) if not math.isnan(v)), default=math.nan)
    if change > HIDDEN and case.steps >= 100:
        text = (
            f"D hardly sees the images: what reaches it differs from them by {change:.2g} (root mean square, images span -1 to "
            "1), as with strong noise on reals and on fakes."
        )
        advice = f"Use less noise: {case.advise({'instance_noise': 0.2})}"
        severity = RED if poor(case) else YELLOW
        yield Finding("noise too strong", severity, text, advice, {"change": change}, {}, {"instance_noise": 0.2})


def inputs_differ(case: Case) -> Iterator[Finding]:
    """Find a D whose reals or fakes are changed on the way to it, but not both, or whose fakes come from another G."""
    real, fake, gap = case.now("D_real_change"), case.now("D_fake_change"), case.now("fakes_gap")
    if (real > 0.02 or fake > 0.02) and (min(real, fake) < 0.2 * max(real, fake)):
        changed, kept = ("real", "generated") if real > fake else ("generated", "real")
        text = (
            f"D sees {changed} images that were changed, and {kept} images that were not, so it can separate them by the change "
            f"alone. The change is {max(real, fake):.2g} (root mean square, images span -1 to 1)."
        )
        advice = "Apply noise and augmentation to real and generated images alike: --instance-noise, --diff-augment."
        yield Finding("inputs differ", RED, text, advice, {"real_change": real, "fake_change": fake})
    elif len(past := _gaps(case)) >= 2 and min(past[-2:]) > 0.2:
        text = (
            "D is trained on other generated images than G makes: the fakes of D's step and of G's step differ. Their energy "
            f"distance is {gap:.2f} of their spread."
        )
        advice = "D's step must call the present G on new latents; do not keep old samples or another copy of G."
        yield Finding("inputs differ", RED, text, advice, {"fakes_gap": gap}, case.series("doctor/fakes_gap"))


def _gaps(case: Case) -> list[float]:
    """Return, probe by probe, by how much more the fakes of both steps differ than the reals of their batches do."""
    rows = [(number(row.get(LOOK + "fakes_gap")), number(row.get(LOOK + "reals_gap", 0.0))) for row in case.probes]
    return [fakes - max(0.0, reals) for fakes, reals in rows if not math.isnan(fakes)]


def labels_differ(case: Case) -> Iterator[Finding]:
    """Find labels that D gets and G or the data do not have."""
    fake, real, kinds = case.now("c_fake_differs"), case.now("c_real_differs"), case.now("c_fake_kinds")
    figures = finite({"fakes": fake, "reals": real, "kinds": kinds})
    if fake > 0.3 or real > 0.3:
        whose = "generated" if not real > 0.3 else "real and generated" if fake > 0.3 else "real"
        where = "G got other labels" if whose == "generated" else "the batch has other labels"
        text = (
            f"D gets wrong labels with {whose} images: {where}. {max(v for v in (fake, real) if not math.isnan(v)):.0%} of the "
            "labels differ."
        )
        advice = "Give D(x, c) the labels that G(z, c) got, and those of the batch for real images."
        yield Finding("labels differ", RED, text, advice, figures)
    elif kinds == 1 and case.facts.classes > 2 and case.facts.conditional and case.now("data/labels_chance") < 0.7:
        text = "G is trained on a single class: all labels that it gets in a training step are equal."
        advice = "Draw labels for the fakes from all classes, as c() does, or take those of the batch."
        yield Finding("labels differ", RED, text, advice, figures)


def latents(case: Case) -> Iterator[Finding]:
    """Find latents of another size than those of samples, latents near 0, and latents that repeat or have too few values."""
    past, values = case.past("z_repeated"), case.now("z_values")
    size, trained = case.now("z_size"), case.now("z_trained")
    ratio = trained / size if size > 0 and values == case.now("z_drawn") else math.nan
    limit = LATENTS + 0.5 / math.sqrt(max(values, 1.0))  # few values: their root mean square varies more
    if ratio < 1 / limit or ratio > limit:
        text = (
            f"G is trained on other latents than samples get: their root mean square is {trained:.2g} in training and "
            f"{size:.2g} in z()."
        )
        advice = "Draw the latents of both losses by self.z(n), without a factor."
        severity = RED if poor(case) or not 1 / 2 < ratio < 2 else YELLOW
        yield Finding("latents differ", severity, text, advice, {"trained": trained, "drawn": size})
        return
    if 1e-6 <= size < SMALL:
        text = f"The latents are too small: their root mean square is {size:.2g} instead of about 1, so G hardly notices z."
        severity = RED if case.steps >= 100 and (poor(case) or case.now("diversity") < 0.8) else YELLOW
        yield Finding(
            "z too small", severity, text, "Scale z() to a variance of 1: self.randn(n, z_dim).", {"size": size}
        )
        return
    directions = case.now("z_directions")
    few = min(v for v in (values, directions, math.inf) if not math.isnan(v))
    if past and past[-1] > 0.2:
        text = (
            f"Training repeats its latents: {past[-1]:.0%} of them occurred before, in the same step or in that of the other "
            "network. G learns those images only."
        )
        advice = "Draw new latents in each step: self.z(n)."
        yield Finding("latents repeated", RED, text, advice, {"repeated": past[-1]})
    elif few <= 3 and case.facts.bounded and case.steps >= 30:
        text = f"The latent is too small: it varies in {few:.0f} {'direction' if few == 1 else 'directions'}, images in many."
        change = {"z_dim": 64}
        severity = RED if case.steps >= 100 and (poor(case) or not learned(case)) else YELLOW
        yield Finding(
            "z too small", severity, text, f"Enlarge it: {case.advise(change)}", {"directions": few}, {}, change
        )


def noisy_output(case: Case) -> Iterator[Finding]:
    """Find a G whose output for one latent is random in training, and poor: dropout or noise behind its last layers."""
    past = case.past("G_noise")
    if len(past) >= 2 and min(past[-2:]) > NOISY and case.steps >= 100 and poor(case):
        text = (
            f"G is noisy: in training mode, two outputs for the same latent differ by {past[-1]:.0%} of the difference between "
            "two latents. D sees this noise, and samples in eval mode do not have it."
        )
        advice = "Remove dropout and noise from G's last layers."
        severity = RED if case.steps >= 300 else YELLOW
        yield Finding("G is noisy", severity, text, advice, {"noise": past[-1]}, case.series("doctor/G_noise"))


def noisy_d(case: Case) -> Iterator[Finding]:
    """Find a D whose logit of one image is mostly random in training, with samples that are not good: a strong dropout."""
    past = case.past("D_noise")
    if len(past) >= 2 and min(past[-2:]) > NOISY_D and case.steps >= 100 and not good(case):
        text = (
            f"D is noisy: in training mode, two of its logits for the same image differ by {past[-1]:.0%} of the difference "
            "between two images, so G learns from noise."
        )
        advice = "Use less dropout and noise in D."
        severity = RED if case.steps >= 300 and poor(case) else YELLOW
        yield Finding("D is noisy", severity, text, advice, {"noise": past[-1]}, case.series("doctor/D_noise"))


def sample_range(case: Case) -> Iterator[Finding]:
    """Find samples outside [-1, 1], or a G whose output cannot reach the values of the data."""
    low, high, reach_low, reach_high = (case.now(n) for n in ("sample_low", "sample_high", "reach_low", "reach_high"))
    data_low, data_high = case.now("data/low"), case.now("data/high")
    batch_fits = abs(case.now("batch_low") - data_low) < 0.3 and abs(case.now("batch_high") - data_high) < 0.3
    figures = finite({"low": low, "high": high, "reach_low": reach_low, "reach_high": reach_high})
    if not case.facts.bounded or not batch_fits or math.isnan(low):
        return
    if low < -1.1 or high > 1.1:
        text = (
            f"G's samples leave [-1, 1], the range of the images: they span {low:.3g} to {high:.3g}. D can tell them by that, "
            "and they are cut off when they are saved."
        )
        severity = RED if poor(case) or max(-low, high) > 1.5 else YELLOW
        yield Finding("sample range", severity, text, "End G in tanh().", figures, case.series("doctor/sample_high"))
    elif case.steps >= 100 and (min(low, reach_low) > data_low + 0.4 or max(high, reach_high) < data_high - 0.4):
        text = (
            f"G's output covers a part of the images' range only. Samples span {low:.3g} to {high:.3g}, and those of extreme "
            f"latents {reach_low:.3g} to {reach_high:.3g}; the data span {data_low:.3g} to {data_high:.3g}."
        )
        advice = "End G in tanh() without a further factor, and scale the data to [-1, 1]."
        yield Finding(
            "sample range", RED, text, advice, figures, case.series("doctor/sample_low", "doctor/sample_high")
        )


def network_too_small(case: Case) -> Iterator[Finding]:
    """Find a network that must pass everything through one or two channels, with samples that are not good."""
    for net in ("D", "G"):
        width = case.now(f"{net}_narrowest")
        if width <= 2 and case.steps >= 100 and not good(case):
            text = f"{net} is too small: one of its layers has {width:.0f} {'channel' if width == 1 else 'channels'}."
            change = {"width": 16}
            advice = f"Widen it: {case.advise(change)}"
            severity = RED if case.steps >= 300 and poor(case) else YELLOW
            yield Finding("network too small", severity, text, advice, {"width": width}, {}, change)
            return
