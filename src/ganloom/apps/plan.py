"""Measure some training steps on a data set, report speed, memory and time of a whole run, and propose a run that can finish."""

import os
import resource
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch

from ganloom import recipes
from ganloom.apps import plan_recipes
from ganloom.apps.plan_measure import FOR_ANY, Case, Proposal
from ganloom.augment.policy import Advice
from ganloom.core import allocator
from ganloom.core.device import choose_device, choose_precision
from ganloom.core.names import printable
from ganloom.data import translation_layout
from ganloom.report.number_format import duration
from ganloom.report.progress import Report
from ganloom.runs.training_length import UNITS
from ganloom.runs.training_setup import open_for
from ganloom.training.trainer import TrainConfig

STEPS = 20
SECONDS = 60.0
"""The measurement ends after this many steps, or after about this many seconds."""
FULL = 0.6
"""Share of the time for the whole run; the rest is for shorter ones."""
MINUTES = 180.0
"""The time that a run may take, without a word of the user: an evening."""
FEW_EACH = 20
"""With fewer images in a class, labels do not help."""


@dataclass(frozen=True)
class Plan:
    """What a run takes, and the command for it. ``memory`` is the peak of the process, or of the GPU, in MiB."""

    recipe: str
    data: str
    images: int
    shape: tuple[int, ...]
    classes: int
    device: str
    precision: str
    batch_size: int
    g_parameters: int
    d_parameters: int
    img_per_s: float | None
    """None: no step ended within the time of the measurement."""
    memory: int
    steps: int
    measured_batch: int
    """Batch size of the measured steps; smaller than ``batch_size`` if a full step takes too long."""
    unfinished: str
    """What did not end within the time of the measurement; empty if all was done."""
    total_kimg: float
    seconds: float | None
    minutes: float
    """The time that there is."""
    notes: tuple[str, ...]
    full_command: str
    """The command for the whole run."""
    proposal: Proposal | None
    """A run that ends in the given time, if the whole run does not."""

    @property
    def command(self) -> str:
        """The command to run next."""
        return self.full_command if self.proposal is None else self.proposal.command

    def lines(self) -> list[str]:
        """The plan as text."""
        shape = "x".join(map(str, self.shape))
        labels = f", {self.classes} classes" if self.classes else ""
        batch = "" if self.measured_batch == self.batch_size else f" of {self.measured_batch} images"
        many = f"{self.steps} step{'s' * (self.steps != 1)}"
        lines = [
            f"data      {self.data}: {self.images:,} images, trained at {shape}{labels}",
            f"recipe    {self.recipe}: G {self.g_parameters / 1e6:.2f} M, D {self.d_parameters / 1e6:.2f} M parameters, "
            f"batch {self.batch_size}",
        ]
        machine = f"machine   {self.device}, {self.precision}:"
        if self.img_per_s is None or self.seconds is None:
            lines += [
                f"{machine} too slow to measure: {self.unfinished}, {self.memory:,} MiB at the peak",
                f"time      unknown for {self.total_kimg:g} kimg; a larger --seconds measures for longer",
            ]
        else:
            lines += [
                f"{machine} {self.img_per_s:.3g} img/s, {self.memory:,} MiB at the peak (measured over {many}{batch})",
                f"time      {self.total_kimg:g} kimg take about {duration(self.seconds)}; you can stop with Ctrl-C at any "
                "time",
            ]
        if self.proposal is not None:
            p = self.proposal
            about = "" if p.total_kimg is None else f": about {p.total_kimg:.3g} kimg in {duration(p.seconds)}"
            lines.append(f"instead   {p.why}{about}")
        lines += [*[f"note      {note}" for note in self.notes], f"next: {self.command}"]
        return [printable(line) for line in lines]


def plan(
    data: Any,
    recipe: str = "default",
    *,
    device: str = "auto",
    steps: int = STEPS,
    seconds: float = SECONDS,
    minutes: float | None = None,
    progress: Report = None,
    **options: Any,
) -> Plan:
    """Train a recipe for some steps and compute what a whole run takes. Only the cache of decoded images is written.

    Args:
        data: Whatever ``ganloom.data.open`` accepts.
        recipe: The name of a recipe.
        device: "auto", "cpu", "cuda" or "mps".
        steps: Largest number of steps to measure in each stage of the run.
        seconds: About the longest time for the measurement, which includes the time to build the models and to check their
            settings, but not the time to read the data. If no step ends in it, the speed is None.
        minutes: The time that there is for the run. None: ``MINUTES``.
        progress: Called with (what, done, total).
        options: Options of ``ganloom.train``.

    Returns:
        The plan.

    Raises:
        BadInput: An argument cannot be used.
    """
    allocator.keep_freed_blocks()
    have = MINUTES if minutes is None else minutes
    TrainConfig(minutes=have)  # checks the number
    data, recipe, proposed = _for_translation(data, recipe)
    device = choose_device(device)
    of_data = {name: value for name, value in options.items() if name not in UNITS}
    opened = open_for(recipe, data, of_data, progress=progress)
    case = Case(recipe, data, opened, device, progress)
    begin = time.perf_counter()
    full = case.examine(options, FULL * seconds, steps)
    gan, total, found = full.setup.gan, full.total, full.speed
    needed = None if found is None else total * 1000 / found.img_per_s
    left = max(5.0, seconds - (time.perf_counter() - begin))
    better = plan_recipes.suggest(opened) if recipe == plan_recipes.DEFAULT and options.keys() <= set(FOR_ANY) else None
    proposal = None
    if better is not None and better.clear:
        proposal = case.measured_best(better, options, have, left, steps)
    elif needed is None or needed > have * 60 * 1.1:
        proposal = case.proposal(options, have, full, left, steps)
    length = (
        []
        if {"epochs", "steps", "total_kimg"} & options.keys() or options.get("small")
        else ["--total-kimg", f"{total:g}"]
    )
    few = case.few(recipe, total) if proposal is None else case.few(proposal.recipe, proposal.total_kimg or total)
    batch = int(gan.cfg.batch_size)
    return Plan(
        recipe=recipe,
        data=opened.name,
        images=len(opened),
        shape=tuple(opened.shape),
        classes=opened.n_classes,
        device=device,
        precision=choose_precision(full.setup.cfg.precision, device, gan),
        batch_size=batch,
        g_parameters=_parameters(gan.G),
        d_parameters=_parameters(getattr(gan, "D", torch.nn.Identity())),
        img_per_s=None if found is None else found.img_per_s,
        memory=_peak_memory(device),
        steps=0 if found is None else found.steps,
        measured_batch=batch if found is None else found.batch,
        unfinished=full.unfinished,
        total_kimg=total,
        seconds=needed,
        minutes=have,
        notes=(
            *proposed,
            *([better.why] if better is not None and not better.clear else []),
            *opened.notes,
            *full.warnings,
            *_notes(opened, recipe, few),
        ),
        full_command=case.command(recipe, length, options, total),
        proposal=proposal,
    )


def _for_translation(data: Any, recipe: str) -> tuple[Any, str, list[str]]:
    """(data, recipe, notes): image pairs and domains are planned for a recipe that translates, not for the default one."""
    if recipe != "default" or not isinstance(data, str | os.PathLike):
        return data, recipe, []
    found = translation_layout.of_path(os.path.expanduser(os.fspath(data)))
    return (data, recipe, []) if found is None else (found.path, found.recipe, [found.note])


def _parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def _peak_memory(device: str) -> int:
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device) / 2**20)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (2**20 if sys.platform == "darwin" else 2**10))


def _notes(data: Any, recipe: str, few: Advice | None) -> list[str]:
    notes = []
    if data.bad_files:
        notes.append(f"{len(data.bad_files)} files cannot be read and are left out: `ganloom data check` lists them")
    if few is not None:
        flip = "" if data.flip else "; --flip doubles them if left and right do not matter"
        notes.append(f"{len(data)} images are few, D will memorise them: {few.text}; use the best checkpoint{flip}")
    if data.n_classes > 1:
        notes += _class_notes(data, recipe)
    return notes


def _class_notes(data: Any, recipe: str) -> list[str]:
    if not hasattr(recipes.find(recipe).Config(), "n_classes"):
        return [
            f"the data has {data.n_classes} classes: `ganloom train` and `ganloom train cgan` can generate each of them"
        ]
    each = len(data) / data.n_classes
    if each < FEW_EACH:
        return [f"about {each:.0f} images in a class are few: --n-classes 0 trains without labels"]
    return []
