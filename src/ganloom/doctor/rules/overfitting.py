"""Rule on overfitting: D memorises the training images."""

from collections.abc import Iterator

from ganloom.augment.policy import FEW
from ganloom.doctor.case import Case, finite
from ganloom.doctor.finding import RED, YELLOW, Finding
from ganloom.recipes.advice import few_images


def memorising(case: Case) -> Iterator[Finding]:
    """Find a D that treats held-out images like fakes, or that has seen a small data set too often.

    Red: held-out images are half-way to the fakes or more (Karras et al. 2020, arXiv:2006.06676, eq. 1). Yellow: with
    less than some thousand images every run overfits (same paper, sec. 2).
    """
    share, size = case.now("memorised"), case.facts.size
    epochs = case.kimg * 1000 / size if size else 0.0
    remedy = few_images(case.facts.recipe, size, case.facts.total_kimg)
    advice = f"{remedy.text[0].upper()}{remedy.text[1:]}."
    advice += f" Or train on more images. {case.advise(remedy.options)}" if remedy.flags else ""
    change = remedy.settings
    series = case.series("doctor/memorised", "doctor/D_held", "doctor/D_real")
    figures = finite({"memorised": share, "epochs": epochs, "pictures": float(size)})
    if share > 0.5 and case.now("D_accuracy") > 0.7:
        text = (
            "D overfits: it memorises the training images. D's mean logit for held-out images is "
            f"{share:.0%} of the way from the training images to the fakes."
        )
        yield Finding("D memorises", RED, text, advice, figures, series, change)
    elif 0 < size < FEW and epochs > 10 and not case.facts.augmented and ("D" in case.facts.lr or not case.facts.lr):
        text = (
            "The data set is so small that D will memorise it. D has seen each of the "
            f"{size} images {epochs:.0f} times, without augmentation."
        )
        yield Finding("D memorises", YELLOW, text, advice, figures, series, change)
