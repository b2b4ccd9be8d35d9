"""Measure a trained model: samples against real pictures, beside what a perfect model and noise would score."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganloom import checkpoint as checkpoints
from ganloom import data as datasets
from ganloom import metrics
from ganloom.errors import BadInput
from ganloom.folder import Folder
from ganloom.gan import GAN
from ganloom.run import Run, load

TASK_CLASS_SIZE = 50
"""A task net is trained only where each class has at least so many pictures."""
TASK_PICTURES = 20_000
"""At most so many pictures are read to train one."""


def evaluate(
    run: str | Path | Run | GAN,
    data: Any = None,
    *,
    n: int = 2000,
    features: str | metrics.Extractor | torch.nn.Module | Callable[[Tensor], Any] = "auto",
    seed: int = 0,
    checkpoint: str = "latest",
    k: int = 5,
    intervals: bool = True,
    device: str = "cpu",
    gan: GAN | None = None,
    write: bool = True,
) -> dict[str, Any]:
    """Measure the generator of ``run`` on ``n`` samples; returns plain data, and writes it to a run's metrics.json.

    ``run``: a run folder, a model/ folder, a Run, or a model. ``data``: whatever ``ganloom.data.open`` takes, such as
    pictures that training never saw; None: the run's own data. Real pictures are needed twice over, as the reference
    and as the other half that shows the floor, so n is at most half of them. ``features``: "auto" takes ``fashion`` for
    Fashion-MNIST, ``task`` for labelled data (two classes or more of 50 pictures each), else ``random``; or say one of
    those names, ``effnet``, or a net of your own. ``checkpoint``: "latest", "best", a name, or
    "both": the latest, and the best beside it. ``gan``: for a class of
    your own, a fresh model of it. ``intervals``: 95 % intervals. ``write``: False leaves metrics.json alone.

    Keys: ``rows`` (generated, real (other half), noise -> metric -> value, low, high), ``protocol``, ``class_counts``,
    ``warnings``, ``table`` (lines of text), ``run``, ``checkpoint``, ``kimg``, ``seconds``. Raises `BadInput`.
    """
    start = time.perf_counter()
    path = None if isinstance(run, GAN) else run.path if isinstance(run, Run) else Path(run)
    both, checkpoint = checkpoint == "both", "latest" if checkpoint == "both" else checkpoint
    model = run if isinstance(run, GAN) else load(run, checkpoint=checkpoint, gan=gan, device=device)
    opened, split, warnings = _data(path, data, model)
    if features == "auto" and opened.kind == "images":
        features = choose_features(features, opened, seed)
    options: dict[str, Any] = {"n": n, "features": features, "seed": seed, "k": k, "split": split}
    found = measure_model(model, opened, intervals=intervals, **options)
    best = _other_best(path) if both else None
    if best and path is not None:
        other = measure_model(
            load(path, checkpoint="best", gan=gan, device=device), opened, intervals=intervals, **options
        )
        found = _beside(found, other, f"best ({best})")
    found = replace(found, warnings=(*warnings, *found.warnings))
    result = found.to_dict() | {
        "table": found.lines(),
        "run": None if path is None else str(path),
        "checkpoint": checkpoint if path is not None and (path / "checkpoints").is_dir() else None,
        "kimg": model.kimg if np.isfinite(model.kimg) else None,
        "seconds": round(time.perf_counter() - start, 1),
    }
    if write and path is not None and result["checkpoint"] is not None:
        checkpoints.replace_file(path / "metrics.json", (json.dumps(result, indent=1) + "\n").encode())
    return result


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


def measure_model(
    model: GAN,
    data: datasets.Data,
    *,
    n: int = 2000,
    features: str | metrics.Extractor | torch.nn.Module | Callable[[Tensor], Any] = "auto",
    seed: int = 0,
    k: int = 5,
    intervals: bool = True,
    split: str = "",
) -> metrics.Measurement:
    """Samples of ``model`` against an open data set; labels of a conditional model follow the data's class shares."""
    n = min(n, len(data) // 2)
    if n < 2 * k + 2:
        raise BadInput(
            f"{data.name}: {len(data)} rows, evaluation with k = {k} needs {4 * k + 4} or more; give more data"
        )
    picks = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[: 2 * n].numpy()
    real = data.get(picks).cpu()
    fake = model.generate(n, seed=seed, c=_conditions(model, data, picks[:n])).cpu()
    if fake.shape[1:] != real.shape[1:] and data.kind == "points":
        raise BadInput(
            f"the model makes {tuple(fake.shape[1:])}, {data.name} holds {tuple(real.shape[1:])}; give other data"
        )
    if data.kind == "points":
        return _measure_points(real, fake, seed, k, intervals, split)
    extractor = choose_features(features, data, seed)
    return metrics.measure(real, fake, extractor, k=k, seed=seed, bootstrap=intervals, split=split)


def choose_features(
    features: str | metrics.Extractor | torch.nn.Module | Callable[[Tensor], Any], data: datasets.Data, seed: int = 0
) -> metrics.Extractor:
    """The extractor that ``features`` names, or that "auto" chooses for ``data``."""
    if features == "auto":
        labels = data.labels
        counts = np.zeros(0, int) if labels is None else np.unique(labels, return_counts=True)[1]
        if data.shape[0] == 1 and data.name.startswith("fashion"):
            features = "fashion"
        else:
            features = "task" if len(counts) >= 2 and counts.min() >= TASK_CLASS_SIZE else "random"
    if features != "task":
        return metrics.get(features)
    if data.labels is None:
        raise BadInput(f"features 'task': {data.name} has no labels; use class folders, or features 'random'")
    picks = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:TASK_PICTURES].numpy()
    return metrics.get("task", images=data.get(picks), labels=data.labels[picks])


def _conditions(model: GAN, data: datasets.Data, picks: Any) -> Tensor | None:
    """One label a sample as the data has them, for a model that takes labels of as many classes."""
    classes = int(getattr(model.cfg, "n_classes", 0) or 0)
    if not classes or data.labels is None or data.n_classes != classes:
        return None
    return torch.from_numpy(data.labels[picks])


def _measure_points(real: Tensor, fake: Tensor, seed: int, k: int, intervals: bool, split: str) -> metrics.Measurement:
    """Points are their own features; noise is uniform in the real points' box."""
    n, d = fake.shape
    rng = torch.Generator().manual_seed(seed)
    low, high = real.amin(0), real.amax(0)
    samples = {
        metrics.GENERATED: fake,
        metrics.FLOOR: real[n:],
        metrics.NOISE: torch.rand((n, d), generator=rng) * (high - low) + low,
    }
    rows = metrics.compare(real[:n], samples, "points", k=k, seed=seed, bootstrap=intervals)
    protocol = {
        "backbone": "points", "sha8": "none", "n_real": n, "n_fake": n, "k": k, "size": d, "split": split, "seed": seed,
        "expected_coverage": metrics.expected_coverage(n, k), "note": "the coordinates themselves are the features",
    }  # fmt: skip
    return metrics.Measurement(rows, protocol)


def _data(path: Path | None, data: Any, model: GAN) -> tuple[datasets.Data, str, list[str]]:
    """The real data in the model's shape, a word on its origin, and warnings."""
    if data is not None:
        if isinstance(data, datasets.Points):
            return data, data.name, []
        shape = tuple(model.generate(1).shape[1:])
        opened = datasets.open(data, shape=shape) if len(shape) == 3 else datasets.open(data)
        return opened, opened.name, []
    described = {} if path is None else Folder(path).read("config.json")
    kept = described.get("data")
    if not isinstance(kept, dict):
        raise BadInput(
            "data: a model without its run folder does not know its data; say which pictures to compare with"
        )
    assert path is not None
    source = dict(kept["source"])
    if source.pop("in_run", False):
        source["source"] = str(path / source["source"])
    opened = datasets.reopen(source)
    changed = f"the data {kept['name']} changed since training began: the floor is that of the new pictures"
    return opened, f"{opened.name} (training data)", [] if opened.fingerprint == kept["fingerprint"] else [changed]
