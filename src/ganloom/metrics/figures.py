"""All metrics of one set of features against a reference, each with its 95 % interval."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.metrics.statistics.diversity import pair_distances, vendi_score
from ganloom.metrics.statistics.frechet import frechet_distance
from ganloom.metrics.statistics.gaussian_kernel import gaussian_mmd, gaussian_mmd_interval
from ganloom.metrics.statistics.inception_score import inception_score
from ganloom.metrics.statistics.infinity import fit_line
from ganloom.metrics.statistics.intervals import (
    PAIRS,
    DistanceSpread,
    Halves,
    half_samples,
    interval,
    random_subsets,
    t975,
    wilson,
)
from ganloom.metrics.statistics.kernel import SUBSETS, kernel_distance, mmd_spread
from ganloom.metrics.statistics.neighbours import Distances, RowValues, rows_and_ball_variances
from ganloom.metrics.statistics.pairs import pair_variance
from ganloom.metrics.statistics.rows import Features, as_pair, as_rows
from ganloom.metrics.statistics.sliced import sliced_wasserstein
from ganloom.metrics.statistics.value import Value

METRICS = ("fd", "kd", "precision", "recall", "density", "coverage")
"""Measured by default."""
MORE = ("is", "fd_inf", "swd", "cmmd", "vendi", "diversity", "iprecision", "irecall")
"""Measured on request: Inception score, extrapolated Frechet distance, sliced Wasserstein distance, MMD with a Gaussian
kernel, Vendi score, mean distance of pairs, and precision and recall as first published."""
_HALF = 1000  # rows in a half-sample of the metrics of neighbours
_MOST_SHARE = 0.9  # of rows in a ball; above it the variance over the balls is far too large
_FIRST_K = 3  # Kynkaanniemi's number of neighbours
_FEWER_PAIRS = 8  # of half-samples, for costly metrics


@dataclass(frozen=True)
class _Task:
    """What one row of a measurement is computed from."""

    a: Tensor
    b: Tensor
    names: tuple[str, ...]
    k: int
    seed: int
    intervals: bool


def check_names(names: Iterable[str]) -> tuple[str, ...]:
    """Check the names of metrics.

    Args:
        names: of `METRICS` and `MORE`, or "all".

    Returns:
        Each name once.

    Raises:
        BadInput: an unknown name, or no name.
    """
    wanted = tuple(dict.fromkeys(names))
    if wanted == ("all",):
        return METRICS + MORE
    for name in wanted:
        if name not in METRICS + MORE:
            raise BadInput(
                f"metrics: unknown {name!r}{did_you_mean(name, METRICS + MORE)}; known: {', '.join(METRICS + MORE)}"
            )
    if not wanted:
        raise BadInput(f"metrics: no name given; known: {', '.join(METRICS + MORE)}, or all")
    return wanted


def row_values(
    reference: Features,
    features: Features,
    logits: Tensor | None = None,
    *,
    names: tuple[str, ...] = METRICS,
    k: int = 5,
    seed: int = 0,
    intervals: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Value]:
    """Compute the metrics of ``features`` against ``reference``.

    ``is`` needs ``logits``, and ``fd_inf`` more than three samples for each feature. A metric whose needs are not met
    is left out.

    Args:
        reference: (M, d) features of real images.
        features: (N, d) features.
        logits: (N, classes), or None.
        names: of `METRICS` and `MORE`.
        k: number of neighbours of precision, recall, density and coverage.
        seed: keys all random choices.
        intervals: whether to compute the 95 % intervals (see `statistics.intervals`).
        progress: called with (stages done, stages).

    Returns:
        Name -> `Value`, in the order of ``names``.

    Raises:
        BadInput: NaN or Inf, different d, or too few rows.
    """
    a, b = as_pair(reference, features)
    task = _Task(a, b, names, k, seed, intervals and min(len(a), len(b)) >= 4)
    values: dict[str, Value] = {}
    stages = (_kernel, _neighbours, _frechet, _sliced, _gaussian_kernel, _vendi, _diversity)
    for i, stage in enumerate(stages):
        values |= stage(task)
        if progress:
            progress(i + 1, len(stages) + 1)
    if "is" in names and logits is not None:
        values["is"] = _score(logits, seed, intervals)
    return {name: values[name] for name in names if name in values}


def _with_interval(
    value: float, variance: float, dof: int, low: float = 0.0, high: float = math.inf, sd: float | None = None
) -> Value:
    """A value with the interval that its variance gives, clipped to ``low`` and ``high``."""
    return Value(value, *interval(value, math.sqrt(variance), dof + 1, (low, high)), sd)


def _kernel(task: _Task) -> dict[str, Value]:
    """Kernel distance. The random choice of its subsets adds to its variance."""
    if "kd" not in task.names:
        return {}
    mean, sd = kernel_distance(task.a, task.b, seed=task.seed)
    if not task.intervals:
        return {"kd": Value(mean, sd=sd)}
    spread = mmd_spread(task.a, task.b, seed=task.seed)
    return {"kd": Value(mean, *spread.interval(mean, subset_variance=sd**2 / SUBSETS), sd)}


def _neighbours(task: _Task) -> dict[str, Value]:
    """Metrics of nearest neighbours, as defined by Naeem et al. and as first published (k = 3, the rim is inside)."""
    families: tuple[tuple[int, bool, int, dict[str, str]], ...] = (
        (task.k, False, PAIRS, {field: field for field in RowValues._fields}),
        (_FIRST_K, True, PAIRS, {"iprecision": "precision", "irecall": "recall"}),
    )
    x, y, share = random_subsets(task.a, task.b, _HALF, task.seed)
    distances = None
    values = {}
    for k, rim, pairs, fields in families:
        fields = {name: field for name, field in fields.items() if name in task.names}
        if not fields:
            continue
        rows, of_balls = rows_and_ball_variances(task.a, task.b, k, rim=rim)
        halves = None
        if task.intervals and k < min(len(x), len(y)) // 2:
            distances = distances or Distances(x, y)
            halves = _neighbour_halves(distances, (len(x), len(y)), k, rim, pairs, task.seed, share)
        for name, field in fields.items():
            values[name] = _mean_of_rows(getattr(rows, field), field, halves, of_balls.get(field, 0.0))
    return values


def _neighbour_halves(
    distances: Distances, sizes: tuple[int, int], k: int, rim: bool, pairs: int, seed: int, share: float
) -> Halves:
    """The metrics of half-samples, and under "NAME rows" the variance that independent rows would give."""

    def statistics(i: Tensor, j: Tensor) -> dict[str, float]:
        rows = distances.row_values(i, j, k, rim=rim)
        return rows.means() | {f"{name} rows": variance for name, variance in rows.variances().items()}

    return half_samples(statistics, sizes, pairs=pairs, seed=seed, share=share)


def _mean_of_rows(rows: Tensor, field: str, halves: Halves | None, of_balls: float) -> Value:
    """The mean over dependent rows: by Wilson's interval for shares, by Student's t for the density.

    ``of_balls`` is the variance over the draw of the balls' centres. Half-samples show it too, but too small if few balls decide.
    """
    mean = float(rows.mean())
    if halves is None:
        return Value(mean)
    effect = halves.design_effect(field, f"{field} rows")
    independent = float(rows.var(correction=0)) / len(rows)
    if field != "density" and mean > _MOST_SHARE:
        of_balls = 0.0  # the balls of the neighbours would hold most of the rows that one ball alone holds
    variance = max(independent * effect, independent + of_balls)
    if field == "density":  # both variances are of the whole; the greater of the two is too wide on average
        return _with_interval(mean, (independent * effect + independent + of_balls) / 2, halves.pairs)
    effect = variance / independent if independent > 0 else effect
    return Value(mean, *wilson(mean, len(rows) / effect, t975(halves.pairs)))


def _frechet(task: _Task) -> dict[str, Value]:
    """Frechet distance and its extrapolation, from the same half-samples."""
    a, b = task.a, task.b
    extrapolates = "fd_inf" in task.names and min(len(a), len(b)) // 3 > a.shape[1]
    line = fit_line(a, b, seed=task.seed) if extrapolates else None
    values = {"fd": Value(frechet_distance(a, b))} if "fd" in task.names else {}
    if line is not None:
        values["fd_inf"] = Value(line.intercept)
    if not task.intervals or not values:
        return values
    pairs = PAIRS if a.shape[1] <= 128 else 8 if a.shape[1] <= 512 else 4  # each takes four eigendecompositions

    def halves_of(sizes: tuple[int, int]) -> Halves:
        return half_samples(lambda i, j: {"fd": frechet_distance(a[i], b[j])}, sizes, pairs=pairs, seed=task.seed)

    halves = halves_of((len(a), len(b)))
    if "fd" in values:
        distance = values["fd"].value
        values["fd"] = Value(distance, *DistanceSpread.of(halves, "fd").interval(distance))
    if line is not None:
        least = min(len(a), len(b))
        cut = halves if len(a) == len(b) else halves_of((least, least))  # the line uses as many rows of both sets
        values["fd_inf"] = _with_interval(line.intercept, line.variance(cut, "fd"), pairs, -math.inf)
    return values


def _sliced(task: _Task) -> dict[str, Value]:
    """Sliced Wasserstein distance: the root of a squared distance. Half-samples are projected to fewer directions."""
    if "swd" not in task.names:
        return {}
    a, b, seed = task.a, task.b, task.seed
    distance = sliced_wasserstein(a, b, seed=seed)
    if not task.intervals:
        return {"swd": Value(distance)}
    halves = half_samples(
        lambda i, j: {"square": sliced_wasserstein(a[i], b[j], projections=128, seed=seed) ** 2},
        (len(a), len(b)),
        pairs=_FEWER_PAIRS,
        seed=seed,
    )
    low, high = DistanceSpread.of(halves, "square").interval(distance**2)
    return {"swd": Value(distance, math.sqrt(low), math.sqrt(high))}


def _gaussian_kernel(task: _Task) -> dict[str, Value]:
    """MMD with a Gaussian kernel over features of length 1."""
    if "cmmd" not in task.names:
        return {}
    if not task.intervals:
        return {"cmmd": Value(gaussian_mmd(task.a, task.b))}
    return {"cmmd": gaussian_mmd_interval(task.a, task.b, seed=task.seed)}


def _vendi(task: _Task) -> dict[str, Value]:
    """Vendi score of the features alone: in the row of the other half it is that of real images."""
    if "vendi" not in task.names:
        return {}
    b, score = task.b, vendi_score(task.b)
    if not task.intervals:
        return {"vendi": Value(score)}
    halves = half_samples(lambda i: {"vendi": vendi_score(b[i])}, (len(b),), pairs=_FEWER_PAIRS, seed=task.seed)
    return {"vendi": _with_interval(score, halves.smooth_variance("vendi"), halves.pairs, 1.0)}


def _diversity(task: _Task) -> dict[str, Value]:
    """Mean distance of random pairs of the features."""
    if "diversity" not in task.names:
        return {}
    distances, first, second = pair_distances(task.b, seed=task.seed)
    mean = float(distances.mean())
    if not task.intervals:
        return {"diversity": Value(mean)}
    return {"diversity": _with_interval(mean, pair_variance(distances, first, second), len(task.b) - 1)}


def _score(logits: Tensor, seed: int, intervals: bool) -> Value:
    """Inception score over ten parts of the shuffled rows; its deviation is that between the parts, as published."""
    rows = as_rows(logits, "logits")
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    parts = 10 if len(rows) >= 10 else 1
    mean, sd = inception_score(rows[order], splits=parts)
    if not intervals or len(rows) < 2 * parts:
        return Value(mean, sd=sd)
    halves = half_samples(lambda i: {"is": inception_score(rows[i], splits=parts)[0]}, (len(rows),), seed=seed)
    return _with_interval(mean, halves.variance("is"), halves.pairs, 1.0, sd=sd)
