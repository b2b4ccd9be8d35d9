"""One honest measurement of generated pictures: every number beside its floor, its interval and its protocol."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ganloom.errors import BadInput
from ganloom.metrics.extractor import Extractor
from ganloom.metrics.frechet import frechet_distance
from ganloom.metrics.intervals import interval, spreads
from ganloom.metrics.kernel import kernel_distance, squared_mmd
from ganloom.metrics.neighbours import expected_coverage, prdc
from ganloom.metrics.pictures import Pictures, check_pictures
from ganloom.metrics.rows import Features, as_pair

METRICS = ("fd", "kd", "precision", "recall", "density", "coverage")
GENERATED, FLOOR, NOISE = "generated", "real (other half)", "noise"
_BOUNDS = {"fd": (0.0, math.inf), "kd": (-math.inf, math.inf), "density": (0.0, math.inf)}
_STANDARD = {"inception": "", "inceptionclean": "_clean", "inceptionhalfpixel": "_halfpixel"}
_PUBLISHED = {"fd": "fid", "kd": "kid", "is": "is", "fd_inf": "fid_inf"}
_MOST = 1000  # rows a half-sample of the costly statistics


@dataclass(frozen=True)
class Value:
    """A number, its 95 % interval (None when not asked for) and, for kd, the spread between subsets."""

    value: float
    low: float | None = None
    high: float | None = None
    sd: float | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return _short(self.value)
        return f"{_short(self.value)} [{_short(self.low)}, {_short(self.high)}]"


@dataclass(frozen=True)
class Measurement:
    """Rows ``generated``, ``real (other half)`` and ``noise`` of named values, and how they were taken.

    ``protocol``: backbone, sha8, n_real, n_fake, k, size, split, seed, expected_coverage, note. ``class_counts``: how
    many of each row's pictures the net's classifier puts in each class (empty without a classifier).
    """

    rows: dict[str, dict[str, Value]]
    protocol: dict[str, Any]
    class_counts: dict[str, list[int]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def value(self, metric: str, row: str = GENERATED) -> float:
        """The number for a full name (``fd_fashion2k``) or its first word (``fd``)."""
        values = self.rows[row]
        name = metric if metric in values else metric_name(metric, self.protocol["backbone"], self.protocol["n_fake"])
        return values[name].value

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, ready for JSON."""
        rows = {
            row: {name: {k: v for k, v in vars(value).items() if v is not None} for name, value in values.items()}
            for row, values in self.rows.items()
        }
        return {
            "rows": rows, "protocol": dict(self.protocol), "class_counts": dict(self.class_counts),
            "warnings": list(self.warnings),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """A plain-text table: a line a metric, a column a row, then class shares, protocol and warnings."""
        table = [["", *self.rows]]
        for name in next(iter(self.rows.values())):
            table.append([name, *(str(values[name]) for values in self.rows.values())])
        for row, counts in self.class_counts.items():
            table.append([f"classes, {row}", " ".join(map(str, counts))])
        widths = [max(len(line[i]) for line in table if i < len(line) > 2) for i in range(len(table[0]))]
        text = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=False)).rstrip() for line in table]
        p = self.protocol
        text.append(
            f"{p['backbone']} features (sha8 {p['sha8']}, {p['size']} px), {p['n_fake']} generated and {p['n_real']}"
            f" real pictures{' of ' + p['split'] if p['split'] else ''}, k = {p['k']},"
            f" coverage of a perfect model {p['expected_coverage']:.3f}; brackets: 95 % intervals"
        )
        return text + [f"note: {p['note']}" for _ in range(bool(p["note"]))] + [f"warning: {w}" for w in self.warnings]


def measure(
    real: Pictures,
    fake: Pictures,
    extractor: Extractor,
    *,
    k: int = 5,
    seed: int = 0,
    bootstrap: bool = True,
    floor: bool = True,
    split: str = "",
) -> Measurement:
    """Compare ``fake`` with ``real`` pictures (N, C, H, W) float in [-1, 1] through ``extractor``.

    With ``floor`` the reals (shuffled by ``seed``) are cut into two disjoint samples: the reference, and the "other
    half" that shows what a perfect model would score; all rows then have n = min(N_fake, N_real // 2) samples, for most
    of these numbers depend on it. Give twice as many reals as fakes to use all fakes. Without ``floor``,
    n = min(N_fake, N_real). The noise row (uniform noise pictures) shows which metrics this net can be trusted on.
    ``bootstrap``: 95 % intervals by half-sampling. ``split``: the part of the data the reals come from, for the record.
    Raises `BadInput` for unusable pictures or fewer than 2 k + 2 samples.
    """
    reals, fakes = check_pictures(real, "real"), check_pictures(fake, "fake")
    n = min(len(fakes), len(reals) // 2 if floor else len(reals))
    if k < 1 or n < 2 * k + 2:
        raise BadInput(
            f"real {len(reals)}, fake {len(fakes)} pictures: k = {k} needs {2 * k + 2} fakes and"
            f" {(4 if floor else 2) * (k + 1)} reals or more; give more, or a smaller k"
        )
    rng = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(reals), generator=rng)
    reference, _ = extractor.run(reals[order[:n]])
    columns = {GENERATED: fakes[:n]}
    if floor:
        columns[FLOOR] = reals[order[n : 2 * n]]
    columns[NOISE] = torch.rand((n, *reals.shape[1:]), generator=rng) * 2 - 1
    samples: dict[str, Tensor] = {}
    class_counts: dict[str, list[int]] = {}
    for row, pictures in columns.items():
        samples[row], logits = extractor.run(pictures)
        if logits is not None:
            class_counts[row] = logits.argmax(1).bincount(minlength=logits.shape[1]).tolist()
    protocol = {
        "backbone": extractor.name, "sha8": extractor.sha8, "n_real": n, "n_fake": n, "k": k,
        "size": extractor.size or reals.shape[-1], "split": split, "seed": seed,
        "expected_coverage": expected_coverage(n, k), "note": extractor.note,
    }  # fmt: skip
    rows = compare(reference, samples, extractor.name, k=k, seed=seed, bootstrap=bootstrap)
    noise_precision = rows[NOISE][metric_name("precision", extractor.name, n)].value
    warnings = _warnings(reals, fakes, noise_precision, n, reference.shape[1])
    return Measurement(rows, protocol, class_counts, warnings)


def compare(
    reference: Features,
    samples: Mapping[str, Features],
    backbone: str,
    *,
    k: int = 5,
    seed: int = 0,
    bootstrap: bool = True,
) -> dict[str, dict[str, Value]]:
    """All metrics of each of ``samples`` (N, d) against ``reference`` (N, d): row -> full metric name -> Value.

    `measure` without pictures, for features (or points) that are there already; ``backbone`` says which.
    """
    rows = {}
    for row, features in samples.items():
        values = _values(reference, features, k, seed, bootstrap)
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


def count_name(n: int) -> str:
    """A sample count as metric names write it: 500 -> "500", 2000 -> "2k", 12500 -> "12.5k", 1234 -> "1234"."""
    return f"{n / 1000:g}k" if n >= 1000 and n % 100 == 0 else str(n)


def metric_name(metric: str, backbone: str, n: int) -> str:
    """``fd_fashion2k``; an underscore parts a backbone that ends in a digest: ``fd_task_1a2b3c4d_2k``.

    The standard Inception features bear the published names: ``fid50k``, ``kid50k``, ``is50k``, and ``fid_clean50k``,
    ``fid_halfpixel50k`` with another resizer.
    """
    if backbone in _STANDARD and metric in _PUBLISHED:
        return f"{_PUBLISHED[metric]}{_STANDARD[backbone]}{count_name(n)}"
    return f"{metric}_{backbone}{'_' if '_' in backbone or backbone[-1].isdigit() else ''}{count_name(n)}"


def _values(reference: Features, features: Features, k: int, seed: int, bootstrap: bool) -> dict[str, Value]:
    """All metrics of one row, in the order of METRICS."""
    a, b = as_pair(reference, features)
    kd, sd = kernel_distance(a, b, seed=seed)
    numbers = {"fd": frechet_distance(a, b), "kd": kd, **prdc(a, b, k)}
    if not bootstrap:
        return {m: Value(numbers[m], sd=sd if m == "kd" else None) for m in METRICS}
    draws = {m: 40 for m in METRICS}
    draws["fd"] = 40 if a.shape[1] <= 128 else 16 if a.shape[1] <= 512 else 8  # two eigendecompositions each
    fd: Callable[[Tensor, Tensor], dict[str, float]] = lambda x, y: {"fd": frechet_distance(x, y)}  # noqa: E731
    spread = spreads(fd, a, b, n=draws["fd"], seed=seed)
    spread |= spreads(lambda x, y: {"kd": squared_mmd(x, y), **prdc(x, y, k)}, a, b, n=40, seed=seed, most=_MOST)
    result = {}
    for m in METRICS:
        low, high = interval(numbers[m], spread[m], draws[m], _BOUNDS.get(m, (0.0, 1.0)))
        result[m] = Value(numbers[m], low, high, sd if m == "kd" else None)
    return result


def _warnings(reals: Tensor, fakes: Tensor, noise_precision: float, n: int, d: int) -> tuple[str, ...]:
    """Sentences on what should not be read off these numbers."""
    found = []
    if n < 2 * d:
        found.append(
            f"{n} samples are few for {d} features: the Frechet distance is mostly bias here; read kd, and fd only"
            f" beside its floor, or give {2 * d} samples or more"
        )
    if fakes.amin() >= -0.01 and reals.amin() < -0.5:
        found.append("the generated pictures look as if they were in [0, 1], the real ones are in [-1, 1]")
    if noise_precision > 0.5:
        found.append(f"pure noise reaches precision {noise_precision:.2f} with this net: it cannot judge sharpness")
    return tuple(found)


def _short(x: float) -> str:
    """Three significant figures, without exponents in the usual range."""
    return f"{x:.3f}" if abs(x) < 10 else f"{x:.1f}" if abs(x) < 1000 else f"{x:.0f}"
