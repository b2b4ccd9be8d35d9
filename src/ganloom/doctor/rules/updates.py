"""Rules on the updates: networks that are not trained, steps that are too small, clips, weight decay, momentum, update ratio."""

import math
from collections.abc import Iterator

from ganloom.doctor.case import Case, finite, number
from ganloom.doctor.finding import RED, YELLOW, Finding
from ganloom.doctor.rules.learning import learned, poor

TINY_STEP = 1e-4
"""A step below this share of the weights' size changes a network too little. Healthy runs have 5e-4 to 5e-2."""
BINDS = 30.0
"""A clip that reduces the usual gradient by more than this factor takes the place of the learning rate."""
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
    """Find steps that are too small, by their size relative to the weights or by the recipe's learning rate."""
    if case.steps < 30 or not poor(case):
        return
    low: dict[str, tuple[float, float]] = {}
    for net in ("D", "G"):
        steps, rates = case.past(f"{net}_stride"), case.past(f"{net}_lr")
        usual = case.facts.rates.get(net, math.nan)
        step, rate = (steps[-1] if steps else math.nan), (rates[-1] if rates else math.nan)
        times = usual / max(rates) if rates and max(rates) > 0 else math.nan
        if 0 < step < TINY_STEP or times > LOW_RATE or (rate == 0 and max(rates) > 0):
            low[net] = (step, times)
    if not low:
        return
    nets = sorted(low)
    change = {}
    for net in nets:
        own, present = case.facts.rates.get(net), max(case.past(f"{net}_lr"), default=0.0)
        step = low[net][0]
        if own is not None and low[net][1] > 1.5:
            change[f"{net.lower()}_opt.lr"] = own
        elif present > 0 and step > 0:
            change[f"{net.lower()}_opt.lr"] = float(f"{min(present * 1e-3 / step, 100 * present):.1g}")
    name = "learning rates" if len(nets) == 2 else f"{nets[0]} learning rate"
    parts = []
    for net in nets:
        step, times = low[net]
        parts.append(
            f"one step changes {net}'s weights by {step:.1g} of their size" if step > 0 else f"{net}'s rate is 0 now"
        )
        parts += [f"its rate is {1 / times:.2g} of the recipe's"] if times > LOW_RATE else []
    what = "The learning rates are" if len(nets) == 2 else f"The learning rate of {nets[0]} is"
    text = f"{what} too low: {', '.join(parts)} (usual: 1e-3 to 1e-2)."
    figures = finite({f"{net}_stride": low[net][0] for net in nets} | {f"{net}_times": 1 / low[net][1] for net in nets})
    severity = RED if not learned(case) or case.steps > 200 else YELLOW
    series = case.series(*(f"doctor/{net}_stride" for net in nets))
    advice = f"Raise it: {case.advise(change)}" if change else "Check the optimizer, its eps and its schedule."
    yield Finding(name, severity, text, advice, figures, series, change)


def weight_decay(case: Case) -> Iterator[Finding]:
    """Find a weight decay whose pull on the weights is of the size of the loss's gradient."""
    for net in ("D", "G"):
        decay = case.facts.optimisers.get(net, {}).get("weight_decay", 0.0)
        norm, grad = case.now(f"{net}_norm"), case.row(f"{net}/grad_norm")
        size = case.now(f"{net}_weights") / case.facts.sizes.get(net, math.nan)
        ratio = decay * norm / grad if grad > 0 else math.nan
        if decay >= 1e-3 and (ratio > 0.5 or size < 0.5) and case.steps >= 30:
            text = (
                f"The weight decay of {net} outweighs its loss. It pulls with {ratio:.2g} times the loss's gradient, and the "
                f"weights have {size:.0%} of their first size."
            )
            change = {f"{net.lower()}_opt.weight_decay": 0.0}
            advice = f"Switch it off: {case.advise(change)}"
            figures = finite({"weight_decay": decay, "ratio": ratio, "size": size})
            yield Finding(
                "weight decay", bad(case), text, advice, figures, case.series(f"doctor/{net}_weights"), change
            )
            return


def momentum(case: Case) -> Iterator[Finding]:
    """Find a momentum far above what adversarial training bears."""
    for net in ("D", "G"):
        beta1 = case.facts.optimisers.get(net, {}).get("beta1", 0.0)
        if beta1 > 0.93 and case.steps >= 30:
            text = (
                f"The momentum of {net} is high for a GAN. Its beta1 is {beta1:g}; 0 to 0.5 is usual, because the target of each "
                "network moves."
            )
            advice = f"Lower beta1 to 0.5 or 0, in {net.lower()}_opt.betas."
            yield Finding("momentum", bad(case), text, advice, {"beta1": beta1}, {}, {})
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
