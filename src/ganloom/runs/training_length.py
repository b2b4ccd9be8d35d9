"""The length of a training in epochs, steps or minutes, converted to thousands of images."""

import copy
import dataclasses
import math
from typing import Any

from ganloom import recipes
from ganloom.core.device import choose_device, choose_precision
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Phase
from ganloom.recipes import presets
from ganloom.report.progress import Report, stage
from ganloom.runs import speed, warm_start
from ganloom.runs.training_setup import TrainingSetup, set_up
from ganloom.training.config import TrainConfig
from ganloom.training.trainer import Trainer

UNITS = ("epochs", "steps")
"""Options of ``ganloom.train`` that are another way to give ``total_kimg``."""


def set_up_for(
    recipe: Any,
    data: Any,
    options: dict[str, Any],
    source: warm_start.Source | None = None,
    progress: Report = None,
    opened: Any = None,
) -> tuple[TrainingSetup, str]:
    """Set up a training whose length may be given in epochs, steps or minutes.

    With ``small`` or ``minutes``, the recipe's schedules are stretched to the length, unless they were given.

    Args:
        recipe: See ``ganloom.train``.
        data: See ``ganloom.train``.
        options: Options of ``ganloom.train``, also ``epochs`` and ``steps``.
        source: Another run whose settings are the defaults, or None.
        progress: Called with (what, done, total).
        opened: The data, if they are open already; see ``training_setup.open_for``.

    Returns:
        (the setup, a sentence on the length; empty if it was not converted). With ``minutes``, the setup's ``total_kimg`` is
        the estimate for which schedules were stretched.

    Raises:
        BadInput: An option cannot be used.
    """
    lengths = {name: options[name] for name in (*UNITS, "total_kimg") if options.get(name) is not None}
    options = {name: value for name, value in options.items() if name not in UNITS}
    minutes = options.get("minutes")
    if len(lengths) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in lengths)
        raise BadInput(f"{names} both set the length of the run: give one")
    setup = set_up(recipe, data, options, source, progress=progress, opened=opened)
    if "total_kimg" in lengths or (not lengths and minutes is None):
        return setup, ""
    small = bool(options.get("small"))
    if "epochs" in lengths:
        nimg, sentence = _epochs(lengths["epochs"], setup)
    elif "steps" in lengths:
        nimg, sentence = _steps(lengths["steps"], setup)
    else:
        nimg, sentence = _minutes(float(options["minutes"]), setup, progress)
    changes: dict[str, Any] = {"total_kimg": kimg_of(nimg)}
    if small or not lengths:
        changes |= stretched(setup, nimg / 1000, small)
    if setup.module is None:  # a model of the user has no schedules that are known here
        return dataclasses.replace(
            setup, cfg=dataclasses.replace(setup.cfg, total_kimg=changes["total_kimg"])
        ), sentence
    return set_up(recipe, data, options | changes, source, progress=progress, opened=setup.data), sentence


def kimg_of(nimg: float) -> float:
    """Return the length in thousands of images that ends at exactly ``nimg`` images."""
    kimg = nimg / 1000
    return kimg if kimg * 1000 <= nimg else math.nextafter(kimg, 0.0)


def _epochs(epochs: float, setup: TrainingSetup) -> tuple[float, str]:
    if not 0 < epochs < math.inf:
        raise BadInput(f"--epochs must be above 0, got {epochs}")
    size = len(setup.data)
    return epochs * size, f"{epochs:g} epochs of {size:,} images are {epochs * size / 1000:g} kimg"


def _steps(steps: int, setup: TrainingSetup) -> tuple[float, str]:
    if steps < 1:
        raise BadInput(f"--steps must be at least 1, got {steps}")
    batch = getattr(setup.gan.cfg, "batch_size", None)
    if not isinstance(batch, int):
        raise BadInput("--steps needs a recipe with a batch size: give --total-kimg")
    nimg = images_after(steps, batch, setup.gan)
    each = f" of {batch} images" if nimg == steps * batch else ""
    return nimg, f"{steps:,} steps{each} are {nimg / 1000:g} kimg"


def images_after(steps: int, batch: int, gan: GAN) -> int:
    """Return the number of real images drawn in a number of steps; phases that repeat draw new images each time.

    Args:
        steps: Number of training steps.
        batch: Batch size.
        gan: The model.
    """
    phases = gan.phases()
    if all(phase.kimg == (0.0, math.inf) and phase.lazy == 1 for phase in phases):
        return steps * batch * _batches(phases, 0, 0)
    nimg = 0
    for step in range(steps):
        nimg += batch * _batches(phases, step, nimg)
    return nimg


def _batches(phases: list[Phase], step: int, nimg: int) -> int:
    """Batches that one step draws."""
    due = [p for p in phases if p.kimg[0] <= nimg / 1000 < p.kimg[1] and step % p.lazy == 0]
    return 1 + sum(phase.repeat - 1 for phase in due)


def _minutes(minutes: float, setup: TrainingSetup, progress: Report) -> tuple[float, str]:
    TrainConfig(minutes=minutes)  # checks the number
    stage(progress, "measuring the speed")
    device = choose_device(setup.cfg.device)
    bf16 = choose_precision(setup.cfg.precision, device, setup.gan) == "bf16"
    gan = copy.deepcopy(setup.gan)
    trainer = Trainer(gan, setup.data, dataclasses.replace(setup.cfg, device=device), device=device, bf16=bf16)
    own = own_length(setup, small=False)
    batch = int(getattr(setup.gan.cfg, "batch_size", 1))
    found = speed.over_stages(trainer, own, batch, seconds=min(15.0, minutes * 6), progress=progress)
    nimg = max(found.img_per_s * minutes * 60, 1.0)
    return nimg, f"about {nimg / 1000:.3g} kimg fit into {minutes:g} minutes at {found.img_per_s:.3g} img/s"


def own_length(setup: TrainingSetup, small: bool) -> float:
    """Return the recipe's own length in thousands of images."""
    plan = presets.plan(setup.name).options
    if small and "total_kimg" in plan:
        return float(plan["total_kimg"])
    return float(getattr(setup.module, "KIMG", 200.0))


def stretched(setup: TrainingSetup, kimg: float, small: bool) -> dict[str, Any]:
    """Return the settings that stretch the recipe's schedules to another length.

    Only schedules that are the recipe's own and end within its own length are changed.

    Args:
        setup: The setup with the recipe's own length.
        kimg: The new length in thousands of images.
        small: Whether the recipe's own settings are those of ``presets.small``.
    """
    module, cfg = setup.module, setup.gan.cfg
    if module is None or not dataclasses.is_dataclass(cfg) or setup.name not in recipes.LISTED:
        return {}
    base, own = module.Config(), own_length(setup, small)
    if small:
        fields = {field.name for field in dataclasses.fields(base)}
        own_options = presets.small(setup.name, module)
        base = dataclasses.replace(base, **{name: v for name, v in own_options.items() if name in fields})
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(base):
        now, before = getattr(cfg, field.name), getattr(base, field.name)
        schedule = getattr(now, "schedule", ())
        if schedule and schedule == getattr(before, "schedule", ()) and schedule[-1][0] <= own * 1.001:
            knots = tuple((at * kimg / own, factor) for at, factor in schedule)
            changes[field.name] = dataclasses.replace(now, schedule=knots)
        elif field.name in presets.PACED and now == before and now <= own * 1.001:
            changes[field.name] = now * kimg / own
    return changes
