"""All figures of one set of features against a reference, each with its interval."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.metrics.measurement import Value
from ganloom.metrics.statistics.diversity import pair_distance, vendi_score
from ganloom.metrics.statistics.frechet import frechet_distance
from ganloom.metrics.statistics.inception_score import inception_score
from ganloom.metrics.statistics.infinity import frechet_infinity
from ganloom.metrics.statistics.intervals import index_spreads, interval, spreads
from ganloom.metrics.statistics.kernel import TABLE_ROWS, Kernels, kernel_distance, squared_mmd
from ganloom.metrics.statistics.neighbours import Distances, improved_precision_recall, prdc
from ganloom.metrics.statistics.rows import Features, as_pair, as_rows
from ganloom.metrics.statistics.sliced import sliced_wasserstein

METRICS = ("fd", "kd", "precision", "recall", "density", "coverage")
"""What is measured unless other names are given."""
MORE = ("is", "fd_inf", "swd", "vendi", "diversity", "iprecision", "irecall")
"""What can be asked for beside: Inception score, extrapolated Frechet distance, sliced Wasserstein distance, Vendi score,
mean distance of pairs, and precision and recall as first published."""
_BOUNDS = {
    "kd": (-math.inf, math.inf),
    "fd_inf": (-math.inf, math.inf),
    "is": (1.0, math.inf),
    "vendi": (1.0, math.inf),
}
_SHARES = ("precision", "recall", "coverage", "iprecision", "irecall")
_NEAR = ("precision", "recall", "density", "coverage")
_MOST = 1000  # rows a half-sample of the costly statistics
_DRAWS = 40


def check_names(names: Iterable[str]) -> tuple[str, ...]:
    """The metrics asked for, each once; "all" is every one. `BadInput` on an unknown name."""
    wanted = tuple(dict.fromkeys(names))
    if wanted == ("all",):
        return METRICS + MORE
    for name in wanted:
        if name not in METRICS + MORE:
            raise BadInput(
                f"metrics: unknown {name!r}{did_you_mean(name, METRICS + MORE)}; known: {', '.join(METRICS + MORE)}"
            )
    if not wanted:
        raise BadInput(f"metrics: none named; known: {', '.join(METRICS + MORE)}, or all")
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
    """Name -> `Value` of ``features`` (N, d) against ``reference`` (M, d), in the order of ``names``.

    ``is`` needs ``logits`` (N, classes) and ``fd_inf`` more than three samples a feature: where these are missing the
    name is left out. ``progress`` hears (stages done, of how many).
    """
    a, b = as_pair(reference, features)
    found: dict[str, Value] = {}
    stages = (_kernel_and_near, _frechet, _first_published, _sliced, _one_sample)
    for i, make in enumerate(stages):
        found |= make(a, b, names, k, seed, intervals)
        if progress:
            progress(i + 1, len(stages) + 1)
    if "is" in names and logits is not None:
        found["is"] = _score(logits, seed, intervals)
    if "fd_inf" in names and min(len(a), len(b)) // 3 > a.shape[1]:
        end = frechet_infinity(a, b, seed=seed)
        found["fd_inf"] = Value(end.value, end.low, end.high) if intervals else Value(end.value)
    return {name: found[name] for name in names if name in found}


def _with(numbers: dict[str, float], spread: dict[str, float], draws: int, **sd: float) -> dict[str, Value]:
    """Values with intervals where a spread is known."""
    result = {}
    for name, number in numbers.items():
        low, high = None, None
        if name in spread:
            bounds = (0.0, 1.0) if name in _SHARES else _BOUNDS.get(name, (0.0, math.inf))
            low, high = interval(number, spread[name], draws, bounds)
        result[name] = Value(number, low, high, sd.get(name))
    return result


def _frechet(a: Tensor, b: Tensor, names: tuple[str, ...], k: int, seed: int, intervals: bool) -> dict[str, Value]:
    if "fd" not in names:
        return {}
    draws = _DRAWS if a.shape[1] <= 128 else 16 if a.shape[1] <= 512 else 8  # two eigendecompositions each
    distance: Callable[[Tensor, Tensor], dict[str, float]] = lambda x, y: {"fd": frechet_distance(x, y)}  # noqa: E731
    spread = spreads(distance, a, b, n=draws, seed=seed) if intervals else {}
    return _with(distance(a, b), spread, draws)


def _kernel_and_near(
    a: Tensor, b: Tensor, names: tuple[str, ...], k: int, seed: int, intervals: bool
) -> dict[str, Value]:
    """The statistics of pairs. Up to `TABLE_ROWS` rows the half-samples read one table of all pairs."""
    near = [name for name in _NEAR if name in names]
    numbers: dict[str, float] = {}
    sd = {}
    if "kd" in names:
        numbers["kd"], sd["kd"] = kernel_distance(a, b, seed=seed)
    if near:
        all_near = prdc(a, b, k)
        numbers |= {name: all_near[name] for name in near}
    if not numbers or not intervals:
        return _with(numbers, {}, _DRAWS, **sd)
    tabled = max(len(a), len(b)) <= TABLE_ROWS
    kernels = Kernels(a, b) if tabled and "kd" in names else None
    distances = Distances(a, b) if tabled and near else None

    def draw(i: Tensor, j: Tensor) -> dict[str, float]:
        got: dict[str, float] = {}
        if "kd" in names:
            got["kd"] = kernels.squared_mmd(i, j) if kernels else squared_mmd(a[i], b[j])
        if near:
            values = distances.prdc(i, j, k) if distances else prdc(a[i], b[j], k)
            got |= {name: values[name] for name in near}
        return got

    spread = index_spreads(draw, len(a), len(b), n=_DRAWS, seed=seed, most=_MOST)
    return _with(numbers, spread, _DRAWS, **sd)


def _first_published(
    a: Tensor, b: Tensor, names: tuple[str, ...], k: int, seed: int, intervals: bool
) -> dict[str, Value]:
    """Kynkaanniemi's precision and recall, at their k = 3."""
    wanted = [name for name in ("iprecision", "irecall") if name in names]
    if not wanted:
        return {}

    def both(x: Tensor, y: Tensor) -> dict[str, float]:
        values = dict(zip(("iprecision", "irecall"), improved_precision_recall(x, y), strict=True))
        return {name: values[name] for name in wanted}

    spread = spreads(both, a, b, n=16, seed=seed, most=_MOST) if intervals else {}
    return _with(both(a, b), spread, 16)


def _sliced(a: Tensor, b: Tensor, names: tuple[str, ...], k: int, seed: int, intervals: bool) -> dict[str, Value]:
    if "swd" not in names:
        return {}
    distance: Callable[[Tensor, Tensor], dict[str, float]] = lambda x, y: {  # noqa: E731
        "swd": sliced_wasserstein(x, y, projections=128, seed=seed)
    }
    spread = spreads(distance, a, b, n=16, seed=seed) if intervals else {}
    return _with({"swd": sliced_wasserstein(a, b, seed=seed)}, spread, 16)


def _one_sample(a: Tensor, b: Tensor, names: tuple[str, ...], k: int, seed: int, intervals: bool) -> dict[str, Value]:
    """What looks at one set only: the reals' own value stands in the row of the other half."""
    wanted = [name for name in ("vendi", "diversity") if name in names]
    if not wanted:
        return {}

    def both(x: Tensor, y: Tensor) -> dict[str, float]:
        made: dict[str, Callable[[], float]] = {
            "vendi": lambda: vendi_score(y), "diversity": lambda: pair_distance(y, seed=seed),
        }  # fmt: skip
        return {name: made[name]() for name in wanted}

    spread = spreads(both, b[:4], b, n=16, seed=seed) if intervals else {}
    return _with(both(b, b), spread, 16)


def _score(logits: Tensor, seed: int, intervals: bool) -> Value:
    """The Inception score over ten parts of the shuffled rows; its deviation is that of the parts, as published."""
    rows = as_rows(logits, "logits")
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    parts = 10 if len(rows) >= 10 else 1
    mean, sd = inception_score(rows[order], splits=parts)
    if not intervals:
        return Value(mean, sd=sd)
    spread = spreads(lambda x, y: {"is": inception_score(y, splits=parts)[0]}, rows[:4], rows, n=_DRAWS, seed=seed)
    low, high = interval(mean, spread["is"], _DRAWS, _BOUNDS["is"])
    return Value(mean, low, high, sd)
