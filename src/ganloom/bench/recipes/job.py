"""Make one training of the benchmark and measure it: train or continue, draw samples, evaluate, read classes, time steps.

The result is a file of the run folder. A job that has it is not made again.
"""

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganloom import data as datasets
from ganloom.api import Run, load, prepare
from ganloom.apps.run_cache import finished
from ganloom.bench.recipes.rows import Classes, Interval, Row, Speed, Trained, over_seeds
from ganloom.bench.recipes.sheets import draw, strip, translated
from ganloom.bench.recipes.task import Task
from ganloom.bench.step.benchmark import trainer_of
from ganloom.bench.step.timing import clock, contest, cycle_of
from ganloom.core import config, hardware, json_files
from ganloom.core.device import choose_device, choose_precision
from ganloom.core.output_files import replace_file
from ganloom.doctor.record import FILE as DOCTOR
from ganloom.doctor.saved_run import examine_run
from ganloom.evaluation.class_labels import conditions_of
from ganloom.evaluation.evaluate import data_of, evaluate
from ganloom.evaluation.measure import choose_features, real_row, samples
from ganloom.evaluation.translator import COPIED, MATCHED, MEAN
from ganloom.gan import GAN
from ganloom.imaging import grid
from ganloom.recipes import find
from ganloom.recipes.base.translator import Translator
from ganloom.report.progress import Progress, stage
from ganloom.runs.folder import Folder
from ganloom.training.callbacks import Callback

N = 2000
"""Number of samples to measure, against as many real images."""
FIGURES = ("coverage", "precision", "recall", "density", "fd", "kd")
OF_TRANSLATION = ("l1", "psnr", "ssim", "called_b", "cycle_l1")
RESULT, SHEET, STRIP = "benchmark.json", "benchmark.png", "benchmark-strip.png"
"""Files of the run folder: the result, the image of the doc page, and eight samples for the gallery."""
SPENT = "cpu_seconds"
"""Key of run.json."""


class ProcessorTime(Callback):
    """Add up in run.json the processor time of a training, over all its sessions."""

    def __init__(self) -> None:
        self._before = self._start = 0.0

    def on_start(self, trainer: Any) -> None:
        """Continue from the time of earlier sessions."""
        self._before = float(Folder(trainer.run_dir).read("run.json").get(SPENT, 0.0))
        self._start = time.process_time()

    def on_tick(self, trainer: Any, row: dict[str, Any]) -> None:
        """Save the time so far."""
        self._save(trainer)

    def on_end(self, trainer: Any, reason: str) -> None:
        """Save the time."""
        self._save(trainer)

    def _save(self, trainer: Any) -> None:
        spent = self._before + time.process_time() - self._start
        Folder(trainer.run_dir).update("run.json", **{SPENT: round(spent, 1)})


class Quiet(Callback):
    """Show a training in the line of the progress, without rows."""

    def __init__(self, progress: Progress, what: str = "training (images)") -> None:
        self.progress, self.what = progress, what

    def on_step(self, trainer: Any) -> None:
        """Show how far the training is."""
        self.progress(self.what, *trainer.progress)


def saved(path: Path) -> Row | None:
    """Read the result in a run folder; None if there is none, or no complete one."""
    if not (path / RESULT).exists() or not all((path / name).exists() for name in (SHEET, STRIP)):
        return None
    with json_files.blaming(path / RESULT, "a result that cannot be read", "Delete it to measure the run again"):
        return Row.from_dict(json_files.read(path / RESULT))


def make(task: Task, path: Path, n: int = N, timed: bool = True, show: Progress | None = None) -> Row:
    """Train, or continue a stopped training; draw, measure and save the result.

    Args:
        task: What to train.
        path: The run folder.
        n: Number of samples to measure.
        timed: Also time training steps.
        show: Shows the progress.

    Returns:
        A row of one seed.

    Raises:
        BadInput: The recipe cannot be trained on these data.
    """
    run = finished(
        task.recipe, task.source, path, show, callbacks=[ProcessorTime()], seed=task.seed, **task.options
    )  # fmt: skip
    start = time.process_time()  # on a busy machine, the time of the clock says little
    stage(show, f"drawing and measuring samples of {task.recipe}")
    row = _measured(task, run, n)
    if timed:
        stage(show, f"timing steps of {task.recipe}")
        row = dataclasses.replace(row, speed=speed(task))
    trained = dataclasses.replace(row.seeds[0], measure_seconds=round(time.process_time() - start, 1))
    row = dataclasses.replace(row, seeds=(trained,))
    replace_file(path / RESULT, (json.dumps(row.to_dict()) + "\n").encode())
    return row


def _measured(task: Task, run: Run, n: int) -> Row:
    gan = load(run.path)
    opened, _, _ = data_of(run.path, None, gan)
    sheet, shown = translated(gan, opened) if isinstance(gan, Translator) else draw(gan)
    for name, image in ((SHEET, sheet), (STRIP, strip(gan, opened))):
        replace_file(run.path / name, grid.png_bytes(image))
    result = evaluate(run.path, n=n, write=False)
    described, last = Folder(run.path).read("run.json"), run.metrics[-1]
    generated, real = (_intervals(result["rows"][key]) for key in ("generated", "real (other half)"))
    light, findings = examine_run(run.path, described.get("exit_reason")) if (run.path / DOCTOR).exists() else ("", [])
    trained = Trained(
        seed=task.seed, command=task.command, kimg=last["kimg"], seconds=round(last["seconds"], 1),
        cpu_seconds=described.get(SPENT), measure_seconds=0.0, figures=generated,
        classes=_classes(gan, opened, result, n), light=light, findings=tuple(f.name for f in findings),
    )  # fmt: skip
    trivial = {key: _intervals(result["rows"][key]) for key in (COPIED, MEAN, MATCHED) if key in result["rows"]}
    return Row(
        recipe=task.recipe, command=task.command, seed=task.seed, kimg=last["kimg"], seconds=trained.seconds,
        threads=int(described["versions"]["threads"]), precision=described["precision"],
        torch=described["versions"]["torch"], parameters=_parameters(task.recipe, run), figures=generated, floor=real,
        protocol=result["protocol"], image=shown, trivial=trivial, data=task.source, shape=tuple(opened.shape),
        images=len(opened), classes=opened.n_classes, digest=task.digest, settings=task.settings(),
        cpu_minutes=None if trained.cpu_seconds is None else round(trained.cpu_seconds / 60, 2), seeds=(trained,),
    )  # fmt: skip


def joined(parts: list[Row], failed: dict[str, str]) -> Row:
    """Join the rows of several seeds into the row of the recipe.

    Args:
        parts: Rows of one seed each, at least one; the first one gives what does not depend on the seed.
        failed: Seed -> why its training has no result.
    """
    seeds = tuple(part.seeds[0] for part in parts)
    speeds = [part.speed for part in parts if part.speed is not None]
    first = dataclasses.replace(parts[0], failed=failed, speed=speeds[0] if speeds else None)
    return _with_seeds(first, seeds)


def with_other_seeds(row: Row, old: Row) -> Row:
    """Add to a row the seeds of an earlier row of the same plan that it does not have.

    Args:
        row: The new row.
        old: The earlier row. If it has the smallest seed, it gives what does not depend on the seed, such as the speed.
    """
    new = {one.seed for one in row.seeds} | set(map(int, row.failed))
    others = [one for one in old.seeds if one.seed not in new]
    if not others:
        return row
    seeds = tuple(sorted([*row.seeds, *others], key=lambda one: one.seed))
    failed = {**{seed: text for seed, text in old.failed.items() if int(seed) not in new}, **row.failed}
    first = old if seeds[0] in others else row
    return _with_seeds(dataclasses.replace(first, failed=failed, speed=row.speed or old.speed), seeds)


def _with_seeds(row: Row, seeds: tuple[Trained, ...]) -> Row:
    """The row with these seeds, and their means."""
    spent = [one.cpu_seconds for one in seeds if one.cpu_seconds is not None]
    return dataclasses.replace(
        row, seeds=seeds, seed=seeds[0].seed, command=seeds[0].command, figures=over_seeds(seeds),
        kimg=round(sum(one.kimg for one in seeds) / len(seeds), 3),
        seconds=round(sum(one.seconds for one in seeds) / len(seeds), 1),
        cpu_minutes=round(sum(spent) / len(spent) / 60, 2) if spent else None,
    )  # fmt: skip


def _intervals(values: dict[str, dict[str, float]]) -> dict[str, Interval]:
    """Values without the name of the feature net, with 4 digits; a value without interval is repeated."""
    intervals: dict[str, Interval] = {}
    for full, value in values.items():
        key = full if full in OF_TRANSLATION else full.split("_")[0]
        if key in FIGURES + OF_TRANSLATION:
            low, high = (value["value"] if value.get(end) is None else value[end] for end in ("low", "high"))
            intervals[key] = float(f"{value['value']:.4g}"), float(f"{low:.4g}"), float(f"{high:.4g}")
    return intervals


def _parameters(name: str, run: Run) -> dict[str, int]:
    module = find(name)
    described = Folder(run.path).read("config.json")["config"]
    with torch.device("meta"):
        gan = module.MODEL(config.from_dict(module.Config, described))
    return {net: sum(p.numel() for p in getattr(gan, net).parameters()) for net in "GD"}


# ------------------------------------------------------------------------------------------------------------- classes


def _classes(gan: GAN, data: datasets.Data, result: dict[str, Any], n: int) -> Classes | None:
    """Read the classes of samples with the classifier of the features; None without labels, classifier, or for translators."""
    generated, real = (result["class_counts"].get(key) for key in ("generated", "real (other half)"))
    if not generated or not real or data.labels is None or gan.conditions_on == "images":
        return None
    names = data.class_names
    if len(names) != len(generated):
        return None
    shares, fair = (np.asarray(counts, float) / max(1, sum(counts)) for counts in (generated, real))
    relative = [float(share / own) for share, own in zip(shares, fair, strict=True) if own > 0]
    present = [name for name, own in zip(names, fair, strict=True) if own > 0]
    smallest = int(np.argmin(relative))
    read, read_real = _agreement(gan, data, n)
    return Classes(
        {name: round(float(share), 4) for name, share in zip(names, shares, strict=True)},
        round(relative[smallest], 3), present[smallest], read, read_real,
    )  # fmt: skip


def _agreement(gan: GAN, data: datasets.Data, n: int) -> tuple[float | None, float | None]:
    """The share of samples, and of real images, that the classifier reads as their class; None for a model without labels."""
    n = min(n, len(data) // 2)
    picks = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[: 2 * n].numpy()
    c = conditions_of(gan, data, picks[:n])
    if c is None or data.labels is None:
        return None, None
    net = choose_features("auto", data)
    _, logits = net.stream(samples(gan, n, 0, c))
    _, of_real = net.stream(real_row(data, picks[n:]).parts())
    if logits is None or of_real is None:
        return None, None
    target = torch.as_tensor(data.labels)[picks[n:]]
    return tuple(round(float((a.argmax(1) == b).double().mean()), 4) for a, b in ((logits, c), (of_real, target)))  # type: ignore[return-value]


# --------------------------------------------------------------------------------------------------------------- speed


def speed(task: Task, rounds: int = 3) -> Speed:
    """Time at least a dozen training steps at the end of the run, where growing networks have their full size.

    Args:
        task: What is trained.
        rounds: Number of turns.

    Returns:
        The speed.
    """
    load_now = os.getloadavg()[0] if hasattr(os, "getloadavg") else -1.0
    device = choose_device("auto")
    gan, data = prepare(task.recipe, task.source, **task.options)
    precision = choose_precision("auto", device, gan)
    trainer = trainer_of(gan, data, device, precision)
    trainer.load_state(trainer.tensors(), trainer.state() | {"nimg": int(1000 * task.length)})
    before, first_step = trainer.nimg, trainer.step
    cycle = cycle_of([phase.lazy for phase in trainer.phases])
    times = contest(
        {"step": clock(trainer.train_step, lambda: hardware.wait(device))}, rounds, cycle=cycle, seconds=10.0
    )["step"]
    images_a_step = (trainer.nimg - before) / (trainer.step - first_step)
    seconds = sorted(times)[len(times) // 2]
    return Speed(
        float(f"{images_a_step / seconds:.3g}"), hardware.name(device), torch.get_num_threads(), round(load_now, 1),
        precision, torch.__version__,
    )  # fmt: skip
