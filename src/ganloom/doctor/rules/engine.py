"""Apply the rules to the rows of a run. A rule is a pure function of rows and facts; the last row is the newest.

The rules are listed in the order of causes: a cause comes before its effects. Each threshold names its source, or is
"measured" on healthy runs of all recipes and on runs with an injected fault (``ganloom bench doctor``).
"""

import dataclasses
from collections.abc import Sequence

from ganloom.doctor.case import EARLY, LOOK, NOTHING_KNOWN, RECENT, Case, Row, Rule
from ganloom.doctor.finding import RED, Facts, Finding
from ganloom.doctor.rules.balance import strong_d, vanishing_gradients, weak_d
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
from ganloom.doctor.rules.mode_collapse import (
    frozen_latent,
    label_ignored,
    latent_ignored,
    missing_class,
    mode_collapse,
    no_noise,
)
from ganloom.doctor.rules.overfitting import memorising
from ganloom.doctor.rules.settings import learning_rate, penalty_weight

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
)
"""Findings that most causes can explain."""
RULES: tuple[Rule, ...] = (
    Rule(data_range, True, (*HARM, "D memorises")),
    Rule(repeated_batch, True, (*HARM, "D memorises")),
    Rule(shuffled_labels, True, ("c ignored",)),
    Rule(class_not_drawn, True, ()),
    Rule(no_noise, True, HARM),
    Rule(frozen_latent, True, HARM),
    Rule(learning_rate, False, HARM),
    Rule(penalty_weight, False, HARM),
    Rule(nan_samples, True, HARM),
    Rule(vanishing_gradients, False, HARM),
    Rule(memorising, False, HARM),
    Rule(constant_channel, True, ()),
    Rule(repeated_data, True, ()),
    Rule(strong_d),
    Rule(growing_weights),
    Rule(mode_collapse),
    Rule(latent_ignored),
    Rule(label_ignored),
    Rule(missing_class),
    Rule(oscillating_losses),
    Rule(weak_d),
    Rule(dead_channels),
    Rule(checkerboard),
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
        effects = [f.severity for _, f in findings if f.name in rule.explains and f.name != finding.name]
        result.append(dataclasses.replace(finding, severity=RED) if RED in effects else finding)
    return sorted(result, key=lambda f: f.severity != RED)  # a stable sort: causes stay before effects


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
