"""One honest measurement of generated images: every number beside its floor, its interval and its protocol."""

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
from ganloom.metrics.reference import kept
from ganloom.metrics.statistics.frechet import frechet_distance
from ganloom.metrics.statistics.kernel import kernel_distance
from ganloom.metrics.statistics.neighbours import expected_coverage, prdc
from ganloom.metrics.statistics.rows import Features
from ganloom.metrics.statistics.value import Value

_MOST_CLASSES = 100
PART = 512
"""Images at a time where they come in parts."""


@dataclass(frozen=True)
class Row:
    """A set of images that is made in parts, each time anew: only one part is in memory at once.

    ``parts``: gives tensors (m, C, H, W) in [-1, 1], ``n`` images in all. ``key``: names the content, so that its
    features can be kept from one evaluation to the next; None for images that change.
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
    """Compare ``fake`` with ``real`` images (N, C, H, W) float in [-1, 1] through ``extractor``.

    With ``floor`` the reals (shuffled by ``seed``) are cut into two disjoint samples: the reference, and the "other
    half" that shows what a perfect model would score; all rows then have n = min(N_fake, N_real // 2) samples, for most
    of these numbers depend on it. Give twice as many reals as fakes to use all fakes. Without ``floor``,
    n = min(N_fake, N_real). The noise row (uniform noise images) shows which metrics this net can be trusted on.
    ``bootstrap``: 95 % intervals by half-sampling. ``split``: the part of the data the reals come from, for the record.
    ``metrics``: names of `METRICS` and `MORE`, or "all". Raises `BadInput` for unusable images or fewer than 2 k + 2
    samples.
    """
    reals, fakes = check_images(real, "real"), check_images(fake, "fake")
    n = min(len(fakes), len(reals) // 2 if floor else len(reals))
    if k < 1 or n < 2 * k + 2:
        raise BadInput(
            f"real {len(reals)}, fake {len(fakes)} images: k = {k} needs {2 * k + 2} fakes and"
            f" {(4 if floor else 2) * (k + 1)} reals or more; give more, or a smaller k"
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
    """``n`` images of uniform noise, from the state that ``rng`` has now."""
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
    """`measure` for sets of any size: each row against ``reference``, images in parts, features in memory.

    One of ``rows`` is `GENERATED`. 50,000 images with 2,048 features keep 400 MB a row. ``protocol``: further
    entries for the record. ``progress``: see `Progress`.
    """
    names = check_names(metrics)
    n, size = rows[GENERATED].n, reference.n
    look = _Look(reference, rows[GENERATED])
    real, _ = kept(extractor, reference.key, lambda: _features(extractor, reference, "real images", progress))
    found: dict[str, dict[str, Value]] = {}
    counts: dict[str, list[int]] = {}
    noise_precision = 0.0
    for row, images in rows.items():
        make = lambda images=images, row=row: _features(extractor, images, row, progress)  # noqa: E731
        features, logits = kept(extractor, images.key, make)
        if logits is not None:
            counts[row] = logits.argmax(1).bincount(minlength=logits.shape[1]).tolist()
        tell = partial(progress, f"{extractor.name}: figures of {row}, stage") if progress else None
        if tell:
            tell(0, 1)
        values = row_values(real, features, logits, names=names, k=k, seed=seed, intervals=bootstrap, progress=tell)
        if row == NOISE:
            noise_precision = values["precision"].value if "precision" in values else 0.0
        found[row] = {metric_name(name, extractor.name, len(features)): value for name, value in values.items()}
    told = {
        "backbone": extractor.name, "sha8": extractor.sha8, "resizer": extractor.resizer, "n_real": size, "n_fake": n,
        "k": k, "size": extractor.size or look.shape[-1], "split": split, "seed": seed,
        "expected_coverage": expected_coverage(size, k, n), "note": extractor.note, **(protocol or {}),
    }  # fmt: skip
    scored = counts.get(GENERATED)
    if scored and len(scored) > _MOST_CLASSES:
        counts = {}  # a thousand shares are no table
    return Measurement(found, told, counts, look.warnings(noise_precision, n, real.shape[1], names, bool(scored)))


def _features(extractor: Extractor, row: Row, what: str, progress: Progress) -> tuple[Tensor, Tensor | None]:
    return extractor.stream(row.parts(), total=row.n, what=what, progress=progress)


class _Look:
    """What a first part of either set tells: shapes, and whether the ranges belong together."""

    def __init__(self, real: Row, fake: Row) -> None:
        a, b = (check_images(next(iter(row.parts())), name) for row, name in ((real, "real"), (fake, "fake")))
        self.shape, self.other = tuple(a.shape[1:]), tuple(b.shape[1:])
        self.one_sided = bool(b.amin() >= -0.01 and a.amin() < -0.5)

    def warnings(
        self, noise_precision: float, n: int, d: int, names: tuple[str, ...], classifier: bool
    ) -> tuple[str, ...]:
        """Sentences on what should not be read off these numbers."""
        found = []
        if n < 2 * d and "fd" in names:
            found.append(
                f"{n} samples are few for {d} features: the Frechet distance is mostly bias here; read kd, and fd only"
                f" beside its floor, or give {2 * d} samples or more"
            )
        if "fd_inf" in names and n // 3 <= d:
            found.append(
                f"fd_inf was left out: extrapolation over {d} features needs more than {3 * d} samples, not {n}"
            )
        if "is" in names and not classifier:
            found.append("is was left out: this net has no classes; fashion, task and inception have")
        if self.one_sided:
            found.append("the generated images look as if they were in [0, 1], the real ones are in [-1, 1]")
        if self.shape != self.other:
            sizes = " and ".join(" x ".join(map(str, shape)) for shape in (self.other, self.shape))
            found.append(f"generated and real images are {sizes}: they are resized differently, which is measured too")
        if noise_precision > 0.5:
            found.append(f"pure noise reaches precision {noise_precision:.2f} with this net: it cannot judge sharpness")
        return tuple(found)


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
    """All metrics of each of ``samples`` (N, d) against ``reference`` (N, d): row -> full metric name -> Value.

    `measure` without images, for features (or points) that are there already; ``backbone`` says which.
    """
    names = check_names(metrics)
    rows = {}
    for row, features in samples.items():
        values = row_values(reference, features, names=names, k=k, seed=seed, intervals=bootstrap)
        rows[row] = {metric_name(metric, backbone, len(features)): value for metric, value in values.items()}
    return rows


def quick(real_features: Tensor, fake_features: Tensor, k: int = 5, seed: int = 0) -> dict[str, float]:
    """``fd``, ``kd``, ``coverage`` and ``precision`` of (N, d) features, no intervals: to choose the best checkpoint.

    A tenth of a second at 2,000 x 64. Compare only values of the same counts; name them with `metric_name`.
    """
    near = prdc(real_features, fake_features, k)
    kd, _ = kernel_distance(real_features, fake_features, subsets=10, subset_size=2000, seed=seed)
    fd = frechet_distance(real_features, fake_features)
    return {"fd": fd, "kd": kd, "coverage": near["coverage"], "precision": near["precision"]}
