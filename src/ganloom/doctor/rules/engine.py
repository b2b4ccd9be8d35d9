"""From rows of figures to findings. A rule is a pure function of (rows, facts); the newest row is the last.

Rules stand in the order of causes: what lies further up explains what comes after it. Each threshold has its source, or the
measurement it rests on ("measured": healthy runs of all recipes and runs with a fault, ``ganloom bench doctor``).
"""

import dataclasses
from collections.abc import Sequence

from ganloom.doctor.case import EARLY, LOOK, NOTHING_KNOWN, RECENT, Case, Row, Rule
from ganloom.doctor.finding import RED, Facts, Finding
from ganloom.doctor.rules.balance import growing, oscillating, strong_d, weak_d
from ganloom.doctor.rules.data import (
    class_not_drawn,
    constant_channel,
    data_range,
    frozen_latent,
    labels_fit,
    no_noise,
    repeated_batch,
    repeated_data,
)
from ganloom.doctor.rules.samples import (
    best_behind,
    c_ignored,
    checkerboard,
    collapse,
    dead_channels,
    lost_classes,
    z_ignored,
)
from ganloom.doctor.rules.settings import bad_samples, learning_rate, memorising, penalty_off, slower, vanishing

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
RULES: tuple[Rule, ...] = (
    Rule(data_range, True, (*HARM, "D memorises")),
    Rule(repeated_batch, True, (*HARM, "D memorises")),
    Rule(labels_fit, True, ("c ignored",)),
    Rule(class_not_drawn, True, ()),
    Rule(no_noise, True, HARM),
    Rule(frozen_latent, True, HARM),
    Rule(learning_rate, False, HARM),
    Rule(penalty_off, False, HARM),
    Rule(bad_samples, True, HARM),
    Rule(vanishing, False, HARM),
    Rule(memorising, False, HARM),
    Rule(constant_channel, True, ()),
    Rule(repeated_data, True, ()),
    Rule(strong_d),
    Rule(growing),
    Rule(collapse),
    Rule(z_ignored),
    Rule(c_ignored),
    Rule(lost_classes),
    Rule(oscillating),
    Rule(weak_d),
    Rule(dead_channels),
    Rule(checkerboard),
    Rule(best_behind, True),
)


def examine(
    rows: Sequence[Row], facts: Facts = NOTHING_KNOWN, ended: str | None = None, once: bool = False
) -> list[Finding]:
    """All findings at the newest row, the cause before what it causes; ``ended``: the reason of a run that has ended.

    A finding that is not sure must be there at the last two probes, unless ``once``. A cause is as severe as the worst that
    it explains.
    """
    rows = [r for r in rows if not r.get("partial")]
    if len(rows) > EARLY + RECENT:
        rows = [*rows[:EARLY], *rows[-RECENT:]]
    looks = [r for r in rows if any(name.startswith(LOOK) for name in r)]
    found: list[tuple[Rule, Finding]] = []
    if looks:
        at = rows.index(looks[-1]) + 1
        now = Case(looks, rows[:at], facts)
        before = Case(looks[:-1], rows[: rows.index(looks[-2]) + 1], facts) if len(looks) > 1 else None
        for rule in RULES:
            for finding in rule.find(now):
                again = once or rule.sure or (before and any(f.name == finding.name for f in rule.find(before)))
                if again and all(f.name != finding.name for _, f in found):
                    found.append((rule, finding))
    if ended == "nan":
        case = Case(looks, rows, facts)
        change = slower(case, 0.1)
        finding = Finding(
            "diverged", RED, "training met a NaN or an infinity", f"slow down: {case.advise(change)}", {}, {}, change
        )
        found.insert(0, (Rule(bad_samples, True, HARM), finding))
    result = []
    for rule, finding in found:
        caused = [f.severity for _, f in found if f.name in rule.explains and f.name != finding.name]
        result.append(dataclasses.replace(finding, severity=RED) if RED in caused else finding)
    return sorted(result, key=lambda f: f.severity != RED)  # stable: causes stay first
