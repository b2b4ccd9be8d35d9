"""Measure a detector on a test set: every score beside the controls, with intervals, and a verdict in words."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.anomaly import csv_rows, heat_maps, mask_files, methods, roc
from ganloom.anomaly.controls import TITLES as CONTROLS
from ganloom.anomaly.detector import ALPHA, Detector
from ganloom.anomaly.estimator import open_for
from ganloom.anomaly.roc import Interval
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.report.progress import Report

GOOD = ("good", "normal", "ok", "0.normal", "good.csv", "normal.csv", "good.tsv", "normal.tsv")
"""Names of the folder or file of normal samples, in small letters."""
MASKS = ("ground_truth", "masks")
"""Folders beside the test folders that hold masks and no test images."""
BASE = "knn-pooled"
"""The control that a GAN must beat; for tables ``knn-pixels``."""


@dataclass(frozen=True)
class Row:
    """The figures of one score.

    Attributes:
        score: Its name.
        title: What it is.
        is_control: Whether it needs no GAN.
        auroc: Area under the ROC curve.
        precision: Average precision.
        false_alarms: Share of normal samples above the threshold.
        found: Share of anomalies above it.
        of_kind: Kind of anomaly -> AUROC against all normal samples.
    """

    score: str
    title: str
    is_control: bool
    auroc: Interval
    precision: float
    false_alarms: float
    found: float
    of_kind: dict[str, float]


@dataclass(frozen=True)
class Result:
    """What was measured.

    Attributes:
        rows: One for each score: those of the model first.
        score: Name of the score that counts.
        verdict: Whether the GAN helps, in words.
        normal: Number of normal samples.
        kinds: Kind of anomaly -> number.
        curve: Points of the ROC curve of the score that counts.
        pixels: AUROC of the pixels of the heat maps, if there are masks.
        names: Names of the samples.
        scores: Values of the score that counts.
        anomalous: Which samples are anomalies.
        x: The samples.
        notes: Lines for the user.
    """

    rows: list[Row]
    score: str
    verdict: str
    normal: int
    kinds: dict[str, int]
    curve: list[tuple[float, float]]
    pixels: float | None
    names: list[str]
    scores: NDArray[np.float64]
    anomalous: NDArray[np.bool_]
    x: Tensor
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "score": self.score,
            "verdict": self.verdict,
            "normal": self.normal,
            "kinds": self.kinds,
            "pixel_auroc": self.pixels,
            "rows": [
                {
                    "score": row.score, "title": row.title, "control": row.is_control, "auroc": row.auroc.value,
                    "auroc_interval": [row.auroc.low, row.auroc.high], "average_precision": row.precision,
                    "false_alarms": row.false_alarms, "found": row.found, "auroc_of_kind": row.of_kind,
                }
                for row in self.rows
            ],
            "curve": self.curve,
            "notes": self.notes,
        }  # fmt: skip


def test_folders(test: Path) -> tuple[Path, list[Path]]:
    """Find the parts of a test set.

    Args:
        test: A folder that holds good/ and one folder for each kind of anomaly, or good.csv and other CSV files.

    Returns:
        (the normal samples, the anomalies).

    Raises:
        BadInput: A part is missing.
    """
    if not test.is_dir():
        raise BadInput(
            f"there is no folder {test}: give a folder that holds good/ and one folder for each kind of anomaly"
        )
    parts = sorted(
        path
        for path in test.iterdir()
        if not path.name.startswith(".")
        and path.name.lower() not in MASKS
        and (path.is_dir() or path.suffix.lower() in csv_rows.ENDINGS)
    )
    good = [path for path in parts if path.name.lower() in GOOD]
    if len(good) != 1:
        listed = ", ".join(path.name for path in parts[:5]) or "no folders"
        what = "no folder good/ (or normal/)" if not good else f"both {good[0].name} and {good[1].name}"
        raise BadInput(f"{test} has {what} for the normal samples. It holds {listed}")
    bad = [path for path in parts if path not in good]
    if not bad:
        raise BadInput(f"{test} has only {good[0].name}: add a folder with anomalies beside it")
    return good[0], bad


def evaluate(
    found: Detector,
    test: Any,
    *,
    alpha: float = ALPHA,
    masks: str | Path | None = None,
    names: Sequence[str] | None = None,
    progress: Report = None,
) -> Result:
    """Measure all scores of a detector on a test set.

    Args:
        found: The detector.
        test: A folder, see ``test_folders``; or (samples, labels), where a label is 0 or False for a normal sample.
        alpha: Share of normal samples that may be above the threshold.
        masks: A folder of masks of the anomalies, KIND/NAME.png or KIND/NAME_mask.png, white where an image is anomalous. None:
            the folder ground_truth in or beside ``test``, if there is one.
        names: Which scores to measure; None: all.
        progress: Called with (what, done, total).

    Raises:
        BadInput: The test set cannot be used.
    """
    x, files, kinds, notes, where = _open(found, test, masks, progress)
    anomalous = np.array([kind is not None for kind in kinds])
    if anomalous.all() or not anomalous.any():
        missing = "normal samples" if anomalous.all() else "anomalies"
        raise BadInput(f"the test set has no {missing}: it needs both")
    values = found.scorers.scores(x, names, progress)
    rows = [_row(found, name, v, anomalous, kinds, alpha) for name, v in values.items()]
    pixels = None
    if where is not None and found.map is not None:
        maps = torch.from_numpy(heat_maps.draw(found.map, found.scorers, x, progress))
        pixels = heat_maps.pixel_auroc(maps, where)
    return Result(
        rows, found.score, verdict(values, anomalous), int((~anomalous).sum()), _counts(kinds),
        roc.curve(values[found.score], anomalous), pixels, files, values[found.score], anomalous, x,
        [*notes, *found.scorers.notes],
    )  # fmt: skip


def _counts(kinds: list[str | None]) -> dict[str, int]:
    return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds) if kind is not None}


def _row(
    found: Detector,
    name: str,
    values: NDArray[np.float64],
    anomalous: NDArray[np.bool_],
    kinds: list[str | None],
    alpha: float,
) -> Row:
    above = values > found.threshold(alpha, name)
    of_kind = {}
    for kind in _counts(kinds):
        chosen = np.array([k is None or k == kind for k in kinds])
        of_kind[kind] = roc.auroc(values[chosen], anomalous[chosen])
    return Row(
        name, methods.title(name), name in CONTROLS, roc.interval(values, anomalous),
        roc.average_precision(values, anomalous), float(above[~anomalous].mean()), float(above[anomalous].mean()), of_kind,
    )  # fmt: skip


def verdict(values: dict[str, NDArray[np.float64]], anomalous: NDArray[np.bool_]) -> str:
    """Say whether the best score of the model is better than the best control."""
    areas = {name: roc.auroc(v, anomalous) for name, v in values.items() if name not in methods.WORTHLESS}
    controls = [name for name in areas if name in CONTROLS]
    scores = [name for name in areas if name not in CONTROLS]
    if not scores or not controls:
        return "There is no GAN beside the controls." if not scores else "No control could be computed."
    best, control = (max(group, key=lambda name: areas[name]) for group in (scores, controls))
    gain = roc.difference(values[best], values[control], anomalous)
    interval = f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
    text = f"{best} {areas[best]:.3f} against {control} {areas[control]:.3f}, difference {interval}"
    if gain.low > 0:
        return f"The GAN helps: {text}."
    return f"The GAN does not help: {text}." if gain.high < 0 else f"Cannot tell whether the GAN helps: {text}."


def _open(
    found: Detector, test: Any, masks: str | Path | None, progress: Report
) -> tuple[Tensor, list[str], list[str | None], list[str], Tensor | None]:
    """Return the samples, their names, the kind of each anomaly (None: normal), notes, and the masks."""
    if isinstance(test, tuple):
        samples, labels = test
        opened = open_for(found, samples, progress)
        flags = [bool(label) for label in np.asarray(labels).ravel()]
        if len(flags) != len(opened.x):
            raise BadInput(f"{len(flags)} labels for {len(opened.x)} samples: give one label per sample")
        return opened.x, opened.names, ["anomaly" if flag else None for flag in flags], opened.notes, None
    root = as_path(test)
    good, bad = test_folders(root)
    parts, names, notes = [], [], []
    kinds: list[str | None] = []
    for path in (good, *bad):
        opened = open_for(found, str(path), progress)
        parts.append(opened.x)
        names += [f"{path.name}/{name}" if path.is_dir() else f"{path.name}:{name}" for name in opened.names]
        kinds += [None if path == good else path.stem if path.is_file() else path.name] * len(opened.x)
        notes += [f"{path.name}: {note}" for note in opened.notes]
        notes += [f"left out {name}: {reason}" for name, reason in opened.bad]
    folder = _mask_folder(root, masks)
    where = (
        None if folder is None or found.map is None else mask_files.read(folder, names, kinds, found.shape, found.fit)
    )
    return torch.cat(parts), names, kinds, notes, where


def _mask_folder(root: Path, masks: str | Path | None) -> Path | None:
    if masks is not None:
        folder = as_path(masks)
        if not folder.is_dir():
            raise BadInput(f"--masks {folder} is not a folder")
        return folder
    places = [place / name for place in (root, root.parent) for name in MASKS]
    return next((folder for folder in places if os.path.isdir(folder)), None)
