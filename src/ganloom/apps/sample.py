"""Generate samples with a trained model and write them as files: single images, a grid, and folders for classes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom.api import load
from ganloom.apps import captions
from ganloom.core import class_names
from ganloom.core.device import choose_device
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path, file_names, own_file_name
from ganloom.core.output_files import new_folder, write_new
from ganloom.evaluation.evaluate import data_of
from ganloom.gan import GAN
from ganloom.imaging import grid, row_names
from ganloom.report.progress import Report, part_of, stage
from ganloom.runs.folder import Folder
from ganloom.runs.load import refuse_tables

BATCH = 64


@dataclass(frozen=True)
class Written:
    """What ``write_samples`` wrote."""

    folder: Path
    grid: Path
    files: list[Path]
    notes: tuple[str, ...] = ()
    """Lines for the user, such as words of a caption that were never seen in training."""


def write_samples(
    run: str | Path,
    *,
    n: int = 64,
    seed: int = 0,
    truncation: float = 1.0,
    cutoff: int | None = None,
    noise: str = "const",
    standing: int = 0,
    c: Sequence[str | int] | str | int | None = None,
    text: Sequence[str] = (),
    interpolate: bool = False,
    out: str | Path | None = None,
    checkpoint: str = "latest",
    device: str = "auto",
    precision: str = "float32",
    overwrite: bool = False,
    progress: Report = None,
) -> Written:
    """Generate samples into a folder: seed000000.png, ... and grid.png; points.csv for points.

    The same arguments give the same bytes.

    Args:
        run: A run folder or a model/ folder.
        n: Number of samples; with several classes or captions, of each.
        seed: Sample i has the seed ``seed + i``.
        truncation: Below 1 samples are more typical and less diverse.
        cutoff: For recipes with styles: truncate only this many layers, from the coarsest. None: all.
        noise: For recipes with noise in the layers: "const", "random" or "none".
        standing: For biggan: compute the statistics of BatchNorm from this many batches. 0: use the averaged ones.
        c: A class by name or number, several, or "all": all classes that have images. None: classes are drawn uniformly
            from those.
        text: For a model that was trained with captions: captions, or .txt files with one on each line. Empty: captions of the
            training data.
        interpolate: Go from the first of two captions to the second in ``n`` steps.
        out: A new or empty folder. None: a folder in RUN/generated, named after the arguments.
        checkpoint: "latest", "best", or the name of a checkpoint.
        device: "auto", "cpu", "cuda" or "mps".
        precision: "float32" or "bf16".
        overwrite: Take a folder with content, and replace files of equal names.
        progress: Called with (what, done, total).

    Returns:
        What was written.

    Raises:
        BadInput: An argument cannot be used, or the folder is not empty.
    """
    if n < 1:
        raise BadInput(f"--n must be at least 1, got {n}")
    if not truncation >= 0:
        raise BadInput(f"--truncation must not be negative, got {truncation}")
    if standing < 0:
        raise BadInput(f"--standing counts batches and must not be negative, got {standing}")
    if out is not None:
        new_folder(out, overwrite=overwrite)
    path = as_path(run)
    stage(progress, "loading the model")
    gan = load(path, checkpoint=checkpoint, device=choose_device(device))
    refuse_tables(gan, path)
    more: dict[str, Any] = {"standing": standing} if standing else {}
    takes = gan.sample_options
    if standing and not takes.standing:
        raise BadInput("--standing: this run's recipe has no standing statistics (biggan has them): leave it out")
    for flag, is_set, taken in (
        ("--cutoff", cutoff is not None, takes.cutoff), ("--noise-mode", noise != "const", takes.noise)
    ):  # fmt: skip
        if is_set and not taken:
            raise BadInput(f"{flag}: this run's recipe does not have this option (stylegan2 has it): leave it out")
    more |= ({} if cutoff is None else {"cutoff": cutoff}) | ({"noise": noise} if noise != "const" else {})
    labels, words = _labels(gan, c, n)
    labels = _inputs(path, gan, n, seed) if gan.conditions_on == "images" else labels
    count = n if labels is None else len(labels)
    more |= {"truncation": truncation, "batch": BATCH, "precision": precision}
    if text or interpolate or gan.conditions_on == "captions":
        asked = captions.Request(captions.read_captions(text) if text else [], n, seed, interpolate, checkpoint)
        folder, model = as_path(out) if out is not None else None, captions.text_model(gan)
        return Written(
            *captions.write_samples(model, path, asked, folder, more, overwrite=overwrite, progress=progress)
        )
    x = _generate(gan, count, seed, labels, more, progress)
    settings = {
        "truncation": (truncation, 1.0),
        "cutoff": (cutoff, None),
        "noise-": (noise, "const"),
        "standing": (standing, 0),
        "precision-": (precision, "float32"),
    }
    folder = folder_named(
        path / "generated",
        out,
        f"kimg{gan.kimg:g}-seed{seed}-n{n}",
        settings | {"c": (_words(c), ""), "": (checkpoint, "latest")},
    )
    if x.dim() == 2:
        return _write_points(folder, x, overwrite)
    files = []
    for i, image in enumerate(grid.to_uint8(x)):
        if progress is not None:
            progress("writing samples", i, count)
        name = f"seed{seed + i:06d}.png" if words is None else f"{words[i]}/seed{seed + i:06d}.png"
        grid.save_png(image, folder / name, overwrite=overwrite)
        files.append(folder / name)
    sheet = folder / "grid.png"
    if gan.conditions_on == "images" and labels is not None:  # each next to its input
        both = grid.side_by_side(gan.shown_inputs(labels).cpu(), x)
        grid.save_png(grid.grid(both, 2 * max(1, round((count / 2) ** 0.5))), sheet, overwrite=overwrite)
        return Written(folder, sheet, files)
    by_class = words is not None and len(set(words)) > 1 and n <= 16  # a row for each class
    image = grid.grid(x, n if by_class else None)
    if by_class and labels is not None:
        known = class_names.complete(gan.class_names, gan.cfg.n_classes)
        image = row_names.beside(image, [known[int(i)] for i in labels[::n]])
    grid.save_png(image, sheet, overwrite=overwrite)
    return Written(folder, sheet, files)


def _generate(
    gan: GAN, count: int, seed: int, labels: Tensor | None, options: dict[str, Any], progress: Report
) -> Tensor:
    """Generate samples, and report how many are done."""
    each = part_of(progress, "generating samples")
    if gan.sample_options.progress:  # a model that generates in many steps
        options, each = options | {"progress": _Steps(math.ceil(count / BATCH), progress)}, None
    return gan.generate(count, seed=seed, c=labels, each=each, **options).cpu()


class _Steps:
    """Add up the steps of several batches, and report the progress of all."""

    def __init__(self, batches: int, progress: Report) -> None:
        self.batches, self.before, self.last, self.progress = batches, 0, 0, progress

    def __call__(self, done: int, total: int) -> None:
        self.before += self.last if done == 1 else 0
        self.last = done
        if self.progress is not None:
            self.progress("steps of sampling", self.before + done, total * self.batches)


def _inputs(path: Path, gan: GAN, n: int, seed: int) -> Tensor | None:
    """The inputs seed, seed + 1, ... of the held-out data of the run, or of its training data if none is held out."""
    if not isinstance(Folder(path).read("config.json").get("data"), dict):
        raise BadInput(f"{path} has no input images: give some with ganloom translate {path} IN OUT")
    data, _, _ = data_of(path, None, gan)
    data = data.held or data
    return gan.inputs(data, torch.arange(seed, seed + n) % len(data))


def _labels(gan: GAN, c: Sequence[str | int] | str | int | None, n: int) -> tuple[Tensor | None, list[str] | None]:
    """(labels, folder names) for classes by name or number; (None, None) without a class."""
    if c is None or (isinstance(c, list | tuple) and not c):
        return None, None
    classes = int(getattr(gan.cfg, "n_classes", 0) or 0)
    if not classes:
        raise BadInput("--c: this run was trained without labels: leave it out")
    known = class_names.complete(gan.class_names, classes)
    if c in ("all", ["all"], ("all",)) and "all" not in known:
        chosen = list(gan.drawn_classes or range(classes))  # those that have images
    else:
        chosen = list(dict.fromkeys(class_names.numbers(c, known, "--c")))
    labels, folders = torch.tensor(chosen).repeat_interleave(n), file_names(known)
    return labels, [folders[i] for i in labels.tolist()]


def _words(c: Sequence[str | int] | str | int | None) -> str:
    """The classes as one text."""
    return ",".join(map(str, c if isinstance(c, list | tuple) else [] if c is None else [c]))


def folder_named(parent: Path, out: str | Path | None, name: str, settings: dict[str, tuple[Any, Any]]) -> Path:
    """Return ``out``, or a folder named after the settings that differ from the default: name -> (value, default)."""
    if out is not None:
        return as_path(out)
    for key, (value, default) in settings.items():
        if value != default:
            name += "-" + own_file_name(f"{key}{value:g}" if isinstance(value, float) else f"{key}{value}")
    return parent / name


def _write_points(folder: Path, x: Tensor, overwrite: bool) -> Written:
    lines = [",".join(f"{v:.6g}" for v in row) for row in x.tolist()]
    file, sheet = folder / "points.csv", folder / "grid.png"
    text = "\n".join([",".join(f"x{i}" for i in range(x.shape[1])), *lines]) + "\n"
    write_new(file, text.encode(), overwrite=overwrite)
    if x.shape[1] == 2:
        grid.save_png(grid.scatter(x), sheet, overwrite=overwrite)
    return Written(folder, sheet, [file])
