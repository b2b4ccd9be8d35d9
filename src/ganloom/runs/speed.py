"""Measure how fast a model trains, over all stages of a run and within a limit of time."""

import dataclasses
import time
from dataclasses import dataclass

import torch

from ganloom.core.errors import BadInput
from ganloom.report.progress import Report
from ganloom.training.trainer import Trainer

PROBE = 8
"""Batch size of the first step: it shows in a short time whether a full step fits into the limit."""
WARM_UP = 3
"""Steps before the measurement, if they are quick."""


@dataclass(frozen=True)
class Speed:
    """The speed of a training.

    Attributes:
        img_per_s: Real images per second, averaged over the stages of the run.
        steps: Number of steps that were measured.
        batch: Batch size that was measured. It is smaller than the recipe's if a full step takes too long.
    """

    img_per_s: float
    steps: int
    batch: int


def measure(
    trainer: Trainer, total_kimg: float, *, seconds: float = 60.0, steps: int = 20, progress: Report = None
) -> Speed:
    """Measure the speed of a whole run. The model is trained a little.

    Args:
        trainer: A fresh trainer.
        total_kimg: Length of the run, in thousands of images.
        seconds: Time for the measurement. At least one step is done, with a batch of ``PROBE`` images if need be.
        steps: Largest number of steps in each stage of the run.
        progress: Called with (what, done, total).

    Returns:
        The speed.
    """
    start = time.perf_counter()
    own, batch = trainer.gan.cfg, int(getattr(trainer.gan.cfg, "batch_size", PROBE))
    if batch > PROBE and _set_batch(trainer, PROBE):
        _go_to(trainer, max(0, int(total_kimg * 1000) - 1))  # where growing networks have their full size
        before = trainer.nimg
        times = [_timed(trainer)]
        images = trainer.nimg - before
        while len(times) < WARM_UP and time.perf_counter() - start < seconds / 8:
            times.append(_timed(trainer))  # the first steps of a process are slow
        first = min(times)
        if time.perf_counter() - start + first > seconds:  # no time for another step
            return Speed(images / first, 1, PROBE)
        _go_to(trainer, 0)
        if first * batch / PROBE > seconds / 4:
            batch = PROBE
        else:
            trainer.gan.cfg = own
    left = max(1.0, seconds - (time.perf_counter() - start))
    return over_stages(trainer, total_kimg, batch, seconds=left, steps=steps, progress=progress)


def _go_to(trainer: Trainer, nimg: int) -> None:
    """Set the clock, also back; no images come between the last update of the averaged weights and the next one."""
    trainer.set_clock(nimg)
    trainer.averages.updated_at = nimg


def _set_batch(trainer: Trainer, size: int) -> bool:
    """Let the model draw batches of another size. Return False if it does not allow it."""
    try:
        trainer.gan.cfg = dataclasses.replace(trainer.gan.cfg, batch_size=size)
    except BadInput:
        return False
    return True


def over_stages(
    trainer: Trainer, total_kimg: float, batch: int, *, seconds: float, steps: int = 20, progress: Report = None
) -> Speed:
    """Measure some steps in each stage of a run; see ``measure``. The model is trained a little."""
    total = total_kimg * 1000
    edges = sorted({e * 1000 for phase in trainer.phases for e in phase.kimg if 0 < e * 1000 < total} | {0.0, total})
    done, took, share = 0, 0.0, seconds / (len(edges) - 1)
    for begin, end in zip(edges, edges[1:], strict=False):
        _go_to(trainer, int(begin))
        per_image, count = _stage(trainer, share, steps, progress, done, steps * (len(edges) - 1))
        took += (end - begin) * per_image
        done += count
    return Speed(total / took, done, batch)


def _stage(trainer: Trainer, seconds: float, steps: int, progress: Report, done: int, total: int) -> tuple[float, int]:
    """(seconds per image, number of steps) in the stage at the trainer's clock."""
    start = time.perf_counter()
    before = trainer.nimg
    last = _timed(trainer)
    images = trainer.nimg - before
    for _ in range(WARM_UP - 1):
        if time.perf_counter() - start + last > seconds / 4:
            break
        last = _timed(trainer)
    if time.perf_counter() - start + last > seconds:  # one step is all that fits
        return last / images, 1
    begin, nimg, count = time.perf_counter(), trainer.nimg, 0
    while count < steps and (count == 0 or time.perf_counter() - start < seconds):
        trainer.train_step()
        count += 1
        if progress is not None:
            progress("measuring training steps", done + count, total)
    _wait(trainer)
    return (time.perf_counter() - begin) / (trainer.nimg - nimg), count


def _timed(trainer: Trainer) -> float:
    start = time.perf_counter()
    trainer.train_step()
    _wait(trainer)
    return time.perf_counter() - start


def _wait(trainer: Trainer) -> None:
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)
