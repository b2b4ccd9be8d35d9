"""Does a GAN help a classifier? Train small classifiers on real, augmented and generated images, and test them on real ones.

Ravuri and Vinyals 2019, "Classification Accuracy Score for Conditional Generative Models" (arXiv:1905.10887): GAN only is
their score, real + GAN is near their naive augmentation score. Each classifier that is trained is kept in OUT/rows, so the
same call continues a report that was stopped.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ganloom.apps.augment_jobs import Options, Work
from ganloom.apps.augment_models import ClassModel, open_labelled, open_model
from ganloom.apps.augment_page import page
from ganloom.apps.augment_rows import MEANING, Row, recall_lines, text_table
from ganloom.apps.augment_split import labels_of, split, trained_on
from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.output_files import may_rewrite, replace_file, rewrite
from ganloom.data.images import Images
from ganloom.data.own_folders import mark_output
from ganloom.data.unreadable_files import unreadable
from ganloom.metrics.statistics.paired_seeds import means_over
from ganloom.report.progress import Report

PLAN, RESULT, PAGE = "asked.json", "report.json", "report.html"


@dataclass(frozen=True)
class AugmentationReport:
    """The result of ``augmentation_report``.

    Attributes:
        rows: one for each number of labels.
        seeds: number of seeds.
        test: where the test images come from, and how many there are.
        notes: what the user should know, a line each.
        folder: where the report was written; None if it was not.
    """

    rows: list[Row]
    seeds: int
    test: str
    notes: list[str] = field(default_factory=list)
    folder: Path | None = None

    @property
    def caption(self) -> str:
        """What was measured, in one sentence."""
        return f"accuracy in per cent on {self.test}; {means_over(self.seeds, 'images')}"

    def lines(self) -> list[str]:
        """The report as text."""
        star = ["* the GAN was trained on more labels than the row has, or on unknown images"] * any(
            row.labels.leaks for row in self.rows
        )
        return [
            self.caption,
            *text_table(self.rows), *star, *recall_lines(self.rows), *(row.sentence for row in self.rows),
            *(f"{row.labels.name} labels: noisy copies instead: {row.control}" for row in self.rows),
            *(f"note: {note}" for note in self.notes),
        ]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "rows": [row.to_dict() for row in self.rows], "seeds": self.seeds, "test": self.test, "methods": MEANING,
            "notes": self.notes, "out": None if self.folder is None else str(self.folder),
        }  # fmt: skip


def augmentation_report(
    data: Any,
    run: Any,
    *,
    test: Any = None,
    labels: Sequence[int | str] = (20, 100, "all"),
    seeds: int = 3,
    seed: int = 0,
    per_class: int | None = None,
    steps: int | None = None,
    truncation: float = 1.0,
    flip: bool = False,
    resize: bool = False,
    out: str | Path | None = None,
    checkpoint: str = "latest",
    device: str = "auto",
    overwrite: bool = False,
    progress: Report = None,
) -> AugmentationReport:
    """Measure whether generated images help a classifier.

    Small classifiers are trained on real images, on real ones with classic augmentation, on generated ones, and on both, with
    several seeds, and are tested on images that neither a classifier nor a GAN was trained on. The verdict compares real +
    GAN with the better one of real and real + classic, see ``metrics.statistics.paired_seeds``.

    Args:
        data: Labelled images: whatever ``ganloom.data.open`` accepts.
        run: A run folder, a model/ folder, a Run, or a model; or a list. Of several, each row takes the one that was trained on
            the most labels, but not more than the row has.
        test: Labelled test images. None: those that the run held out, or those of ``data`` that it was not trained on.
        labels: Numbers of labels of a class; "all": all that there are.
        seeds: Number of trainings of each classifier. With one, the verdict is always "cannot tell".
        seed: The first seed.
        per_class: Number of generated images of a class. None: as many as real ones, 1,000 to 6,000.
        steps: Steps of each classifier, of 128 images. None: by the number of real images, 300 to 600.
        truncation: Truncation of the generated images.
        flip: The classic augmentation mirrors images too; only where a mirrored image has the same class.
        resize: Resize the images to the shape of the model. Otherwise other shapes are refused.
        out: A folder for report.html, report.json and the finished rows. None: nothing is written.
        checkpoint: "latest", "best", or the name of a checkpoint.
        device: "auto", "cpu", "cuda" or "mps", for the generator; the classifiers run on the CPU.
        overwrite: Replace a report in ``out`` that was changed since it was written.
        progress: Called with (what, done, total).

    Returns:
        The report.

    Raises:
        BadInput: An argument cannot be used, or there are no test images that the GAN was not trained on.
    """
    options = Options(tuple(labels), seeds, seed, per_class, steps, truncation, flip)
    counts = options.counts()
    folder = None if out is None else as_path(out)
    runs = list(run) if isinstance(run, list | tuple) else [run]
    if not runs:
        raise BadInput("give a run with --with RUN")
    models = [open_model(one, checkpoint=checkpoint, device=device, progress=progress) for one in runs]
    opened = open_labelled(data, models[0], resize=resize, progress=progress)
    numbers, notes = _matched(models, opened)
    trained = [trained_on(model, progress) for model in models]
    parts = split(opened, trained, models, test, resize=resize, progress=progress)
    rows, more = labels_of(parts, trained, counts)
    work = Work(parts, models, trained, numbers, rows, options, folder, progress)
    if folder is not None:
        _claim(folder, work.plan())
        for name in (RESULT, PAGE):
            may_rewrite(folder / name, overwrite=overwrite)
    answers = work.answers()
    test_labels = torch.from_numpy(parts.labels)
    found = [work.row(row, answers, test_labels) for row in rows]
    where = f"{len(parts.test):,} test images ({parts.test_name})"
    report = AugmentationReport(found, options.seeds, where, [*notes, *unreadable(opened), *parts.notes, *more], folder)
    if folder is not None:
        mark_output(folder, "augment report")
        rewrite(folder / RESULT, (json.dumps(report.to_dict(), indent=1) + "\n").encode(), overwrite=overwrite)
        rewrite(folder / PAGE, page(found, report.caption, report.notes, work.pictures()), overwrite=overwrite)
    return report


def _matched(models: Sequence[ClassModel], data: Images) -> tuple[list[tuple[int, ...]], list[str]]:
    """The number of each class of the data in each model, and notes."""
    for model in models[1:]:
        if model.shape != models[0].shape:
            raise BadInput(
                f"{model.name} and {models[0].name} generate images of different shapes: give runs of one shape"
            )
    pairs = [model.numbers_of(data) for model in models]
    return [numbers for numbers, _ in pairs], [text for _, text in pairs if text]


def _claim(folder: Path, plan: dict[str, Any]) -> None:
    """Create the folder, or check that it holds the same report."""
    file = folder / PLAN
    if file.is_file():
        before = json_files.read(file, fix="Choose another --out, or delete the folder to start again")
        differing = sorted(name for name in before.keys() | plan.keys() if before.get(name) != plan.get(name))
        if differing:
            raise BadInput(f"--out {folder} holds a report with another {', '.join(differing)}: choose another folder")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"--out {folder} is not empty and holds no report: choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(file, (json.dumps(plan) + "\n").encode())
