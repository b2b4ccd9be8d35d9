"""The doctor as a training callback: probe at ticks, add statistics to metrics.jsonl, report findings when they appear or end.

It never changes the training. The interval between probes depends on the model alone and the findings on the rows alone, so a
resumed run writes the same rows as an uninterrupted one.
"""

import dataclasses
import json
import math
import time
from pathlib import Path
from typing import Any

from ganloom.core import json_files, metrics_file
from ganloom.core.output_files import replace_file
from ganloom.doctor import GREY, RED, Facts, Finding, examine, light, probe, probe_cost, record, sentence, waiting
from ganloom.doctor.case import LOOK
from ganloom.doctor.finding import LIGHTS
from ganloom.doctor.record import FILE as FILE
from ganloom.doctor.run_facts import facts_of as facts_of
from ganloom.doctor.run_facts import nets_trained
from ganloom.doctor.run_facts import sizes as sizes_of
from ganloom.report.number_format import kimg as kimg_text
from ganloom.training.callbacks import Callback, Row

SHARE = 0.015
"""Largest share of the training time for probes, by the cost model. A share of 2 % came to 2.1 % (default) and 3.1 % (gan, whose
steps are far faster than the model estimates); the documented limit is 3 %."""
HEAL, PLATEAU = "heal", "plateau"
"""Reasons for which the doctor stops a training."""

CHEAP = 1.0
"""A probe of up to this many seconds, by the cost model, is cheap enough for the early ticks."""
FEWEST, OFTEN = 32, 3
"""Fewest samples of a probe. Ticks between probes up to which the number of samples is not reduced."""


def due(tick: int, every: int, early: bool = True) -> bool:
    """Return whether to probe at a tick.

    Args:
        tick: Number of the tick.
        every: Ticks between probes.
        early: Whether to probe at ticks 1, 2, 3, 5, 8 ... before the first multiple of ``every`` too. Most faults show
            early, and these probes are few.
    """
    if tick % every == 0 or not early:
        return tick % every == 0
    a, b = 1, 2
    while b < min(tick, every):
        a, b = b, a + b
    return 0 < tick < every and tick in (a, b)


class Doctor(Callback):
    """Adds ``doctor/...`` figures, ``light`` and ``doctor`` (a sentence) to each row; writes events "finding" and "cured".

    Args:
        share: Largest share of the training time for probes.
        n: Samples per probe.
        held: Held-out data, or None.
        seed: Seed of the probes.

    Attributes:
        findings: The newest findings.
    """

    def __init__(self, share: float = SHARE, n: int = 256, held: Any = None, seed: int = 0) -> None:
        self.share, self.n, self.held, self.seed = share, n, held, seed
        self.findings: list[Finding] = []
        self.facts = Facts()
        self.rows: list[Row] = []
        self.every = 1
        """Ticks between probes."""
        self.early = True
        """Whether to probe before tick ``every`` too; off if sampling is slow."""
        self._probe: probe.Probe | None = None
        self.seconds = self.prepared = 0.0
        """Seconds spent on probes so far, and on their preparation."""
        self.left_out: dict[str, str] = {}
        """Checks that this model does not support, with the reason; each is reported once per run."""
        self.heals_left = 0
        """How many more times a finding may stop the run to heal it."""

    def on_start(self, trainer: Any) -> None:
        start = time.perf_counter()
        config = _read(trainer, "config.json")
        stored_sizes = _read(trainer, FILE).get("facts", {}).get("sizes", {})
        sizes = sizes_of(trainer.gan, nets_trained(trainer)) if trainer.nimg == 0 else stored_sizes
        self.facts = dataclasses.replace(facts_of(trainer, config, arguments_of(trainer.run_dir)), sizes=sizes)
        for n in (self.n, self.n // 2, self.n // 4):  # fewer samples if probes would otherwise be rare
            n = min(n, len(trainer.data))
            if n < FEWEST:
                break
            self._probe = probe.Probe(trainer, n, self.held, self.seed)
            probe_seconds, train_seconds = probe_cost.cost(trainer, self._probe)
            self.every = max(1, math.ceil(probe_seconds / (self.share * train_seconds * trainer.cfg.kimg_per_tick)))
            self.early = probe_seconds <= max(CHEAP, train_seconds * trainer.cfg.kimg_per_tick)
            if self.every <= OFTEN or (n < self.n and self.early):
                break
        self.facts = dataclasses.replace(self.facts, untrained=self._untrained(trainer))
        self.heals_left = trainer.cfg.heal - len(_read(trainer, FILE).get("heals", []))
        if self.heals_left > 0 and trainer.run_dir is not None:
            if trainer.storage.healthy_checkpoint() is None:  # the state before the first step is healthy
                self.on_healthy(trainer)
        self.left_out = dict(_read(trainer, FILE).get("left_out", {}))
        self.rows = _rows(trainer)
        self.findings = examine(self.rows, self.facts)
        self.prepared = time.perf_counter() - start
        self.seconds = float(_read(trainer, FILE).get("seconds", 0.0)) if trainer.start_nimg else 0.0
        self._write(trainer)

    def _untrained(self, trainer: Any) -> dict[str, float]:
        """Return the figures of samples before the first step; a run that is continued has them in its file."""
        if trainer.nimg:
            stored: dict[str, float] = _read(trainer, FILE).get("facts", {}).get("untrained", {})
            return stored
        return {} if self._probe is None else self._probe.untrained(trainer)

    def on_tick(self, trainer: Any, row: Row) -> None:
        if row.get("partial"):
            return
        start = time.perf_counter()
        self._tick(trainer, row)
        self.seconds += time.perf_counter() - start

    def _tick(self, trainer: Any, row: Row) -> None:
        self.rows = [r for r in self.rows if r["nimg"] < row["nimg"]]
        tick = int(trainer.nimg // (trainer.cfg.kimg_per_tick * 1000))
        if self._probe is not None and due(tick, self.every, self.early):
            row |= {LOOK + name: value for name, value in self._probe.look(trainer, row).items()}
            self._report_left_out(trainer, self._probe.refused)
        self.rows.append(dict(row))
        before, self.findings = self.findings, examine(self.rows, self.facts)
        probed = any(name.startswith(LOOK) for r in self.rows for name in r)
        wait = "" if self.findings else waiting(self.rows, self.facts)
        row |= {"light": GREY if wait else light(self.findings), "doctor": sentence(self.findings, probed, wait)}
        _report_changes(trainer, before, self.findings)
        if before != self.findings:
            self._write(trainer)
        if trainer.checkpoint_due and probed and light(examine(self.rows, self.facts, once=True)) != RED:
            self.on_healthy(trainer)
        if self.heals_left > 0 and curable(self.findings) and not trainer.stop_requested:
            trainer.stop_requested = HEAL
        self._plateau(trainer)

    def _report_left_out(self, trainer: Any, refused: dict[str, str]) -> None:
        """Write one event for the checks that turned out to be unsupported."""
        new = {check: reason for check, reason in refused.items() if check not in self.left_out}
        if new:
            self.left_out |= new
            message = "; ".join(f"{check}: {reason}" for check, reason in new.items())
            trainer.event(
                "left out", f"the doctor skips checks that this model does not support: {message}", {"looks": new}
            )
            self._write(trainer)

    def _plateau(self, trainer: Any) -> None:
        """Stop the training if the best distance is too old."""
        patience = trainer.cfg.stop_on_plateau
        distances = [
            (v, r["kimg"]) for r in self.rows for n, v in r.items() if n.startswith("fd") and isinstance(v, float)
        ]
        if patience is None or not distances or trainer.stop_requested:
            return
        best, at = min(distances)
        if distances[-1][1] == self.rows[-1]["kimg"] and distances[-1][1] - at >= patience:
            trainer.event(
                "plateau",
                f"no improvement for {patience:g} kimg: the best distance, {best:.4g}, was at {kimg_text(at)} kimg",
            )
            trainer.stop_requested = PLATEAU

    def on_healthy(self, trainer: Any) -> None:
        """Record the checkpoint that follows this tick as healthy."""
        if self.heals_left > 0 and trainer.run_dir is not None:
            trainer.storage.mark_healthy(trainer.nimg)

    def on_end(self, trainer: Any, reason: str) -> None:
        if reason == "nan":
            before, self.findings = self.findings, examine(self.rows, self.facts, ended=reason)
            _report_changes(trainer, before, self.findings)
        self._write(trainer, reason)

    def _write(self, trainer: Any, reason: str | None = None) -> None:
        if trainer.run_dir is None:
            return
        state = _read(trainer, FILE)
        findings = [f.to_dict() for f in self.findings]
        state |= {"facts": self.facts.to_dict(), "every": self.every, "findings": findings, "ended": reason}
        state |= {"left_out": self.left_out}
        state |= {"seconds": round(self.seconds, 3), "prepared": round(self.prepared, 3)}
        target = Path(trainer.run_dir) / FILE
        replace_file(target, json.dumps(state, indent=1).encode(), sync=False)


WORTH_HEALING = (
    "penalty off",
    "penalty too strong",
    "D memorises",
    "few images",
    "label smoothing",
    "weight decay",
    "momentum",
)
"""Findings that are healed even if yellow: causes whose effects come later."""


def curable(findings: list[Finding]) -> Finding | None:
    """Return the first finding that a change of settings may fix (red, or one of ``WORTH_HEALING``), or None."""
    fixable = [f for f in findings if f.change and (f.severity == RED or f.name in WORTH_HEALING)]
    return next(iter(fixable), None)


def _report_changes(trainer: Any, before: list[Finding], now: list[Finding]) -> None:
    """Write an event for each finding that appeared, ended or changed its severity."""
    severities = {f.name: f.severity for f in before}
    for finding in now:
        if severities.get(finding.name) != finding.severity:
            figures = {k: v for k, v in finding.figures.items() if math.isfinite(v)}
            details = {"name": finding.name, "severity": finding.severity, "figures": figures, "change": finding.change}
            trainer.event("finding", f"{finding.severity}: {finding}", details)
    for name in severities.keys() - {f.name for f in now}:
        trainer.event("cured", f"{name} is no longer detected", {"name": name})


def _read(trainer: Any, name: str) -> dict[str, Any]:
    path = None if trainer.run_dir is None else Path(trainer.run_dir) / name
    if path is None or not path.exists():
        return {}
    return record.read(path.parent) if name == FILE else json_files.read(path)


def arguments_of(run: Path | None) -> tuple[str, ...]:
    """Return the words of the command that started a run, after "ganloom train"; () if it was started from Python."""
    path = None if run is None else Path(run) / "run.json"
    words = json_files.read(path).get("command") if path is not None and path.exists() else None
    words = words if isinstance(words, list) else []
    return tuple(map(str, words[2:])) if words[:2] == ["ganloom", "train"] else ()


def _rows(trainer: Any) -> list[Row]:
    """Return the rows written before the run was resumed."""
    if trainer.run_dir is None or trainer.start_nimg == 0:
        return []
    return [row for row in read_rows(Path(trainer.run_dir)) if row["nimg"] <= trainer.start_nimg]


def read_rows(run: Path) -> list[Row]:
    """Read the rows of metrics.jsonl; damaged lines and partial rows are skipped."""
    return [row for row in metrics_file.read_rows(run / "metrics.jsonl") if not row.get("partial")]


def worst_of(run: Path) -> str:
    """Return the worst finding at the end of a run, such as "red: mode collapse"; empty if there is none or no doctor.json."""
    findings = record.read(run).get("findings", [])
    first = max(findings, key=lambda f: LIGHTS.index(f["severity"]), default=None)  # the first of equals: the cause
    return "" if first is None else f"{first['severity']}: {first['name']}"


def summary(findings: list[Finding], kimg: float) -> str:
    """Return the findings as text, one per line."""
    if not findings:
        return f"green at {kimg_text(kimg)} kimg: nothing found"
    return "\n".join(f"{f.severity}: {f}" for f in findings)
