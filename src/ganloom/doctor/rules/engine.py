"""Apply the rules to the rows of a run. A rule is a pure function of rows and facts; the last row is the newest.

The rules are listed in the order of causes: a cause comes before its effects. Each threshold names its source, or is
"measured" on healthy runs of all recipes and on runs with an injected fault (``ganloom bench doctor``).
"""

import dataclasses
from collections.abc import Sequence

from ganloom.doctor.case import EARLY, LOOK, NOTHING_KNOWN, RECENT, Case, Row, Rule, number
from ganloom.doctor.finding import RED, Facts, Finding
from ganloom.doctor.rules.balance import strong_d, vanishing_gradients, weak_d
from ganloom.doctor.rules.captions import (
    captions_differ,
    captions_equal,
    captions_ignored,
    captions_shuffled,
    d_ignores_captions,
)
from ganloom.doctor.rules.convergence import (
    dead_channels,
    growing_weights,
    nan_samples,
    nan_training,
    oscillating_losses,
)
from ganloom.doctor.rules.data import (
    class_not_drawn,
    constant_channel,
    data_range,
    repeated_batch,
    repeated_data,
    shuffled_labels,
)
from ganloom.doctor.rules.image_quality import best_is_behind, checkerboard
from ganloom.doctor.rules.inputs import (
    images_changed,
    inputs_differ,
    labels_differ,
    latents,
    network_too_small,
    noisy_d,
    noisy_output,
    sample_range,
    strong_noise,
    unmixed_batches,
)
from ganloom.doctor.rules.learning import (
    GOOD,
    YOUNG,
    good,
    lagging_average,
    no_progress,
    norm_statistics,
    nothing_learned,
    poor,
)
from ganloom.doctor.rules.losses import (
    bounded_logits,
    calls_reals_fake,
    dominating_term,
    label_smoothing,
    loss_scale,
    missing_term,
    mixed_targets,
    wrong_sign,
)
from ganloom.doctor.rules.mode_collapse import (
    frozen_latent,
    label_ignored,
    latent_ignored,
    missing_class,
    mode_collapse,
    no_noise,
)
from ganloom.doctor.rules.overfitting import memorising, small_data
from ganloom.doctor.rules.settings import learning_rate, penalty_weight
from ganloom.doctor.rules.updates import (
    gradient_clip,
    low_rate,
    momentum,
    not_updated,
    update_ratio,
    weight_decay,
    zero_gradient,
)

HARM = (
    "D too strong",
    "D too weak",
    "not converging",
    "mode collapse",
    "diverged",
    "vanishing gradients",
    "class missing",
    "c ignored",
    "z ignored",
    "dead channels",
    "checkerboard",
    "nothing is learned",
    "no progress",
    "D memorises",
)
"""Findings that most causes can explain."""
LOGITS = (*HARM, "loss scale", "bounded logits", "D learning rate", "G learning rate", "learning rates")
"""Findings that a fault of a loss or of D's inputs can explain."""
RULES: tuple[Rule, ...] = (
    Rule(not_updated, True, (*LOGITS, "EMA lags", "norm statistics", "sample range", "z ignored")),
    Rule(data_range, True, (*LOGITS, "images changed")),
    Rule(repeated_batch, True, (*LOGITS, "images changed")),
    Rule(unmixed_batches, True, (*LOGITS, "images changed", "labels differ", "inputs differ")),
    Rule(images_changed, True, (*LOGITS, "labels shuffled", "inputs differ")),
    Rule(shuffled_labels, True, ("c ignored", "labels differ")),
    Rule(labels_differ, False, (*HARM, "inputs differ")),
    Rule(captions_equal, True, ("D ignores captions", "captions ignored")),
    Rule(captions_shuffled, True, ("D ignores captions", "captions ignored")),
    Rule(captions_differ, False, (*HARM, "D ignores captions", "captions ignored")),
    Rule(wrong_sign, False, (*LOGITS, "sample range")),
    Rule(mixed_targets, False, LOGITS),
    Rule(missing_term, False, (*LOGITS, "wrong sign", "sample range")),
    Rule(inputs_differ, False, LOGITS),
    Rule(strong_noise, True, LOGITS),
    Rule(class_not_drawn, True, (), raises=False),
    Rule(no_noise, True, HARM),
    Rule(frozen_latent, True, HARM),
    Rule(latents, False, HARM),
    Rule(gradient_clip, False, LOGITS),
    Rule(weight_decay, False, (*LOGITS, "sample range")),
    Rule(learning_rate, False, LOGITS),
    Rule(update_ratio, True, LOGITS),
    Rule(low_rate, False, LOGITS),
    Rule(penalty_weight, False, (*LOGITS, "other term dominates")),
    Rule(sample_range, False, LOGITS),
    Rule(label_smoothing, True, LOGITS),
    Rule(dominating_term, False, LOGITS),
    Rule(momentum, True, HARM),
    Rule(nan_samples, True, HARM),
    Rule(calls_reals_fake, False, LOGITS),
    Rule(bounded_logits, False, HARM),
    Rule(loss_scale, False, HARM),
    Rule(zero_gradient, False, HARM),
    Rule(network_too_small, True, HARM),
    Rule(noisy_d, False, (*LOGITS, "mixed targets")),
    Rule(noisy_output, False, (*LOGITS, "norm statistics")),
    Rule(norm_statistics, False, (*HARM, "EMA lags")),
    Rule(lagging_average, False, HARM),
    Rule(vanishing_gradients, False, HARM),
    Rule(memorising, False, HARM),
    Rule(constant_channel, True, (), raises=False),
    Rule(repeated_data, True, (), raises=False),
    Rule(strong_d),
    Rule(growing_weights),
    Rule(mode_collapse),
    Rule(latent_ignored),
    Rule(label_ignored),
    Rule(d_ignores_captions, False, ("captions ignored",)),
    Rule(captions_ignored),
    Rule(missing_class),
    Rule(oscillating_losses),
    Rule(weak_d),
    Rule(dead_channels),
    Rule(checkerboard),
    Rule(nothing_learned, True),
    Rule(no_progress, True),
    Rule(small_data, raises=False),
    Rule(best_is_behind, True),
)


def examine(
    rows: Sequence[Row], facts: Facts = NOTHING_KNOWN, ended: str | None = None, once: bool = False
) -> list[Finding]:
    """Return all findings at the newest row.

    Args:
        rows: Rows of metrics.jsonl, oldest first.
        facts: What is known about the run.
        ended: Why the run ended ("nan" for a NaN or an infinity), None while it trains.
        once: Report a finding that appears only at the newest probe. Otherwise a finding that may be chance
            (``Rule.sure`` is false) must appear at the last two probes.

    Returns:
        Findings, red before yellow and causes before effects. A cause is as severe as its worst effect.
    """
    rows = [r for r in rows if not r.get("partial")]
    if len(rows) > EARLY + RECENT:
        rows = [*rows[:EARLY], *rows[-RECENT:]]
    probes = [r for r in rows if any(name.startswith(LOOK) for name in r)]
    findings = _apply_rules(probes, rows, facts, once) if probes else []
    if ended == "nan":
        findings.insert(0, (Rule(nan_samples, True, HARM), nan_training(Case(probes, rows, facts))))
    result = []
    for rule, finding in findings:
        effects = [f.severity for r, f in findings if r.raises and f.name in rule.explains and f.name != finding.name]
        result.append(dataclasses.replace(finding, severity=RED) if RED in effects else finding)
    return sorted(result, key=lambda f: f.severity != RED)  # a stable sort: causes stay before effects


def waiting(rows: Sequence[Row], facts: Facts = NOTHING_KNOWN) -> str:
    """Return why a run without findings is not green yet; "" if it is.

    Args:
        rows: Rows of metrics.jsonl, oldest first.
        facts: What is known about the run.
    """
    rows = [r for r in rows if not r.get("partial")]
    probes = [r for r in rows if any(name.startswith(LOOK) for name in r)]
    steps = Case(probes, rows, facts).steps
    if not probes or steps < YOUNG:
        return f"too early to say ({steps:.0f} of {YOUNG} steps)"
    case = Case(probes, rows, facts)
    if not good(case):
        far, covered = (number(probes[-1].get(LOOK + name)) for name in ("distance", "coverage"))
        state = "still poor" if poor(case) else "not good yet"
        return (
            f"no fault found, but the samples are {state} (distance {far:.2f}; they cover {covered:.0%} of the data, "
            f"good is {GOOD:.0%})"
        )
    return ""


def _apply_rules(probes: Sequence[Row], rows: Sequence[Row], facts: Facts, once: bool) -> list[tuple[Rule, Finding]]:
    """Apply each rule to the newest probe and, if it is not sure, to the one before; keep the first finding of a name."""
    now = Case(probes, rows[: rows.index(probes[-1]) + 1], facts)
    before = Case(probes[:-1], rows[: rows.index(probes[-2]) + 1], facts) if len(probes) > 1 else None
    findings: list[tuple[Rule, Finding]] = []
    for rule in RULES:
        for finding in rule.find(now):
            confirmed = once or rule.sure or (before and any(f.name == finding.name for f in rule.find(before)))
            if confirmed and all(f.name != finding.name for _, f in findings):
                findings.append((rule, finding))
    return findings
