"""Rules on the diversity of the samples: mode collapse, classes missing in the samples, an ignored latent or label."""

import math
from collections.abc import Iterator

from ganloom.doctor.case import LOOK, Case, finite, number
from ganloom.doctor.finding import RED, YELLOW, Finding
from ganloom.doctor.rules.balance import g_moves
from ganloom.doctor.rules.learning import learned
from ganloom.doctor.rules.remedies import penalise_d


def no_noise(case: Case) -> Iterator[Finding]:
    """Find latents that are all zero."""
    if case.now("z_size") < 1e-6:
        text = "G has no random input, so it can make only one sample per condition. All values that z() returns are 0."
        yield Finding("z ignored", RED, text, "Return random latents from z(): self.randn(n, z_dim).", {"z_size": 0.0})


def frozen_latent(case: Case) -> Iterator[Finding]:
    """Find latents that are all alike: their standard deviation is below a hundredth of their root mean square."""
    sd, size = case.now("z_sd"), case.now("z_size")
    if size >= 1e-6 and sd < 0.01 * size:
        text = (
            "G makes the same sample again and again because its latents are all alike. Their standard deviation is "
            f"{sd:.2g} and their root mean square {size:.2g}."
        )
        figures = {"z_sd": sd, "z_size": size, "diversity": case.now("diversity")}
        advice = "Draw a new latent for each sample in z(): self.randn(n, z_dim)."
        yield Finding("mode collapse", RED, text, advice, figures, case.series("doctor/diversity"))


def mode_collapse(case: Case) -> Iterator[Finding]:
    """Find samples far less diverse than the data: either they were diverse before, or they still are not late in training.

    Diversity is relative to the data: real against real gives 1 +- 0.05 (measured). A collapse is diversity below 0.35 that
    was twice as high and above 0.35 before, below 0.2 late in training, or below 0.02. Noise of a G that has not learned
    anything yet is not diversity (``_once``). Copies are counted by the birthday test.
    """
    diversity, copies = case.now("diversity"), case.now("duplicates")
    if math.isnan(diversity):
        return
    once = _once(case)
    fell = once >= 0.35 and diversity < min(0.35, 0.5 * once) and copies > 0.3
    never_rose = diversity < 0.2 and copies > 0.8 and case.steps >= 1500
    constant = diversity < 0.02 and case.steps >= 100
    if not (fell or never_rose or constant):
        return
    if not fell and not (g_moves(case) and learned(case)):  # a G that never learned anything has not collapsed
        return
    change = penalise_d(case)
    text = (
        f"G makes too few different samples. Their diversity {'fell to' if fell else 'is'} {diversity:.0%} of the data's, "
        f"and {copies:.0%} of them have a near-copy among the samples."
    )
    figures = finite(
        {"diversity": diversity, "duplicates": copies, "support": case.now("support"), "coverage": case.now("coverage")}
    )
    yield Finding(
        "mode collapse", RED, text, f"Regularise D: {case.advise(change)}", figures,
        case.series("doctor/diversity", "doctor/duplicates"), change if case.past("D_lr") else {},
    )  # fmt: skip


def _once(case: Case) -> float:
    """Return the highest diversity of samples that covered a part of the data, or of all samples after 1,000 steps."""
    past = [
        number(row.get(LOOK + "diversity"))
        for row in case.probes
        if case.steps >= 1000 or number(row.get(LOOK + "coverage")) >= 0.1
    ]
    return max((v for v in past if not math.isnan(v)), default=0.0) if len(case.probes) > 2 else 0.0


def missing_class(case: Case) -> Iterator[Finding]:
    """Find good samples in which a class has less than a fifth of its share (the stricter rule of PacGAN and `bench modes`)."""
    missing, smallest = case.now("classes_lost"), case.now("classes_least")
    if case.steps < 1000:
        return
    few = missing <= max(1.0, 0.2 * case.facts.classes)
    if missing > 0 and case.now("precision") > 0.6 and smallest > 0.4 and few:
        text = (
            "G does not generate all classes. Classes that are nearly absent from the samples: "
            f"{missing:g} of {case.facts.classes}; the others are present."
        )
        advice = f"Use a conditional recipe with labels, or regularise D: {case.advise(penalise_d(case))}"
        yield Finding("class missing", YELLOW, text, advice, {"classes": missing}, case.series("doctor/classes_lost"))


def label_ignored(case: Case) -> Iterator[Finding]:
    """Find diverse samples that do not show the requested class."""
    agreement, chance, in_data = case.now("c_agrees"), case.now("data/labels_chance"), case.now("data/labels_fit")
    if case.steps < 1000 or math.isnan(agreement) or in_data - chance < 0.2:
        return
    if agreement < chance + 0.15 * (in_data - chance) and case.now("precision") > 0.3:
        text = f"G ignores the label c. {agreement:.0%} of the samples show the requested class; guessing gives {chance:.0%}."
        advice = "Check that D receives the label, as D(x, c), and that the labels match the images."
        figures = {"agrees": agreement, "chance": chance}
        yield Finding("c ignored", RED, text, advice, figures, case.series("doctor/c_agrees"))


def latent_ignored(case: Case) -> Iterator[Finding]:
    """Find samples that differ between classes but not within a class (less than a twentieth of the data's diversity)."""
    within, overall = case.now("diversity_within"), case.now("diversity")
    if within < 0.05 and overall > 0.2 and case.steps >= 500:
        text = (
            "G ignores the latent z: samples of one class look alike. Within a class they have "
            f"{within:.1%} of the data's diversity."
        )
        advice = "Use latent consistency regularisation: --zcr 5 (its term zcr_g makes nearby latents give different samples)."
        figures = {"within": within, "diversity": overall}
        yield Finding("z ignored", RED, text, advice, figures, case.series("doctor/diversity_within"), {"zcr": 5.0})
