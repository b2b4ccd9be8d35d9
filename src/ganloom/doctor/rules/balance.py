"""Rules on the balance of D and G: D too strong, D too weak, vanishing gradients."""

import math
from collections.abc import Iterator

from ganloom.doctor.case import LOOK, Case, finite, number
from ganloom.doctor.finding import RED, YELLOW, Finding
from ganloom.doctor.rules.remedies import weaker_d


def g_moves(case: Case) -> bool:
    """Return whether G's updates change its weights; unknown counts as yes."""
    return not case.now("G_stride") < 1e-4 and case.now("G_idle") != 1


def strong_d(case: Case) -> Iterator[Finding]:
    """Find a D whose logits of reals and fakes do not overlap and whose loss is near 0.

    Arjovsky & Bottou 2017, arXiv:1701.04862; "D loss goes to 0: failure mode", ganhacks no. 10.
    """
    accuracy, overlap, loss = case.now("D_accuracy"), case.now("D_overlap"), case.row("D/adv")
    level = case.facts.equilibrium[0] if case.facts.equilibrium else math.nan
    if not g_moves(case):
        return
    if case.steps < 500 or not (accuracy > 0.98 and overlap < 0.02) or not level > 0:
        return
    if loss < 0.02 * level:
        text = (
            f"D separates real and generated samples almost without error. Its accuracy is {accuracy:.0%} and its loss "
            f"{loss:.3g}; at the equilibrium the loss is {level:.3g}."
        )
        change = weaker_d(case)
        figures = {"D_accuracy": accuracy, "D_overlap": overlap, "D_loss": loss, "equilibrium": level}
        advice = f"Weaken D: {case.advise(change)}"
        yield Finding("D too strong", RED, text, advice, figures, case.series("doctor/D_accuracy", "D/adv"), change)


def weak_d(case: Case) -> Iterator[Finding]:
    """Find a D that guesses while the samples are poor and have not improved for a fifth of the run.

    At the optimum D guesses too, so poor samples are part of the rule.
    """
    accuracy, past = case.now("D_accuracy"), case.past("coverage")
    total = case.facts.total_kimg or math.inf
    recent = [r for r in case.probes if number(r.get("kimg")) >= case.kimg - max(0.2 * total, 10.0)]
    if len(recent) < 3 or case.kimg < 0.4 * total or not past or case.steps < 1000:
        return
    coverage = [number(r.get(LOOK + "coverage")) for r in recent]
    if 0.45 <= accuracy <= 0.55 and max(coverage) < 0.1 and max(coverage[1:]) <= coverage[0] + 0.02:
        text = (
            "D cannot tell real from generated samples, although the samples are poor. Its accuracy is "
            f"{accuracy:.0%} and the coverage stays at {coverage[-1]:.2f}."
        )
        rates = case.past("D_lr")
        change = {"d_opt.lr": float(f"{2 * rates[-1]:.2g}")} if rates else {}
        advice = f"Raise D's learning rate or lower its penalty: {case.advise(change)}"
        figures = {"D_accuracy": accuracy, "coverage": coverage[-1]}
        yield Finding("D too weak", YELLOW, text, advice, figures, case.series("doctor/coverage"), change)


def vanishing_gradients(case: Case) -> Iterator[Finding]:
    """Find a D that is sure while G's loss is flat: its slope is below 0.05; a non-saturating loss keeps about 1.

    Arjovsky & Bottou 2017 (arXiv:1701.04862), theorem 2.4: with a saturating loss G's gradient vanishes as D's error does.
    """
    slope, accuracy, loss = case.now("pull"), case.now("D_accuracy"), case.row("D/adv")
    level = case.facts.equilibrium[0] if case.facts.equilibrium else math.nan
    sure = (accuracy > 0.95 and case.now("D_fake") < case.now("D_real")) or 0 < loss < 0.05 * level
    if slope < 0.05 and sure:
        text = (
            "G's gradient vanishes because D is sure of its answers. D's accuracy is "
            f"{accuracy:.0%}, and the slope of G's loss at D's logits is {slope:.2g} instead of about 1."
        )
        change = {"instance_noise": 0.2, "noise_kimg": max(10.0, (case.facts.total_kimg or 100.0) / 2)}
        advice = f"Use a non-saturating loss, or add noise to D's input: {case.advise(change)}"
        figures = {"pull": slope, "D_accuracy": accuracy, "D_loss": loss}
        yield Finding("vanishing gradients", RED, text, advice, finite(figures), case.series("doctor/pull"), change)
