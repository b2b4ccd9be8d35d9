"""Measure some training steps on a data set, report speed, memory and time of a whole run, and propose a run that can finish."""

import dataclasses
import math
import os
import resource
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch

from ganloom import recipes
from ganloom.augment.policy import FEW, Advice
from ganloom.core import allocator
from ganloom.core.device import choose_device, choose_precision
from ganloom.core.names import command_line, printable, word_of
from ganloom.data import translation_layout
from ganloom.lint.rules import lint, refuse
from ganloom.recipes import presets
from ganloom.recipes.advice import few_images
from ganloom.report.number_format import duration
from ganloom.report.progress import Report, stage
from ganloom.runs import speed, training_length
from ganloom.runs.training_setup import TrainingSetup, set_up
from ganloom.training.trainer import TrainConfig, Trainer

STEPS = 20
SECONDS = 60.0
"""The measurement ends after this many steps, or after about this many seconds."""
MINUTES = 180.0
"""The time that a run may take, without a word of the user: an evening."""
FEW_EACH = 20
"""With fewer images in a class, labels do not help."""
AUGMENTING = frozenset({"augment", "diff_augment", "adaptive", "policy"})
"""Options that say how to augment. With one of them, the commands have no other augmentation."""
FOR_ANY = ("shape", "fit", "flip", "labels", "held_out", "seed")
"""Options that every recipe for images has."""
LEAST = 0.1
"""A run for a time must show at least this share of the images of the recipe's small form to be worth proposing."""


@dataclass(frozen=True)
class Proposal:
    """A run that ends in the given time: its command, its length in kimg, and its time in seconds."""

    command: str
    recipe: str
    total_kimg: float
    seconds: float
    why: str


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
    measured_batch: int
    """Batch size of the measured steps; smaller than ``batch_size`` if a full step takes too long."""
    total_kimg: float
    seconds: float
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
            f"machine   {self.device}, {self.precision}: {self.img_per_s:.3g} img/s, {self.memory:,} MiB at the peak "
            f"(measured over {many}{batch})",
            f"time      {self.total_kimg:g} kimg take about {duration(self.seconds)}; you can stop with Ctrl-C at any time",
        ]
        if self.proposal is not None:
            p = self.proposal
            lines.append(f"instead   {p.why}: about {p.total_kimg:.3g} kimg in {duration(p.seconds)}")
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
        seconds: About the longest time for the measurement. At least one step of a few images is measured.
        minutes: The time that there is for the run. None: ``MINUTES``.
        progress: Called with (what, done, total).
        options: Options of ``ganloom.train``.

    Returns:
        The plan.

    Raises:
        BadInput: An argument cannot be used.
    """
    allocator.keep_freed_blocks()
    begin, have = time.perf_counter(), MINUTES if minutes is None else minutes
    TrainConfig(minutes=have)  # checks the number
    data, recipe, proposed = _for_translation(data, recipe)
    device = choose_device(device)
    setup, _ = training_length.set_up_for(recipe, data, options, progress=progress)
    gan, opened = setup.gan, setup.data
    batch = int(gan.cfg.batch_size)
    total = setup.cfg.total_kimg or _length(len(opened), training_length.own_length(setup, small=False))
    stage(progress, "checking the settings")
    warnings = refuse(lint(gan, opened, TrainConfig(total_kimg=total)))
    precision = choose_precision(setup.cfg.precision, device, gan)
    case = _Case(recipe, data, opened, device, setup.cfg.precision, progress)
    found = case.measure(setup, total, seconds / 2, steps)
    needed = total * 1000 / found.img_per_s
    proposal = None
    if needed > have * 60 * 1.1:
        left = max(5.0, seconds - (time.perf_counter() - begin))
        proposal = case.proposal(options, have, found.img_per_s, total, left, steps)
    length = (
        []
        if {"epochs", "steps", "total_kimg"} & options.keys() or options.get("small")
        else ["--total-kimg", f"{total:g}"]
    )
    few = case.few(recipe, total) if proposal is None else case.few(proposal.recipe, proposal.total_kimg)
    return Plan(
        recipe=recipe,
        data=opened.name,
        images=len(opened),
        shape=tuple(opened.shape),
        classes=opened.n_classes,
        device=device,
        precision=precision,
        batch_size=batch,
        g_parameters=_parameters(gan.G),
        d_parameters=_parameters(getattr(gan, "D", torch.nn.Identity())),
        img_per_s=found.img_per_s,
        memory=_peak_memory(device),
        steps=found.steps,
        measured_batch=found.batch,
        total_kimg=total,
        seconds=needed,
        minutes=have,
        notes=(*proposed, *opened.notes, *warnings, *_notes(opened, recipe, few)),
        full_command=case.command(recipe, length, options, total),
        proposal=proposal,
    )


def _for_translation(data: Any, recipe: str) -> tuple[Any, str, list[str]]:
    """(data, recipe, notes): image pairs and domains are planned for a recipe that translates, not for the default one."""
    if recipe != "default" or not isinstance(data, str | os.PathLike):
        return data, recipe, []
    found = translation_layout.of_path(os.path.expanduser(os.fspath(data)))
    return (data, recipe, []) if found is None else (found.path, found.recipe, [found.note])


@dataclass(frozen=True)
class _Case:
    """What is planned: measures recipes on the same data and device, and writes commands for them."""

    recipe: str
    data: Any
    opened: Any
    device: str
    precision: str
    progress: Report

    def measure(self, setup: TrainingSetup, total: float, seconds: float, steps: int) -> speed.Speed:
        """Measure a training that is set up."""
        stage(self.progress, f"measuring training steps of {setup.name}")
        cfg = dataclasses.replace(setup.cfg, device=self.device)
        bf16 = choose_precision(self.precision, self.device, setup.gan) == "bf16"
        trainer = Trainer(setup.gan, setup.data, cfg, device=self.device, bf16=bf16)
        return speed.measure(trainer, total, seconds=seconds, steps=steps, progress=self.progress)

    def measure_with(self, recipe: str, options: dict[str, Any], total: float, seconds: float, steps: int) -> float:
        """Measure a recipe with options of ``ganloom.train``: real images per second."""
        setup = set_up(recipe, self.data, options, progress=self.progress)
        return self.measure(setup, total, seconds, steps).img_per_s

    def few(self, recipe: str, kimg: float) -> Advice | None:
        """The advice for few images for a recipe and a length; None if there are enough."""
        if len(self.opened) >= FEW or self.opened.kind != "images":
            return None
        return few_images(recipe, len(self.opened), kimg)

    def command(self, recipe: str, length: list[str], options: dict[str, Any], kimg: float) -> str:
        """The command that trains, with the advice for few images unless the options say how to augment."""
        few = self.few(recipe, kimg)
        if few is not None and not options.keys() & AUGMENTING:
            options = {**options, **few.options}
        name = os.fspath(self.data) if isinstance(self.data, str | os.PathLike) else self.opened.name
        return command_line(["ganloom", "train", recipe, word_of(name), *length, *_flags(recipe, options)])

    def proposal(
        self, options: dict[str, Any], minutes: float, img_per_s: float, total: float, seconds: float, steps: int
    ) -> Proposal:
        """A run that ends in ``minutes``: the recipe's small form, or that or the same settings for the time."""
        recipe, timed, have = self.recipe, ["--minutes", f"{minutes:g}"], minutes * 60
        without = {key: value for key, value in options.items() if key not in ("total_kimg", *training_length.UNITS)}
        if options.get("small") or recipe not in presets.PLANS:
            kimg = have * img_per_s / 1000
            return self._proposed(recipe, timed, without, kimg, have, f"the same for {minutes:g} minutes")
        small = {**without, "small": True}
        length = float(presets.plan(recipe).options.get("total_kimg", total))
        img_per_s = self.measure_with(recipe, small, length, seconds / 2, steps)
        takes, kimg = length * 1000 / img_per_s, have * img_per_s / 1000
        if takes <= have * 1.1:
            return self._proposed(recipe, [], small, length, takes, "the recipe's small form, --small")
        if kimg >= LEAST * length or recipe == "default" or recipes.find(recipe).MODEL.conditions_on == "images":
            return self._proposed(recipe, timed, small, kimg, have, f"the recipe's small form for {minutes:g} minutes")
        shared = {key: value for key, value in without.items() if key in FOR_ANY}
        kimg = min(100.0, have * self.measure_with("default", shared, 60.0, seconds / 4, steps) / 1000)
        why = f"{recipe} is too slow on this machine, even its small form; the default recipe for {minutes:g} minutes"
        return self._proposed("default", timed, shared, kimg, have, why)

    def _proposed(
        self, recipe: str, length: list[str], options: dict[str, Any], kimg: float, seconds: float, why: str
    ) -> Proposal:
        return Proposal(self.command(recipe, length, options, kimg), recipe, kimg, seconds, why)


def _flags(recipe: str, options: dict[str, Any]) -> list[str]:
    """The options as command-line flags, without those that are off or equal to the default."""
    module = recipes.find(recipe)
    base = {field.name: getattr(module.Config(), field.name) for field in dataclasses.fields(module.Config)}
    base |= presets.small(recipe, module, options.get("total_kimg")) if options.get("small") else {}
    flags = ["--labels", "none"] if options.get("labels") is False else []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is None or (name, value) in (("fit", "crop"), ("direction", "AtoB"), ("held_out", 0.0)):
            continue
        if value is False:
            flags += [] if name in ("flip", "small", "label_maps", "labels") else [flag.replace("--", "--no-", 1)]
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            before = base.get(name)
            for field in dataclasses.fields(value):
                now = getattr(value, field.name)
                if now is not None and now != getattr(before, field.name, field.default):
                    flags += [f"{flag}.{field.name.replace('_', '-')}", *_words(now)]
        else:
            flags += [flag, *([] if value is True else _words(value))]
    return flags


def _words(value: Any) -> list[str]:
    values = presets.flat(tuple(value)) if isinstance(value, tuple | list) else [value]
    return [f"{one:g}" if isinstance(one, float) and float(f"{one:g}") == one else str(one) for one in values]


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
