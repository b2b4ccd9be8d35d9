"""Measure generated images: every metric with its real-vs-real baseline, 95 % interval and settings."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.extractors.extractor import Extractor, Progress
from ganloom.metrics.figures import METRICS, check_names, row_values
from ganloom.metrics.images import Images, check_images
from ganloom.metrics.measurement import FLOOR, GENERATED, NOISE, Measurement, metric_name
from ganloom.metrics.reference import cached_features
from ganloom.metrics.statistics.frechet import frechet_distance
from ganloom.metrics.statistics.kernel import kernel_distance
from ganloom.metrics.statistics.neighbours import expected_coverage, prdc
from ganloom.metrics.statistics.rows import Features
from ganloom.metrics.statistics.value import Value

_MOST_CLASSES = 100
PART = 512
"""Images in a part."""


@dataclass(frozen=True)
class Row:
    """A set of images that is read or generated in parts, so that only one part is in memory.

    Attributes:
        parts: returns the tensors (m, C, H, W) in [-1, 1], from the first image each time.
        n: number of images.
        key: names the content, so that its features can be cached. None for images that change.
    """

    parts: Callable[[], Iterable[Tensor]]
    n: int
    key: str | None = None

    @classmethod
    def of(cls, images: Tensor) -> "Row":
        """Images that are in memory."""
        return cls(lambda: images.split(PART), len(images))


def measure(
    real: Images,
    fake: Images,
    extractor: Extractor,
    *,
    k: int = 5,
    seed: int = 0,
    bootstrap: bool = True,
    floor: bool = True,
    split: str = "",
    metrics: Iterable[str] = METRICS,
) -> Measurement:
    """Compare generated with real images.

    With ``floor`` the real images (shuffled by ``seed``) are cut into two disjoint samples: the reference, and the "other
    half", which shows what a perfect model would score. Most metrics depend on the sample count, so all rows have
    n = min(N_fake, N_real // 2) samples. Give twice as many reals as fakes to use all fakes. The noise row (images of
    uniform noise) shows which metrics of this feature net are reliable.

    Args:
        real: (N, C, H, W) real images, float in [-1, 1].
        fake: (N, C, H, W) generated images.
        extractor: the feature net.
        k: number of neighbours.
        seed: keys all random choices.
        bootstrap: whether to compute the 95 % intervals.
        floor: whether to measure the other half. Without it n = min(N_fake, N_real).
        split: the part of the data that the reals come from, for the protocol.
        metrics: names of `METRICS` and `MORE`, or "all".

    Returns:
        The values of all rows.

    Raises:
        BadInput: unusable images, an unknown metric, or fewer than 2 k + 2 samples.
    """
    reals, fakes = check_images(real, "real"), check_images(fake, "fake")
    n = min(len(fakes), len(reals) // 2 if floor else len(reals))
    if k < 1 or n < 2 * k + 2:
        raise BadInput(
            f"real {len(reals)}, fake {len(fakes)} images: k = {k} needs {2 * k + 2} fakes and"
            f" {(4 if floor else 2) * (k + 1)} reals or more. Give more images, or a smaller k"
        )
    rng = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(reals), generator=rng)
    rows = {GENERATED: Row.of(fakes[:n])}
    if floor:
        rows[FLOOR] = Row.of(reals[order[n : 2 * n]])
    rows[NOISE] = noise_row(n, tuple(reals.shape[1:]), rng)
    return measure_rows(
        Row.of(reals[order[:n]]), rows, extractor, k=k, seed=seed, bootstrap=bootstrap, split=split, metrics=metrics
    )


def noise_row(n: int, shape: tuple[int, ...], rng: torch.Generator) -> Row:
    """Make a set of images of uniform noise.

    Args:
        n: number of images.
        shape: (C, H, W).
        rng: its present state keys the noise; it is not advanced.

    Returns:
        The set.
    """
    state = rng.get_state()

    def parts() -> Iterator[Tensor]:
        own = torch.Generator()
        own.set_state(state)
        for start in range(0, n, PART):
            yield torch.rand((min(PART, n - start), *shape), generator=own) * 2 - 1

    return Row(parts, n)


def measure_rows(
    reference: Row,
    rows: Mapping[str, Row],
    extractor: Extractor,
    *,
    k: int = 5,
    seed: int = 0,
    bootstrap: bool = True,
    split: str = "",
    metrics: Iterable[str] = METRICS,
    protocol: Mapping[str, Any] | None = None,
    progress: Progress = None,
) -> Measurement:
    """Measure sets of any size: images in parts, features in memory.

    50,000 images with 2,048 features need 400 MB for each row.

    Args:
        reference: the real images that every row is compared with.
        rows: name -> set of images. One name is `GENERATED`.
        extractor: the feature net.
        k: number of neighbours.
        seed: keys all random choices.
        bootstrap: whether to compute the 95 % intervals.
        split: the part of the data that the reference comes from, for the protocol.
        metrics: names of `METRICS` and `MORE`, or "all".
        protocol: further entries of the protocol.
        progress: see `Progress`.

    Returns:
        The values of all rows.

    Raises:
        BadInput: unusable images, an unknown metric, or too few images.
    """
    names = check_names(metrics)
    n, size = rows[GENERATED].n, reference.n
    first_parts = _FirstParts(reference, rows[GENERATED])
    real, _ = cached_features(
        extractor, reference.key, lambda: _features(extractor, reference, "real images", progress)
    )
    values: dict[str, dict[str, Value]] = {}
    counts: dict[str, list[int]] = {}
    noise_precision = 0.0
    for row, images in rows.items():
        compute = lambda images=images, row=row: _features(extractor, images, row, progress)  # noqa: E731
        features, logits = cached_features(extractor, images.key, compute)
        if logits is not None:
            counts[row] = logits.argmax(1).bincount(minlength=logits.shape[1]).tolist()
        report = partial(progress, f"{extractor.name}: metrics of {row}, stage") if progress else None
        if report:
            report(0, 1)
        row_metrics = row_values(
            real, features, logits, names=names, k=k, seed=seed, intervals=bootstrap, progress=report
        )
        if row == NOISE:
            noise_precision = row_metrics["precision"].value if "precision" in row_metrics else 0.0
        values[row] = {metric_name(name, extractor.name, len(features)): v for name, v in row_metrics.items()}
    full_protocol = {
        "backbone": extractor.name, "sha8": extractor.sha8, "resizer": extractor.resizer, "n_real": size, "n_fake": n,
        "k": k, "size": extractor.size or first_parts.real_shape[-1], "split": split, "seed": seed,
        "expected_coverage": expected_coverage(size, k, n), "note": extractor.note, **(protocol or {}),
    }  # fmt: skip
    generated_counts = counts.get(GENERATED)
    if generated_counts and len(generated_counts) > _MOST_CLASSES:
        counts = {}  # too many for a table
    warnings = first_parts.warnings(noise_precision, n, real.shape[1], names, bool(generated_counts))
    return Measurement(values, full_protocol, counts, warnings)


def _features(extractor: Extractor, row: Row, what: str, progress: Progress) -> tuple[Tensor, Tensor | None]:
    """Features and logits of a set."""
    return extractor.stream(row.parts(), total=row.n, what=what, progress=progress)


class _FirstParts:
    """Shapes and value ranges of the first part of the real and of the generated images."""

    def __init__(self, real: Row, fake: Row) -> None:
        a, b = (check_images(next(iter(row.parts())), name) for row, name in ((real, "real"), (fake, "fake")))
        self.real_shape, self.fake_shape = tuple(a.shape[1:]), tuple(b.shape[1:])
        self.one_sided = bool(b.amin() >= -0.01 and a.amin() < -0.5)

    def warnings(
        self, noise_precision: float, n: int, d: int, names: tuple[str, ...], classifier: bool
    ) -> tuple[str, ...]:
        """Sentences on what not to conclude from these numbers."""
        warnings = []
        if n < 2 * d and "fd" in names:
            warnings.append(
                f"{n} samples are few for {d} features: the Frechet distance is mostly bias here. Read kd, compare fd"
                f" with its floor only, or give {2 * d} samples or more"
            )
        if "fd_inf" in names and n // 3 <= d:
            warnings.append(
                f"fd_inf was left out: extrapolation over {d} features needs more than {3 * d} samples, not {n}"
            )
        if "is" in names and not classifier:
            warnings.append("is was left out: this net has no classes; fashion, task and inception have")
        if self.one_sided:
            warnings.append("the generated images seem to be in [0, 1], the real ones are in [-1, 1]")
        if self.real_shape != self.fake_shape:
            sizes = " and ".join(" x ".join(map(str, shape)) for shape in (self.fake_shape, self.real_shape))
            warnings.append(
                f"generated and real images are {sizes}: the metrics also measure that they are resized differently"
            )
        if noise_precision > 0.5:
            warnings.append(
                f"pure noise reaches precision {noise_precision:.2f} with this net: it cannot judge sharpness"
            )
        return tuple(warnings)


def compare(
    reference: Features,
    samples: Mapping[str, Features],
    backbone: str,
    *,
    k: int = 5,
    seed: int = 0,
    bootstrap: bool = True,
    metrics: Iterable[str] = METRICS,
) -> dict[str, dict[str, Value]]:
    """Measure features (or points) instead of images.

    Args:
        reference: (N, d) features of real images.
        samples: name -> (N, d) features.
        backbone: name of the feature net, for the metric names.
        k: number of neighbours.
        seed: keys all random choices.
        bootstrap: whether to compute the 95 % intervals.
        metrics: names of `METRICS` and `MORE`, or "all".

    Returns:
        Row -> full metric name -> `Value`.

    Raises:
        BadInput: unusable features or an unknown metric.
    """
    names = check_names(metrics)
    rows = {}
    for row, features in samples.items():
        values = row_values(reference, features, names=names, k=k, seed=seed, intervals=bootstrap)
        rows[row] = {metric_name(metric, backbone, len(features)): value for metric, value in values.items()}
    return rows


def quick(real_features: Tensor, fake_features: Tensor, k: int = 5, seed: int = 0) -> dict[str, float]:
    """Compute ``fd``, ``kd``, ``coverage`` and ``precision`` without intervals, to choose the best checkpoint.

    Takes a tenth of a second at 2,000 x 64. Compare only values of equal counts. Name them with `metric_name`.

    Args:
        real_features: (N, d).
        fake_features: (M, d).
        k: number of neighbours.
        seed: keys the subsets of kd.

    Returns:
        Short name -> number.

    Raises:
        BadInput: unusable features.
    """
    near = prdc(real_features, fake_features, k)
    kd, _ = kernel_distance(real_features, fake_features, subsets=10, subset_size=2000, seed=seed)
    fd = frechet_distance(real_features, fake_features)
    return {"fd": fd, "kd": kd, "coverage": near["coverage"], "precision": near["precision"]}
