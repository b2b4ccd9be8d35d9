"""Measure a trained model: samples against real images, beside what a perfect model and noise would score."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ganloom import data as datasets
from ganloom import metrics
from ganloom.core.errors import BadInput
from ganloom.evaluation.measure import Features, choose_features, measure_model
from ganloom.evaluation.nearest_neighbours import memorise, write_sheet
from ganloom.evaluation.translator import measure_translator
from ganloom.gan import GAN
from ganloom.runs import checkpoint as checkpoints
from ganloom.runs.folder import Folder
from ganloom.runs.load import load

__all__ = ["choose_features", "evaluate", "measure_model"]


def evaluate(
    run: str | os.PathLike[str] | GAN,
    data: Any = None,
    *,
    n: int = 2000,
    features: Features | Sequence[Features] = "auto",
    seed: int = 0,
    checkpoint: str = "latest",
    k: int = 5,
    intervals: bool = True,
    device: str = "cpu",
    gan: GAN | None = None,
    write: bool = True,
    metrics: Sequence[str] = metrics.METRICS,
    weights: str | Path | None = None,
    resizer: str = "legacy",
    truncation: float = 1.0,
    memorisation: bool = False,
    held_out: Any = None,
    progress: metrics.Progress = None,
) -> dict[str, Any]:
    """Measure the generator of ``run`` on ``n`` samples; returns plain data, and writes it to a run's metrics.json.

    ``run``: a run folder, a model/ folder, a Run, or a model. ``data``: whatever ``ganloom.data.open`` takes, such as
    images that training never saw; None: the run's own data. Real images are needed twice over, as the reference
    and as the other half that shows the floor, so n is at most half of them. ``features``: a name, a net of your own,
    or several ("fashion,effnet"; see ``metrics.get``). "auto" takes ``fashion`` for Fashion-MNIST, ``task`` for
    labelled data (two classes or more of 50 images each), else ``random``; "both" is that and ``effnet`` beside it
    where that extra is installed. ``weights``, ``resizer``: of ``inception``. ``checkpoint``: "latest", "best", a name,
    or "both": the latest, and the best beside it. ``gan``: for a class of your own, a fresh model of it. ``intervals``:
    95 % intervals. ``metrics``: names of ``metrics.METRICS`` and ``metrics.MORE``, and intra, msssim, ppl.
    ``memorisation``: compare samples with the training images (``held_out``: images that training never saw) and
    draw their nearest neighbours to RUN/neighbours.png. ``write``: False leaves the run's files alone. ``progress``:
    see ``metrics.Progress``.

    Keys: ``rows`` (generated, real (other half), one class (of labelled data), noise -> metric -> value, low, high),
    ``protocol`` (of the first net), ``protocols``, ``class_counts``, ``warnings``, ``table`` (lines of text), ``run``,
    ``checkpoint``, ``kimg``, ``seconds``, ``memorisation``. Raises `BadInput`.
    """
    start = time.perf_counter()
    path = None if isinstance(run, GAN) else Path(run)
    both, checkpoint = checkpoint == "both", "latest" if checkpoint == "both" else checkpoint
    model = run if isinstance(run, GAN) else load(run, checkpoint=checkpoint, gan=gan, device=device)
    opened, split, warnings = data_of(path, data, model)
    options: dict[str, Any] = {
        "n": n, "features": features, "seed": seed, "k": k, "split": split, "intervals": intervals,
        "metrics": tuple(metrics), "weights": weights, "resizer": resizer, "truncation": truncation, "progress": progress,
    }  # fmt: skip
    found = _measured(model, opened, data is None, options)
    best = _other_best(path) if both else None
    if best and path is not None:
        other = _measured(load(path, checkpoint="best", gan=gan, device=device), opened, data is None, options)
        found = _beside(found, other, f"best ({best})")
    found = replace(found, warnings=(*warnings, *found.warnings))
    writes = write and path is not None and (path / "checkpoints").is_dir()
    table = found.lines()
    copies = None
    if memorisation or held_out is not None:
        copies = _memorise(path, data, opened, model, held_out, options)
        table += ["", *copies.found.lines()]
        if writes and path is not None:
            write_sheet(copies, path / "neighbours.png")
    result = found.to_dict() | {
        "table": table,
        "run": None if path is None else str(path),
        "checkpoint": checkpoint if path is not None and (path / "checkpoints").is_dir() else None,
        "kimg": model.kimg if np.isfinite(model.kimg) else None,
        "seconds": round(time.perf_counter() - start, 1),
    }
    if copies is not None:
        result["memorisation"] = copies.to_dict()
    if writes and path is not None:
        checkpoints.replace_file(path / "metrics.json", (json.dumps(result, indent=1) + "\n").encode())
    return result


def _measured(model: GAN, data: datasets.Data, own: bool, options: dict[str, Any]) -> metrics.Measurement:
    """Of a model that makes images from images also how well it does that, on what its training did not see."""
    if model.conditions_on != "images":
        return measure_model(model, data, **options)
    model.check_data(data)
    held = data.held if own else None
    if held is not None:
        options = {**options, "split": held.name if "held back" in held.name else f"{data.name}, held back"}
    return measure_translator(model, held or data, data, **options)


def _memorise(path: Path | None, data: Any, opened: Any, model: GAN, held_out: Any, options: dict[str, Any]) -> Any:
    """Against the run's own data; images named for the evaluation serve as held-out ones."""
    if opened.kind != "images":
        raise BadInput("--memorisation compares images; points have no copies to look at")
    trained = opened
    if data is not None and path is not None:
        trained, _, _ = data_of(path, None, model)
        held_out = opened if held_out is None else held_out
    kept = None if held_out is None else datasets.open(held_out, shape=trained.shape)
    keys = ("n", "features", "seed", "weights", "resizer", "truncation", "progress")
    return memorise(model, trained, kept, **{key: options[key] for key in keys})


def _other_best(path: Path | None) -> str | None:
    """The best checkpoint's name, where it is not the latest."""
    if path is None or not (path / "checkpoints").is_dir():
        return None
    best = checkpoints.pointer(path / "checkpoints", "best")
    return best if best != checkpoints.pointer(path / "checkpoints", "latest") else None


def _beside(found: metrics.Measurement, other: metrics.Measurement, name: str) -> metrics.Measurement:
    """``found`` with another model's generated row put second, under ``name``."""
    generated, *rest = found.rows
    rows = {generated: found.rows[generated], name: other.rows[generated], **{row: found.rows[row] for row in rest}}
    counts = dict(found.class_counts)
    if generated in other.class_counts:
        counts[name] = other.class_counts[generated]
    return replace(found, rows=rows, class_counts=counts)


def data_of(path: Path | None, data: Any, model: GAN) -> tuple[datasets.Data, str, list[str]]:
    """The real data in the model's shape, a word on its origin, and warnings."""
    if data is not None:
        if isinstance(data, datasets.Points):
            return data, data.name, []
        if model.conditions_on == "images":
            told: dict[str, Any] = {
                "inputs": "pairs" if model.paired else "domains",
                "in_channels": int(model.cfg.in_channels),
            }
            opened = datasets.open(data, shape=tuple(model.cfg.shape), **told)
            return opened, opened.name, []
        shape = tuple(model.generate(1).shape[1:])
        opened = datasets.open(data, shape=shape) if len(shape) == 3 else datasets.open(data)
        return opened, opened.name, []
    described = {} if path is None else Folder(path).read("config.json")
    kept = described.get("data")
    if not isinstance(kept, dict):
        raise BadInput("data: a model without its run folder does not know its data; say which images to compare with")
    assert path is not None
    source = dict(kept["source"])
    if source.pop("in_run", False):
        source["source"] = str(path / source["source"])
    opened = datasets.reopen(source)
    changed = f"the data {kept['name']} changed since training began: the floor is that of the new images"
    return opened, f"{opened.name} (training data)", [] if opened.fingerprint == kept["fingerprint"] else [changed]
