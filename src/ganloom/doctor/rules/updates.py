"""Rules on the updates: networks that are not trained, steps that are too small, clips, weight decay, momentum, update ratio."""

import math
from collections.abc import Iterator
from typing import Any

from ganloom.doctor.case import Case, finite, number
from ganloom.doctor.finding import RED, YELLOW, Finding
from ganloom.doctor.rules.learning import learned, poor

TINY_STEP = 1e-4
"""A step below this share of the weights' size changes a network too little. Healthy runs have 5e-4 to 5e-2."""
BINDS = 30.0
"""A clip that reduces the usual gradient by more than this factor takes the place of the learning rate."""
LARGE_EPS = 1e-4
"""Adam's eps above this is of the size of usual gradients, so it makes the steps smaller."""
LOW_RATE = 20.0
"""A learning rate this many times below the recipe's is too low if the samples are poor."""


def bad(case: Case) -> str:
    """Return the severity of a setting: red if the samples show its effect, else yellow."""
    return RED if case.steps >= 100 and (not learned(case) or poor(case)) else YELLOW


def not_updated(case: Case) -> Iterator[Finding]:
    """Find a network that nothing trains: no active phase, a learning rate of 0, or a loss that does not depend on it."""
    for net, other in (("D", "G"), ("G", "D")):
        idle, rate, usual = case.now(f"{net}_idle"), case.now(f"{net}_lr"), case.facts.rates.get(net)
        if math.isnan(idle) or (case.now(f"{other}_idle") == 1 and idle == 1):
            continue
        change: dict[str, float] = {}
        if idle == 1:
            why, fix = "no phase trains it at present", f"Check phases() and the windows (kimg) of {net}'s phase."
        elif rate == 0 and max(case.past(f"{net}_lr")) == 0:
            change = {f"{net.lower()}_opt.lr": usual} if usual else {}
            why = "its learning rate is 0"
            fix = f"Set it: {case.advise(change)}" if change else f"Set the learning rate of {net}."
        elif net == "G" and case.now("G_uses_fake") == 0:
            why = "its loss does not depend on D's logits"
            fix = "G's step must call D on G's samples without detach() or no_grad()."
        else:
            continue
        text = f"{net} is not trained: {why}, while {other} goes on."
        figures = finite({"lr": rate, "stride": case.now(f"{net}_stride")})
        yield Finding(f"{net} not updated", RED, text, fix, figures, case.series(f"doctor/{net}_stride"), change)


def zero_gradient(case: Case) -> Iterator[Finding]:
    """Find a network whose gradient or step is exactly 0: an effect of other faults, or a loss that is detached."""
    for net in ("D", "G"):
        grad, step = case.row(f"{net}/grad_norm"), case.now(f"{net}_stride")
        if grad == 0 or (step == 0 and case.now(f"{net}_lr") > 0):
            text = f"{net} is not trained: its {'gradient is' if grad == 0 else 'steps are'} 0."
            advice = f"Check that {net}'s loss reaches its weights: no detach(), no no_grad(), no function that is flat there."
            figures = finite({"grad_norm": grad, "stride": step})
            yield Finding(f"{net} not updated", RED, text, advice, figures, case.series(f"{net}/grad_norm"))


def gradient_clip(case: Case) -> Iterator[Finding]:
    """Find a clip that always binds, far below the usual gradient."""
    tight = {}
    for net in ("D", "G"):
        clip = case.facts.optimisers.get(net, {}).get("clip", math.nan)
        norms = [number(r.get(f"{net}/grad_norm")) for r in case.rows[-5:]]
        known = [n for n in norms if not math.isnan(n)]
        if clip > 0 and known and min(known) > BINDS * clip:
            tight[net] = (clip, sum(known) / len(known))
    if not tight or case.steps < 30:
        return
    what = " and ".join(f"{net}'s gradient of {norm:.2g} to {clip:g}" for net, (clip, norm) in tight.items())
    text = f"A gradient clip always binds, so the steps are far smaller than the learning rate says. It reduces {what}."
    change = {f"{net.lower()}_opt.clip": float(f"{10 * norm:.1g}") for net, (_, norm) in tight.items()}
    figures = {f"{net}_clip": clip for net, (clip, _) in tight.items()}
    severity = bad(case) if any(case.now(f"{net}_stride") < 1e-3 for net in tight) else YELLOW
    series = case.series(*(f"{net}/grad_norm" for net in tight))
    yield Finding("gradient clip", severity, text, f"Raise it: {case.advise(change)}", figures, series, change)


def low_rate(case: Case) -> Iterator[Finding]:
    """Find steps that are too small: by their size relative to the weights, by the recipe's rate, or a rate that fell to 0."""
    if case.steps < 30:
        return
    low: dict[str, tuple[float, float]] = {}
    for net in ("D", "G"):
        steps, rates = case.past(f"{net}_stride"), case.past(f"{net}_lr")
        step, highest = (steps[-1] if steps else math.nan), max(rates, default=0.0)
        times = case.facts.rates.get(net, math.nan) / highest if highest > 0 else math.nan
        ended = highest > 0 and rates[-1] < 1e-6 * highest and case.kimg < 0.9 * (case.facts.total_kimg or math.inf)
        if ended or (poor(case) and (0 < step < TINY_STEP or times > LOW_RATE)):
            low[net] = (step, times)
    if low:
        yield _low_rate_finding(case, low)


def _low_rate_finding(case: Case, low: dict[str, tuple[float, float]]) -> Finding:
    """Describe networks whose steps are too small. ``low``: net -> (step, the recipe's rate / the present one)."""
    nets = sorted(low)
    change: dict[str, Any] = {}
    parts = []
    for net in nets:
        step, times = low[net]
        rates, eps = case.past(f"{net}_lr"), case.facts.optimisers.get(net, {}).get("eps", 0.0)
        name, highest = f"{net.lower()}_opt", max(rates)
        if rates[-1] < 1e-6 * highest:
            parts.append(f"{net}'s rate fell from {highest:.2g} to {rates[-1]:.2g} before the end of the run")
            change[f"{name}.schedule"] = ()
            continue
        parts.append(f"one step changes {net}'s weights by {step:.1g} of their size")
        if times > LOW_RATE:
            parts.append(f"its rate is {1 / times:.2g} of the recipe's")
            change[f"{name}.lr"] = case.facts.rates[net]
        elif eps > LARGE_EPS:
            parts.append(f"its eps is {eps:g}")
            change[f"{name}.eps"] = 1e-8
        elif step > 0:
            change[f"{name}.lr"] = float(f"{min(highest * 1e-3 / step, 100 * highest):.1g}")
    both = len(nets) == 2
    text = (
        f"{'The learning rates are' if both else f'The learning rate of {nets[0]} is'} too low: {', '.join(parts)} "
        "(usual steps: 1e-3 to 1e-2 of the weights' size)."
    )
    figures = finite({f"{net}_stride": low[net][0] for net in nets} | {f"{net}_times": 1 / low[net][1] for net in nets})
    severity = RED if poor(case) and (not learned(case) or case.steps > 200) else YELLOW
    series = case.series(*(f"doctor/{net}_stride" for net in nets))
    typed = {name: "constant" if value == () else value for name, value in change.items()}
    advice = f"Raise the steps: {case.advise(typed)}" if change else "Check the optimizer, its eps and its schedule."
    finding_name = "learning rates" if both else f"{nets[0]} learning rate"
    return Finding(finding_name, severity, text, advice, figures, series, change)


def weight_decay(case: Case) -> Iterator[Finding]:
    """Find a weight decay whose pull on the weights is of the size of the loss's gradient."""
    for net in ("D", "G"):
        decay = case.facts.optimisers.get(net, {}).get("weight_decay", 0.0)
        norm, grad = case.now(f"{net}_norm"), case.row(f"{net}/grad_norm")
        size = case.now(f"{net}_weights") / (case.facts.sizes.get(net) or math.nan)  # 0: a network of zeros
        ratio = decay * norm / grad if grad > 0 else math.nan
        if decay >= 1e-3 and (ratio > 0.3 or size < 0.5) and case.steps >= 30:
            text = (
                f"The weight decay of {net} outweighs its loss. It pulls with {ratio:.2g} times the loss's gradient, and the "
                f"weights have {size:.0%} of their first size."
            )
            decayed = [n for n in "DG" if case.facts.optimisers.get(n, {}).get("weight_decay", 0.0) >= 1e-3]
            change = {f"{n.lower()}_opt.weight_decay": 0.0 for n in decayed}
            advice = f"Switch it off: {case.advise(change)}"
            figures = finite({"weight_decay": decay, "ratio": ratio, "size": size})
            yield Finding(
                "weight decay", bad(case), text, advice, figures, case.series(f"doctor/{net}_weights"), change
            )
            return


def momentum(case: Case) -> Iterator[Finding]:
    """Find a momentum far above the usual values for GANs."""
    for net in ("D", "G"):
        beta1 = case.facts.optimisers.get(net, {}).get("beta1", 0.0)
        if beta1 > 0.93 and case.steps >= 30:
            text = (
                f"The momentum of {net} is high for a GAN. Its beta1 is {beta1:g}; 0 to 0.5 is usual, because the target of each "
                "network moves."
            )
            high = [n for n in "DG" if case.facts.optimisers.get(n, {}).get("beta1", 0.0) > 0.93]
            change = {f"{n.lower()}_opt.betas": (0.5, 0.999) for n in high}
            advice = f"Lower it: {case.advise(change)}"
            yield Finding("momentum", bad(case), text, advice, {"beta1": beta1}, {}, change)
            return


def update_ratio(case: Case) -> Iterator[Finding]:
    """Find a network that gets many times the updates of the other."""
    d, g = case.facts.updates.get("D", 1), case.facts.updates.get("G", 1)
    images = case.kimg * 1000
    if d >= 15 * g or g >= 6 * d:
        more, less, times = ("D", "G", d / g) if d > g else ("G", "D", g / d)
        text = (
            f"{less} is trained too rarely: {more} takes {times:.0f} steps for each step of {less}, and {less} has had "
            f"{case.steps:,.0f} steps in {images:,.0f} images. 1 to 5 is usual for D, and 1 to 2 for G."
        )
        advice = f"Lower the repeat of {more}'s phase" + (" (--n-critic 1 or 5)." if more == "D" else ".")
        yield Finding("update ratio", bad(case) if case.steps >= 10 else YELLOW, text, advice, {"ratio": times})
