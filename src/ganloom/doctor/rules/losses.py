"""Rules on the losses: wrong signs, missing or dominating terms, logits that cannot move, penalties."""

import math
from collections.abc import Iterator

from ganloom.doctor.case import Case, finite, number
from ganloom.doctor.finding import RED, YELLOW, Finding
from ganloom.doctor.rules.learning import learned, poor
from ganloom.doctor.rules.remedies import penalise_d


def wrong_sign(case: Case) -> Iterator[Finding]:
    """Find losses that pull D's logits the wrong way.

    D must move the logits of reals and of fakes apart, and G must move those of fakes against D. The signs are those of the
    losses' gradients at the logits, and must be the same for nearly all samples.
    """
    real, fake, g = case.now("D_sign_real"), case.now("D_sign_fake"), case.now("G_sign_fake")
    figures = finite({"D_sign_real": real, "D_sign_fake": fake, "G_sign_fake": g, "ordered": case.now("D_ordered")})
    advice = "D minimises loss.d(real, fake), and G minimises loss.g(real, fake): check the signs and the order of the arguments."
    where = ""
    if abs(real) > 0.8 and abs(fake) > 0.8 and real * fake > 0:
        where = "D's loss moves its logits of real and of generated images in the same direction"
    elif abs(fake) > 0.8 and abs(g) > 0.8 and fake * g > 0:
        d_wrong = case.facts.signed and (real > 0.8 or fake < -0.8)
        g_wrong = case.facts.signed and not d_wrong
        whose = "D's loss has" if d_wrong else "G's loss has" if g_wrong else "D's or G's loss has"
        where = (
            "D and G change D's logits of generated images in the same direction, so they do not compete: "
            f"{whose} the wrong sign"
        )
    penalty = next((n for n in ("gp", "r1", "r2") if number(case.rows[-1].get(f"D/{n}")) < 0), "") if case.rows else ""
    if penalty:
        value = case.row(f"D/{penalty}")
        where = f"The penalty on D's gradient is negative (D/{penalty} is {value:.2g}), so it rewards steep slopes"
        advice = "A penalty is added to D's loss with a positive weight."
    level = case.facts.equilibrium[0] if case.facts.equilibrium else math.nan
    if not where and level > 0 and case.facts.signed and case.row("D/adv") < -5 * level:
        where = "D's loss falls without a bound below 0, which a loss with the right sign cannot do"
    if where:
        yield Finding(
            "wrong sign", RED, f"A loss has the wrong sign. {where}.", advice, figures, case.series("D/adv", "G/adv")
        )


def mixed_targets(case: Case) -> Iterator[Finding]:
    """Find a loss of D that pulls a part of its logits the wrong way, such as targets that are flipped at random."""
    real, fake = case.past("D_against_real")[-2:], case.past("D_against_fake")[-2:]
    if not case.facts.signed or case.facts.optimisers.get("loss") or len(real) < 2 or len(fake) < 2:
        return
    if 0.1 < min(real) <= max(real) < 0.9 or 0.1 < min(fake) <= max(fake) < 0.9:
        text = (
            f"D's loss pulls some logits the wrong way: {real[-1]:.0%} of those of real images down, and "
            f"{fake[-1]:.0%} of those of generated ones up."
        )
        advice = (
            "Check the targets of D's loss: flipped labels, mixed batches, or a term that pulls the logits to a value."
        )
        figures = {"real": real[-1], "fake": fake[-1]}
        yield Finding("mixed targets", RED if poor(case) else YELLOW, text, advice, figures)


def calls_reals_fake(case: Case) -> Iterator[Finding]:
    """Find a D that calls reals fake with certainty, in a run that learns nothing, where the signs of the losses are unknown.

    In healthy runs too, D's logits of fakes can be above those of reals for many steps, when G changes faster than D.
    """
    known = not math.isnan(case.now("D_sign_real")) and not math.isnan(case.now("D_sign_fake"))
    if known or not case.facts.signed or case.steps < 200 or learned(case):
        return
    real, fake = case.past("D_real")[-3:], case.past("D_fake")[-3:]
    if len(real) == len(fake) == 3 and all(f > r for r, f in zip(real, fake, strict=True)):
        if case.now("D_accuracy") > 0.9:
            text = (
                f"D calls real images fake, and it is certain. Its mean logit is {real[-1]:.3g} for real images and "
                f"{fake[-1]:.3g} for generated ones; a trained D has it the other way round."
            )
            advice = "Check the sign of D's loss, and the order of its arguments: loss.d(real, fake)."
            series = case.series("doctor/D_real", "doctor/D_fake")
            yield Finding("wrong sign", RED, text, advice, {"real": real[-1], "fake": fake[-1]}, series)


def missing_term(case: Case) -> Iterator[Finding]:
    """Find a loss of D that does not depend on its logits of reals or of fakes."""
    uses_real, uses_fake, g = case.now("D_uses_real"), case.now("D_uses_fake"), case.now("G_uses_fake")
    what = []
    if uses_real == 0 and uses_fake == 1:
        what.append("D's loss does not depend on its logits of real images")
    if uses_fake == 0 and uses_real == 1:
        what.append("D's loss does not depend on its logits of generated images")
    if what:
        text = f"A term of a loss is missing. {'; '.join(what)}."
        advice = "D's loss needs both: loss.d(D(x), D(G(z)))."
        figures = finite({"D_uses_real": uses_real, "D_uses_fake": uses_fake, "G_uses_fake": g})
        yield Finding("loss term missing", RED, text, advice, figures)


def dominating_term(case: Case) -> Iterator[Finding]:
    """Find terms beside the adversarial one whose gradient stays larger, while samples are poor or repeat."""
    for net, limit in (("G", 1.5), ("D", 30.0)):
        past = case.past(f"{net}_other_grad")[-3:]
        shows = poor(case) or case.now("duplicates") > 0.5
        if len(past) == 3 and min(past) > limit and shows:
            text = (
                f"Other terms outweigh the adversarial term in {net}'s loss. Their gradient is {past[-1]:.3g} times as large, so "
                f"{net} learns little from {'D' if net == 'G' else 'real and generated images'}."
            )
            advice = f"Lower the weights of the other terms of {net}'s loss; metrics.jsonl lists them as {net}/NAME."
            severity = RED if case.steps >= 100 and min(past) > 10 else YELLOW
            series = case.series(f"doctor/{net}_other_grad")
            yield Finding("other term dominates", severity, text, advice, {"times": past[-1]}, series)
            return


def bounded_logits(case: Case) -> Iterator[Finding]:
    """Find a D whose logits end in a bounded function, stay on one side of 0, or hardly vary, although its loss wants both."""
    if not case.facts.signed or case.steps < 100:
        return
    low, high, spread = case.past("D_lowest")[-3:], case.past("D_highest")[-3:], case.past("D_spread")[-3:]
    if len(low) < 3 or len(spread) < 3 or len(high) < 3:
        return
    bounded = case.now("D_bounded") == 1
    signless = (min(low) >= 0 or max(high) <= 0) and poor(case)
    flat = max(spread) < 0.03 and poor(case) and case.now("D_stride") > 1e-4
    if not (bounded or signless or flat):
        return
    what = (
        f"They lie between {min(low):.3g} and {max(high):.3g} at three probes"
        if bounded or signless
        else f"Their standard deviation is {spread[-1]:.2g}, although D is trained"
    )
    text = f"D's logits cannot move as its loss needs: above 0 for real images, below 0 for generated ones. {what}."
    advice = "End D in a linear layer: no sigmoid, tanh or square, and no term that holds its logits at 0."
    if flat and not bounded:
        advice += " Check also that the images reach D with their details: it may see too little to tell them apart."
    figures = {"lowest": low[-1], "highest": high[-1], "spread": spread[-1]}
    severity = RED if poor(case) else YELLOW
    yield Finding("bounded logits", severity, text, advice, figures, case.series("doctor/D_spread"))


def loss_scale(case: Case) -> Iterator[Finding]:
    """Find a loss far above its value at balance, or a loss without a balance that runs away: logits of an extreme size."""
    if case.steps < 30 or not poor(case):
        return
    for net, level in zip("DG", case.facts.equilibrium or (0.0, 0.0), strict=True):
        values = [v for r in case.rows if not math.isnan(v := abs(number(r.get(f"{net}/adv"))))]
        last = values[-6:]
        far = level != 0 and len(last) >= 3 and min(last) > 20 * abs(level)
        runs_away = level == 0 and len(values) >= 6 and min(last[-3:]) > max(100.0, 5 * max(values[: len(values) // 2]))
        if far or runs_away:
            balance = f"far beyond its balance of {level:.3g}" if far else "and it keeps growing"
            text = (
                f"The loss of {net} is {last[-1]:.3g}, {balance}: D's logits are extreme, from {case.now('D_lowest'):.3g} to "
                f"{case.now('D_highest'):.3g}."
            )
            change = penalise_d(case)
            advice = (
                f"Limit D's slope by a penalty, spectral norm or weight clipping: {case.advise(change)}. Check D's weights "
                "at the start and the scale of its input."
            )
            figures = finite({"loss": last[-1], "balance": level, "D_spread": case.now("D_spread")})
            yield Finding("loss scale", RED, text, advice, figures, case.series(f"{net}/adv"), change)
            return


def label_smoothing(case: Case) -> Iterator[Finding]:
    """Find a smoothing that leaves D hardly any difference between the targets."""
    share = case.facts.optimisers.get("loss", {}).get("label_smoothing", 0.0)
    if share > 0.3:
        text = f"The label smoothing is strong: D's target for real images is {1 - share:.2f}. 0.9 is usual."
        change = {"label_smoothing": 0.1}
        severity = RED if case.steps >= 100 and not learned(case) else YELLOW
        yield Finding(
            "label smoothing", severity, text, f"Lower it: {case.advise(change)}", {"share": share}, {}, change
        )
