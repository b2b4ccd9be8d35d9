"""Rules on overfitting: D memorises the training images, or will, because there are few."""

from collections.abc import Iterator
from typing import Any

from ganloom.augment.policy import FEW
from ganloom.doctor.case import Case, finite
from ganloom.doctor.finding import RED, YELLOW, Finding
from ganloom.recipes.advice import few_images


def memorising(case: Case) -> Iterator[Finding]:
    """Find a D that treats held-out images like fakes: they are half-way to the fakes or more, and D is better than chance.

    Karras et al. 2020, arXiv:2006.06676, eq. 1.
    """
    share = case.now("memorised")
    ordered = case.now("D_ordered")
    if share > 0.5 and case.now("D_accuracy") > 0.7 and not ordered < 0.6:
        text = (
            "D overfits: it memorises the training images. D's mean logit for held-out images is "
            f"{share:.0%} of the way from the training images to the fakes."
        )
        advice, change = _advice(case)
        series = case.series("doctor/memorised", "doctor/D_held", "doctor/D_real")
        yield Finding("D memorises", RED, text, advice, _figures(case), series, change)


def small_data(case: Case) -> Iterator[Finding]:
    """Note a small data set that D has seen often without augmentation; every such run overfits (same paper, sec. 2)."""
    size = case.facts.size
    epochs = case.kimg * 1000 / size if size else 0.0
    if 0 < size < FEW and epochs > 10 and not case.facts.augmented and ("D" in case.facts.lr or not case.facts.lr):
        text = (
            "There are few images, and D sees them without augmentation, so it will memorise them. D has seen each of the "
            f"{size} images {epochs:.0f} times."
        )
        advice, change = _advice(case)
        yield Finding("few images", YELLOW, text, advice, _figures(case), {}, change)


def _advice(case: Case) -> tuple[str, dict[str, Any]]:
    """The advice for few images, which `plan` and `augment preview` give too, and the settings that it means."""
    remedy = few_images(case.facts.recipe, case.facts.size, case.facts.total_kimg)
    advice = f"{remedy.text[0].upper()}{remedy.text[1:]}."
    advice += f" Or train on more images. {case.advise(remedy.options)}" if remedy.flags else ""
    return advice, dict(remedy.settings)


def _figures(case: Case) -> dict[str, float]:
    size = case.facts.size
    epochs = case.kimg * 1000 / size if size else 0.0
    return finite({"memorised": case.now("memorised"), "epochs": epochs, "pictures": float(size)})
