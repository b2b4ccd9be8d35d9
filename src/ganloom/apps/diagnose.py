"""`ganloom doctor RUN`: diagnose a run from its statistics, and from its newest checkpoint if needed."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path, printable
from ganloom.doctor import GREY, RED, Facts, Finding, examine, light, waiting
from ganloom.doctor.callback import FILE, arguments_of, read_rows
from ganloom.doctor.case import LOOK
from ganloom.doctor.probe import Probe
from ganloom.doctor.run_facts import facts_of
from ganloom.report.number_format import kimg as kimg_text
from ganloom.report.number_format import short
from ganloom.runs import checkpoint, manifest
from ganloom.runs.folder import Folder
from ganloom.runs.run_storage import load_state
from ganloom.training.storage import NoStorage
from ganloom.training.trainer import Trainer

SAMPLES = 512
"""Samples for the examination of a checkpoint, which need not be quick."""
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Diagnosis:
    """The findings of a run."""

    run: str
    kimg: float
    light: str
    findings: list[Finding]
    figures: dict[str, float]
    """The newest values of the doctor's measurements, by name."""
    equilibrium: tuple[float, float] | None
    losses: dict[str, float]
    heals: list[dict[str, Any]]
    best: str | None
    cost: tuple[float, float]
    """Seconds that the doctor took, and seconds of training."""
    left_out: dict[str, str]
    """Examinations that the model does not allow, and why."""
    looked: str
    """"rows" of the training, its "checkpoint", or "nothing": too short a run."""
    waiting: str = ""
    """Why a run without findings is not green yet."""

    @property
    def exit_code(self) -> int:
        """1 if something is red."""
        return 1 if self.light == RED else 0

    def to_dict(self) -> dict[str, Any]:
        """The findings as plain data."""
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """The findings as text."""
        text = [
            f"{self.light}: {self.run} at {kimg_text(self.kimg)} kimg, {self.waiting or _count(len(self.findings))}"
        ]
        for f in self.findings:
            text += [f"  {f.severity:<6} {f.name}: {f.text}", f"         {f.advice}"]
            text += [
                f"         {name} {bars(points)} {short(points[-1][1])}"
                for name, points in f.series.items()
                if len(points) > 1
            ]
        if self.losses:
            pairs = [f"{net} {short(value)}" for net, value in self.losses.items()]
            level = (
                "this loss has no fixed level"
                if self.equilibrium is None
                else f"at equilibrium D {self.equilibrium[0]:.3f}, G {self.equilibrium[1]:.3f}"
            )
            text.append(f"  losses: {', '.join(pairs)} ({level})")
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
        figures = [f"{name} {short(self.figures[name])}" for name in names if name in self.figures]
        if figures:
            text.append(f"  figures: {', '.join(figures)}")
        text += [f"  healed: {h['finding']} by {h['change']}, back to {h['back_to']}" for h in self.heals]
        text += [f"  not examined: {look} ({why})" for look, why in self.left_out.items()]
        if self.cost[1] > 0:
            text.append(
                f"  cost: {self.cost[0]:.2g} s of {self.cost[1]:.3g} s of training ({self.cost[0] / self.cost[1]:.1%})"
            )
        if self.looked == "nothing":
            text.append("  the run is too short to diagnose: train longer")
        if self.best is not None:
            text.append(f"  best checkpoint: {self.best}")
        return [printable(line) for line in text]


def _count(n: int) -> str:
    return "nothing found" if n == 0 else "1 finding" if n == 1 else f"{n} findings"


def bars(points: Sequence[tuple[float, float]], width: int = 24) -> str:
    """Draw a curve in one line of text.

    Args:
        points: (kimg, value) pairs.
        width: Number of points to show, from the last one back.

    Returns:
        One block character for each point.
    """
    values = [v for _, v in points[-width:]]
    low, high = min(values), max(values)
    span = high - low or 1.0
    return "".join(BARS[min(len(BARS) - 1, int((v - low) / span * len(BARS)))] for v in values)


def diagnose(run: str | Path, probe: bool = False) -> Diagnosis:
    """Diagnose a run that is training, was stopped or is finished.

    Args:
        run: The run folder.
        probe: Also examine the newest checkpoint. Runs without measurements of the doctor are always examined.

    Returns:
        The findings.

    Raises:
        BadInput: There is no run, or it cannot be examined.
    """
    folder = Folder(as_path(run))
    folder.require()
    folder.read("config.json")  # a damaged one is refused, though only a probe needs it
    rows = read_rows(folder.path)
    ended = "nan" if folder.read("run.json").get("exit_reason") == "nan" else None
    saved = folder.read(FILE)
    facts, left_out = Facts.from_dict(saved.get("facts", {})), dict(saved.get("left_out", {}))
    looked = "rows" if any(name.startswith(LOOK) for row in rows for name in row) else "nothing"
    if (probe or looked == "nothing") and checkpoint.names(folder.checkpoints):
        known = facts
        facts, fresh, left_out = _examine_checkpoint(folder)
        facts = dataclasses.replace(
            facts, sizes=known.sizes, untrained=known.untrained, arguments=known.arguments or arguments_of(folder.path)
        )
        last = rows[-1] if rows else fresh[0]
        rows = [*rows, *({**last, **row} for row in fresh)]
        looked = "checkpoint"
    with json_files.blaming(folder.path, "measurements in doctor.json and metrics.jsonl that cannot be examined"):
        findings = examine(rows, facts, ended)
        wait = "" if findings else waiting(rows, facts)
    newest = next((row for row in reversed(rows) if any(n.startswith(LOOK) for n in row)), {})
    figures = {name.removeprefix(LOOK): value for name, value in newest.items() if name.startswith(LOOK)}
    final = rows[-1] if rows else {}
    losses = {
        name.split("/")[0]: value for name, value in final.items() if name.endswith("/adv") and isinstance(value, float)
    }
    return Diagnosis(
        str(run), float(final.get("kimg", 0.0)), GREY if wait else light(findings), findings, figures, facts.equilibrium, losses,
        saved.get("heals", []), checkpoint.pointer(folder.checkpoints, "best"),
        (float(saved.get("seconds", 0.0)), float(final.get("seconds", 0.0))), left_out, looked, wait,
    )  # fmt: skip


def _examine_checkpoint(folder: Folder) -> tuple[Facts, list[dict[str, Any]], dict[str, str]]:
    """The facts of a run, two probes of its newest checkpoint with different seeds, and what the model does not allow."""
    described = folder.read("config.json")
    trainer = open_trainer(folder, described)
    held = manifest.held_out(trainer.data, folder.path)
    n = min(SAMPLES, len(trainer.data))
    if n < 32:
        raise BadInput(f"{folder.path} trains on {n} images: a diagnosis needs at least 32")
    rows, left_out = [], dict[str, str]()
    for seed in (1, 2):
        row = {"kimg": trainer.nimg / 1000, "nimg": trainer.nimg, "step": trainer.step}
        probe = Probe(trainer, n, held, seed)
        rows.append(row | {LOOK + k: v for k, v in probe.look(trainer, row).items()})
        left_out |= probe.refused
    return facts_of(trainer, described), rows, left_out


def open_trainer(folder: Folder, described: dict[str, Any]) -> Trainer:
    """Load a trainer from the newest complete checkpoint of a run.

    Args:
        folder: The run folder.
        described: Its config.json.

    Returns:
        The trainer, on the CPU.
    """
    gan, data, cfg = manifest.reopen(folder, described)
    with json_files.blaming(folder.path / "config.json", "a training that is not possible"):
        cfg = dataclasses.replace(cfg, device="cpu")
        trainer = Trainer(gan, data, cfg, device="cpu", storage=NoStorage(folder.path))
    loaded = checkpoint.load(folder.checkpoints)
    load_state(trainer, loaded)
    return trainer
