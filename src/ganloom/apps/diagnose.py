"""`ganloom doctor RUN`: what is wrong with a run, from its folder: rows, events, and where need be a look at its checkpoint."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganloom.core.errors import BadInput
from ganloom.doctor import RED, Facts, Finding, examine, light
from ganloom.doctor.callback import FILE, read_rows
from ganloom.doctor.case import LOOK
from ganloom.doctor.probe import Probe
from ganloom.doctor.run_facts import facts_of
from ganloom.report.figures import kimg as said
from ganloom.report.figures import short
from ganloom.runs import checkpoint, manifest
from ganloom.runs.folder import Folder
from ganloom.training.storage import NoStorage
from ganloom.training.trainer import Trainer

SAMPLES = 512
"""Of a look at a checkpoint, which need not be quick."""
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Diagnosis:
    """A run's findings."""

    run: str
    kimg: float
    light: str
    findings: list[Finding]
    figures: dict[str, float]
    """The newest figures of the doctor, by name."""
    equilibrium: tuple[float, float] | None
    losses: dict[str, float]
    heals: list[dict[str, Any]]
    best: str | None
    cost: tuple[float, float]
    """Seconds of the doctor's ticks, and of training."""
    left_out: dict[str, str]
    """Looks that the model does not allow, and why."""
    looked: str
    """"rows" of the training, its "checkpoint", or "nothing": too short a run."""

    @property
    def exit_code(self) -> int:
        """1 when something is red."""
        return 1 if self.light == RED else 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        found = [f"{self.light}: {self.run} at {said(self.kimg)} kimg, {_count(len(self.findings))}"]
        for f in self.findings:
            found += [f"  {f.severity:<6} {f.name}: {f.text}", f"         {f.advice}"]
            found += [
                f"         {name} {bars(points)} {short(points[-1][1])}"
                for name, points in f.series.items()
                if len(points) > 1
            ]
        if self.losses:
            pairs = [f"{net} {short(value)}" for net, value in self.losses.items()]
            level = (
                "no level of its own"
                if self.equilibrium is None
                else f"in balance D {self.equilibrium[0]:.3f}, G {self.equilibrium[1]:.3f}"
            )
            found.append(f"  losses: {', '.join(pairs)} ({level})")
        names = (
            "diversity",
            "duplicates",
            "coverage",
            "precision",
            "D_accuracy",
            "D_overlap",
            "memorised",
            "pull",
            "D_stride",
            "G_stride",
        )
        shown = [f"{name} {short(self.figures[name])}" for name in names if name in self.figures]
        if shown:
            found.append(f"  figures: {', '.join(shown)}")
        found += [f"  healed: {h['finding']} by {h['change']}, back to {h['back_to']}" for h in self.heals]
        found += [f"  not looked at: {look} ({why})" for look, why in self.left_out.items()]
        if self.cost[1] > 0:
            found.append(
                f"  cost: {self.cost[0]:.2g} s of {self.cost[1]:.3g} s of training ({self.cost[0] / self.cost[1]:.1%})"
            )
        if self.looked == "nothing":
            found.append("  the run is too short for a verdict: train longer")
        if self.best is not None:
            found.append(f"  best checkpoint: {self.best}")
        return found


def _count(n: int) -> str:
    return "nothing found" if n == 0 else "1 finding" if n == 1 else f"{n} findings"


def bars(points: Sequence[tuple[float, float]], width: int = 24) -> str:
    """A curve in one line of text."""
    values = [v for _, v in points[-width:]]
    low, high = min(values), max(values)
    span = high - low or 1.0
    return "".join(BARS[min(len(BARS) - 1, int((v - low) / span * len(BARS)))] for v in values)


def diagnose(run: str | Path, probe: bool = False) -> Diagnosis:
    """Findings of a run that trains, was stopped or is finished. ``probe``: look at the newest checkpoint too.

    A run without figures of the doctor (--no-doctor, or an old one) is probed in any case. Raises BadInput.
    """
    folder = Folder(Path(run))
    folder.require()
    rows = read_rows(folder.path)
    ended = "nan" if folder.read("run.json").get("exit_reason") == "nan" else None
    kept = folder.read(FILE)
    facts, left_out = Facts.from_dict(kept.get("facts", {})), dict(kept.get("left_out", {}))
    looked = "rows" if any(name.startswith(LOOK) for row in rows for name in row) else "nothing"
    if (probe or looked == "nothing") and checkpoint.names(folder.checkpoints):
        facts, fresh, left_out = _look(folder)
        last = rows[-1] if rows else fresh[0]
        rows = [*rows, *({**last, **row} for row in fresh)]
        looked = "checkpoint"
    findings = examine(rows, facts, ended)
    newest = next((row for row in reversed(rows) if any(n.startswith(LOOK) for n in row)), {})
    figures = {name.removeprefix(LOOK): value for name, value in newest.items() if name.startswith(LOOK)}
    final = rows[-1] if rows else {}
    losses = {
        name.split("/")[0]: value for name, value in final.items() if name.endswith("/adv") and isinstance(value, float)
    }
    return Diagnosis(
        str(run), float(final.get("kimg", 0.0)), light(findings), findings, figures, facts.equilibrium, losses,
        kept.get("heals", []), checkpoint.pointer(folder.checkpoints, "best"),
        (float(kept.get("seconds", 0.0)), float(final.get("seconds", 0.0))), left_out, looked,
    )  # fmt: skip


def _look(folder: Folder) -> tuple[Facts, list[dict[str, Any]], dict[str, str]]:
    """Facts, two probes by different seeds of the newest checkpoint, and the looks that it does not allow."""
    described = folder.read("config.json")
    trainer = open_trainer(folder, described)
    held = manifest.held_out(trainer.data, folder.path)
    n = min(SAMPLES, len(trainer.data))
    if n < 32:
        raise BadInput(f"{folder.path} trains on {n} images: a verdict needs at least 32")
    rows, left_out = [], dict[str, str]()
    for seed in (1, 2):
        row = {"kimg": trainer.nimg / 1000, "nimg": trainer.nimg, "step": trainer.step}
        probe = Probe(trainer, n, held, seed)
        rows.append(row | {LOOK + k: v for k, v in probe.look(trainer, row).items()})
        left_out |= probe.refused
    return facts_of(trainer, described), rows, left_out


def open_trainer(folder: Folder, described: dict[str, Any]) -> Trainer:
    """The trainer of a run, where its newest whole checkpoint left it."""
    gan, data, cfg = manifest.reopen(folder, described)
    trainer = Trainer(gan, data, dataclasses.replace(cfg, device="cpu"), device="cpu", storage=NoStorage(folder.path))
    found = checkpoint.load(folder.checkpoints)
    trainer.load_state(found.tensors, found.state)
    return trainer
