"""Measure 20 training steps on a data set, and report the speed, the memory and the time of a whole run."""

import math
import resource
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch

from ganloom import recipes
from ganloom.api import prepare
from ganloom.augment.policy import FEW, Advice
from ganloom.core import allocator
from ganloom.core.device import choose_device, choose_precision
from ganloom.core.names import command_line, printable
from ganloom.lint.rules import lint, refuse
from ganloom.recipes.advice import few_images
from ganloom.report.number_format import duration
from ganloom.training.trainer import TrainConfig, Trainer

STEPS = 20
SECONDS = 60.0
"""The measurement ends after this many steps, or after this many seconds."""
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
    img_per_s: float
    memory: int
    steps: int
    total_kimg: float
    seconds: float
    notes: tuple[str, ...]
    command: str

    def lines(self) -> list[str]:
        """The plan as text."""
        shape = "x".join(map(str, self.shape))
        labels = f", {self.classes} classes" if self.classes else ""
        lines = [
            f"data      {self.data}: {self.images:,} images, trained at {shape}{labels}",
            f"recipe    {self.recipe}: G {self.g_parameters / 1e6:.2f} M, D {self.d_parameters / 1e6:.2f} M parameters, "
            f"batch {self.batch_size}",
            f"machine   {self.device}, {self.precision}: {self.img_per_s:.0f} img/s, {self.memory:,} MiB at the peak "
            f"(measured over {self.steps} steps)",
            f"time      {self.total_kimg:g} kimg take about {duration(self.seconds)}; you can stop with Ctrl-C at any time",
            *[f"note      {note}" for note in self.notes],
            f"next: {self.command}",
        ]
        return [printable(line) for line in lines]


def plan(data: Any, recipe: str = "default", *, device: str = "auto", steps: int = STEPS, **options: Any) -> Plan:
    """Train a recipe for some steps and compute what a whole run takes. Only the cache of decoded images is written.

    Args:
        data: Whatever ``ganloom.data.open`` accepts.
        recipe: The name of a recipe.
        device: "auto", "cpu", "cuda" or "mps".
        steps: Number of steps to measure.
        options: Options of ``ganloom.train``.

    Returns:
        The plan.

    Raises:
        BadInput: An argument cannot be used.
    """
    allocator.keep_freed_blocks()
    module = recipes.find(recipe)
    gan, opened = prepare(recipe, data, **options)
    device = choose_device(device)
    total = _length(len(opened), float(getattr(module, "KIMG", 200.0)))
    warnings = refuse(lint(gan, opened, TrainConfig(total_kimg=total)))
    precision = choose_precision("auto", device, gan)
    trainer = Trainer(gan, opened, TrainConfig(device=device), device=device, bf16=precision == "bf16")
    done, speed = _measure(trainer, steps)
    name = str(data) if isinstance(data, str) else opened.name
    few = few_images(recipe, len(opened), total) if len(opened) < FEW and opened.kind == "images" else None
    advised = {} if few is None else {**few.options, **options}
    return Plan(
        recipe=recipe,
        data=opened.name,
        images=len(opened),
        shape=tuple(opened.shape),
        classes=opened.n_classes,
        device=device,
        precision=precision,
        batch_size=int(gan.cfg.batch_size),
        g_parameters=_parameters(gan.G),
        d_parameters=_parameters(getattr(gan, "D", torch.nn.Identity())),
        img_per_s=speed,
        memory=_peak_memory(device),
        steps=done,
        total_kimg=total,
        seconds=total * 1000 / speed,
        notes=(*warnings, *_notes(opened, recipe, total * 1000 / speed, few)),
        command=command_line(
            ["ganloom", "train", recipe, name, "--total-kimg", f"{total:g}", *_flags(options | advised)]
        ),
    )


def _flags(options: dict[str, Any]) -> list[str]:
    """The options as command-line flags, without those that are off or equal to the default."""
    flags: list[str] = []
    for name, value in options.items():
        if value is None or value is False or (name, value) == ("fit", "crop"):
            continue
        values = [] if value is True else map(str, value) if isinstance(value, tuple | list) else [str(value)]
        flags += ["--" + name.replace("_", "-"), *values]
    return flags


def _measure(trainer: Trainer, steps: int) -> tuple[int, float]:
    """(steps, images per second), without the first three steps."""
    for _ in range(3):
        trainer.train_step()
    start, nimg, done = time.perf_counter(), trainer.nimg, 0
    while done < steps and (done == 0 or time.perf_counter() - start < SECONDS):
        trainer.train_step()
        done += 1
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)
    return done, (trainer.nimg - nimg) / (time.perf_counter() - start)


def _parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def _length(images: int, own: float) -> float:
    """The recipe's length in kimg; longer for large data sets, so that each image is used ten times."""
    return max(own, math.ceil(images / 1000) * 10.0)


def _peak_memory(device: str) -> int:
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device) / 2**20)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (2**20 if sys.platform == "darwin" else 2**10))


def _notes(data: Any, recipe: str, seconds: float, few: Advice | None) -> list[str]:
    notes = []
    if data.bad_files:
        notes.append(f"{len(data.bad_files)} files cannot be read and are left out: `ganloom data check` lists them")
    if few is not None:
        flip = "" if data.flip else "; --flip doubles them if left and right do not matter"
        notes.append(f"{len(data)} images are few, D will memorise them: {few.text}; use the best checkpoint{flip}")
    if data.n_classes > 1:
        notes += _class_notes(data, recipe)
    if seconds > 24 * 3600:
        notes.append("that is more than a day: half the side in --shape takes a quarter of the time")
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
