"""Rules on captions: all equal, not those of their images, swapped between D and G, and without effect on D or on G."""

import math
from collections.abc import Iterator

from ganloom.doctor.case import Case, finite
from ganloom.doctor.finding import RED, YELLOW, Finding

CLEAR = 0.1
"""Fit of captions to images in the data from which on images say something about captions; see ``caption_probe``."""
GUESSES = 0.56
"""Share of real images whose own caption D prefers, below which it guesses: 0.5 plus two standard errors of 256 comparisons."""
EFFECT = 0.05
"""Diversity of samples of one latent with different captions, as a share of that of the data, below which G ignores captions."""


def captions_equal(case: Case) -> Iterator[Finding]:
    """Find captions that are all equal, as the model sees them: in the batches, or where G is called."""
    rows, kinds = case.now("caption_rows"), case.now("caption_kinds")
    of_g = case.past("caption_kinds_of_G")
    if rows >= 16 and kinds == 1:
        own = case.now("data/captions")
        if own == 1:
            text, advice = (
                "All images have the same caption, so there is nothing to learn from it.",
                "`ganloom data check DATA`",
            )
        elif case.now("data/caption_kinds") == 1:
            text = f"The text encoder makes the same of all {own:,.0f} captions: it knows none of their words."
            advice = "Use another encoder: --encoder minilm; or check the words by `ganloom data check DATA`."
        else:
            text = f"All captions in the batches are equal; the data have {own:,.0f} different ones."
            advice = "Take x and c by the same indices in draw()."
        yield Finding("captions equal", RED, text, advice, finite({"kinds": kinds, "data": own}))
    elif len(of_g) >= 2 and max(of_g[-2:]) == 1 and kinds > 1:
        text = "G gets one caption for all samples of a training step."
        advice = "Give G the captions of the batch: self.generated(z, self.vectors(batch.c))."
        yield Finding("captions equal", RED, text, advice, {"kinds": 1.0})


def captions_shuffled(case: Case) -> Iterator[Finding]:
    """Find captions that are not similar where images are: in the batches less than in the data, or in the data themselves."""
    in_data, in_batch, error = case.now("data/caption_fit"), case.now("caption_fit"), case.now("caption_error")
    figures = finite({"fit": in_batch, "fit_data": in_data})
    if in_data > CLEAR and in_batch + 2.5 * error < in_data / 2:
        text = (
            "The captions in the batches do not belong to their images. Similar images have captions that are more similar than "
            f"those of any two by {in_batch:.0%}, and by {in_data:.0%} in the data set."
        )
        yield Finding("captions shuffled", RED, text, "Take x and c by the same indices in draw().", figures)
    elif in_data + 2.5 * case.now("data/caption_error") < CLEAR / 2 and _guesses(case):
        text = (
            "The captions of the data set do not seem to belong to their images: images that look alike have captions that are "
            "no more similar than any others, and D cannot learn which caption belongs to an image."
        )
        advice = "Check that file names and captions belong together: `ganloom data check DATA`."
        yield Finding("captions shuffled", YELLOW, text, advice, figures)


def captions_differ(case: Case) -> Iterator[Finding]:
    """Find captions that D gets with other images than those that they were drawn with, or that G made of them."""
    fake, real = case.now("captions_fake_differ"), case.now("captions_real_differ")
    if fake > 0.3 or real > 0.3:
        both = fake > 0.3 and real > 0.3
        whose = "real and generated" if both else "generated" if fake > 0.3 else "real"
        share = max(v for v in (fake, real) if not math.isnan(v))
        text = f"D gets captions of other images with {whose} images: {share:.0%} of them."
        advice = "Give D the captions that G got with generated images, and those of the batch with real images."
        yield Finding("captions differ", RED, text, advice, finite({"fakes": fake, "reals": real}))


def _guesses(case: Case) -> bool:
    """Whether D cannot tell the caption of a real image from that of another one, after 1,000 steps. Unknown: no."""
    past = case.past("D_matching")
    return case.steps >= 1000 and len(past) >= 2 and max(past[-2:]) < GUESSES


def d_ignores_captions(case: Case) -> Iterator[Finding]:
    """Find a D that does not prefer the own caption of a real image to that of another one, although it is trained to."""
    if _guesses(case):
        now = case.now("D_matching")
        text = (
            f"D ignores the captions: it prefers the own caption of a real image to that of another one in {now:.0%} of the "
            "cases (guessing: 50%), so G cannot learn from it what captions mean."
        )
        advice = (
            "Check that captions belong to their images, and that D receives them. See docs/captions.md for --near."
        )
        severity = RED if case.steps >= 2500 else YELLOW
        yield Finding("D ignores captions", severity, text, advice, {"matching": now}, case.series("doctor/D_matching"))


def captions_ignored(case: Case) -> Iterator[Finding]:
    """Find samples that do not change with the caption, or that show other things than their captions say."""
    effect, in_data = case.past("caption_effect"), case.now("data/caption_fit")
    fit, error = case.now("sample_caption_fit"), case.now("sample_caption_error")
    if len(effect) >= 2 and max(effect[-2:]) < EFFECT and case.now("diversity") > 0.2 and case.steps >= 500:
        text = (
            "G ignores the captions: samples of one latent with different captions have "
            f"{effect[-1]:.1%} of the data's diversity."
        )
        advice = "Check that G gets the captions, and that D sees mismatched ones: --mismatch."
        figures = {"effect": effect[-1]}
        yield Finding("captions ignored", RED, text, advice, figures, case.series("doctor/caption_effect"))
    elif case.steps >= 2000 and in_data > CLEAR and fit + 2.5 * error < 0.15 * in_data and case.now("precision") > 0.3:
        text = (
            "G's samples do not show what their captions say: real images that look like a sample have captions that are hardly "
            f"more similar to that of the sample than any others (fit {fit:.2f}, {in_data:.2f} in the data)."
        )
        advice = (
            "Check that D receives the captions, and train longer; --near 0.5 --contrast-weight 0.5 help small models."
        )
        figures = {"fit": fit, "fit_data": in_data}
        yield Finding("captions ignored", YELLOW, text, advice, figures, case.series("doctor/sample_caption_fit"))
