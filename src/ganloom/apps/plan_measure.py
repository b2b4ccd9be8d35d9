"""Measure a recipe for `ganloom plan` within a limit of time, and propose a run that can finish."""

import dataclasses
import math
import os
import time
from dataclasses import dataclass
from typing import Any

import torch

from ganloom import recipes
from ganloom.apps.plan_recipes import Suggestion
from ganloom.augment.policy import FEW, Advice
from ganloom.core.device import choose_precision
from ganloom.core.names import command_line, word_of
from ganloom.core.time_limit import TimeUp, limited
from ganloom.lint.rules import lint, refuse
from ganloom.recipes import presets
from ganloom.recipes.advice import few_images
from ganloom.report.number_format import duration
from ganloom.report.progress import Report, stage
from ganloom.runs import speed, training_length
from ganloom.runs.training_setup import TrainingSetup, set_up
from ganloom.training.trainer import TrainConfig, Trainer

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
    total_kimg: float | None
    """None: the speed is not known."""
    seconds: float
    why: str


@dataclass(frozen=True)
class Examined:
    """A recipe with its settings: its length in kimg, its speed, and what was not done because the time was over."""

    setup: TrainingSetup
    total: float
    speed: speed.Speed | None
    warnings: tuple[str, ...] = ()
    unfinished: str = ""


@dataclass(frozen=True)
class Case:
    """What is planned: measures recipes on the same data and device, and writes commands for them."""

    recipe: str
    data: Any
    opened: Any
    device: str
    progress: Report

    def examine(self, options: dict[str, Any], seconds: float, steps: int) -> Examined:
        """Build the model, check its settings and measure its speed, for at most about so many seconds."""
        begin, doing, checked = time.perf_counter(), "building the model", False
        warnings: tuple[str, ...] = ()
        try:
            with limited(seconds):
                setup, _ = training_length.set_up_for(self.recipe, self.data, options, None, self.progress, self.opened)
                total, doing = self._total(setup), "checking the settings"
                stage(self.progress, doing)
                warnings, checked = tuple(refuse(lint(setup.gan, self.opened, TrainConfig(total_kimg=total)))), True
                doing = "a first training step"
                found = self._measure(setup, total, seconds - (time.perf_counter() - begin), steps)
            return Examined(setup, total, found, warnings)
        except TimeUp:
            spent = duration(time.perf_counter() - begin)
        with torch.device("meta"):  # the sizes of the model without its memory
            setup, _ = training_length.set_up_for(self.recipe, self.data, options, None, None, self.opened)
        if not checked:
            warnings = (
                "the settings are not checked yet, because the time was over: `ganloom train` checks them first",
            )
        return Examined(setup, self._total(setup), None, warnings, f"{doing} was not finished after {spent}")

    def _total(self, setup: TrainingSetup) -> float:
        return setup.cfg.total_kimg or _length(len(self.opened), training_length.own_length(setup, small=False))

    def _measure(self, setup: TrainingSetup, total: float, seconds: float, steps: int) -> speed.Speed:
        """Measure a training that is set up."""
        stage(self.progress, f"measuring training steps of {setup.name}")
        cfg = dataclasses.replace(setup.cfg, device=self.device)
        bf16 = choose_precision(setup.cfg.precision, self.device, setup.gan) == "bf16"
        trainer = Trainer(setup.gan, setup.data, cfg, device=self.device, bf16=bf16)
        return speed.measure(trainer, total, seconds=seconds, steps=steps, progress=self.progress)

    def quick(self, recipe: str, options: dict[str, Any], total: float, seconds: float, steps: int) -> float:
        """Measure a recipe with options of ``ganloom.train``: real images per second; 0 if no step ends in the time."""
        begin = time.perf_counter()
        try:
            with limited(2 * seconds):
                setup = set_up(recipe, self.data, options, progress=self.progress)
                left = max(1.0, seconds - (time.perf_counter() - begin))
                return self._measure(setup, total, left, steps).img_per_s
        except TimeUp:
            return 0.0

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

    def proposal(self, options: dict[str, Any], minutes: float, full: Examined, seconds: float, steps: int) -> Proposal:
        """A run that ends in ``minutes``: the recipe's small form, or that or the same settings for the time."""
        recipe, timed, have = self.recipe, ["--minutes", f"{minutes:g}"], minutes * 60
        without = {key: value for key, value in options.items() if key not in ("total_kimg", *training_length.UNITS)}
        if options.get("small") or recipe not in presets.PLANS:
            kimg = 0.0 if full.speed is None else have * full.speed.img_per_s / 1000
            return self._proposed(recipe, timed, without, kimg, have, f"the same for {minutes:g} minutes")
        small = {**without, "small": True}
        length = float(presets.plan(recipe).options.get("total_kimg", full.total))
        img_per_s = self.quick(recipe, small, length, seconds / 2, steps)
        takes, kimg = length * 1000 / max(img_per_s, 1e-9), have * img_per_s / 1000
        if takes <= have * 1.1:
            return self._proposed(recipe, [], small, length, takes, "the recipe's small form, --small")
        if kimg >= LEAST * length or recipe == "default" or recipes.find(recipe).MODEL.conditions_on == "images":
            return self._proposed(recipe, timed, small, kimg, have, f"the recipe's small form for {minutes:g} minutes")
        shared = {key: value for key, value in without.items() if key in FOR_ANY}
        kimg = min(100.0, have * self.quick("default", shared, 60.0, seconds / 4, steps) / 1000)
        why = f"{recipe} is too slow on this machine, even its small form; the default recipe for {minutes:g} minutes"
        return self._proposed("default", timed, shared, kimg, have, why)

    def measured_best(
        self, best: Suggestion, options: dict[str, Any], minutes: float, seconds: float, steps: int
    ) -> Proposal:
        """The recipe that did best on similar data, in its small form, or that for ``minutes`` if it takes longer."""
        small, have = {**options, "small": True}, minutes * 60
        img_per_s = self.quick(best.recipe, small, best.kimg, seconds, steps)
        takes = best.kimg * 1000 / max(img_per_s, 1e-9)
        if takes <= have * 1.1:
            return self._proposed(best.recipe, [], small, best.kimg, takes, best.why)
        timed = ["--minutes", f"{minutes:g}"]
        return self._proposed(
            best.recipe, timed, small, have * img_per_s / 1000, have, f"{best.why}; for {minutes:g} minutes"
        )

    def _proposed(
        self, recipe: str, length: list[str], options: dict[str, Any], kimg: float, seconds: float, why: str
    ) -> Proposal:
        few_for = kimg or float(getattr(recipes.find(recipe), "KIMG", 200.0))
        return Proposal(self.command(recipe, length, options, few_for), recipe, kimg or None, seconds, why)


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


def _length(images: int, own: float) -> float:
    """The recipe's length in kimg; longer for large data sets, so that each image is used ten times."""
    return max(own, math.ceil(images / 1000) * 10.0)
