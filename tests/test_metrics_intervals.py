"""Every printed 95 % interval covers, in 90 to 99 % of repetitions, the mean of the metric over repeated draws.

The truth of a metric is its mean over the repetitions, at the same sample counts. All metrics of the registries are tested:
a new one fails here until its interval is honest, or until it has none.
"""

import functools
from collections.abc import Callable

import pytest
import torch
from test_metrics import one_thread
from torch import Tensor

from ganloom import data as datasets
from ganloom import metrics
from ganloom.evaluation.model_metrics import MODEL_METRICS
from ganloom.metrics import METRICS, MORE, Extractor, Value
from ganloom.metrics.figures import row_values
from ganloom.metrics.statistics import image_matching
from ganloom.metrics.statistics.intra_class import mean_intra_class_distance
from ganloom.metrics.statistics.memorisation import memorisation
from ganloom.metrics.statistics.modes import over_seeds
from ganloom.metrics.statistics.translation import feature_distance

__all__ = ["one_thread"]

CENTRES = torch.tensor([[2.0, 0, 0], [0, 2, 0], [0, 0, 2], [2, 2, 2]])
SCORER = torch.tensor([[2.0, 0, 0, -1], [0, 2, 0, 1], [0, 0, 2, -1]])
REAL_SHARES, FAKE_SHARES = torch.tensor([0.25, 0.25, 0.25, 0.25]), torch.tensor([0.35, 0.3, 0.2, 0.15])


def gaussians(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Real rows and fakes that are shifted and narrower."""
    return torch.randn(n, 3, generator=rng) + 0.5, torch.randn(n, 3, generator=rng) * 0.8 + 0.8


def clusters(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Four clusters; the fakes have other shares and are shifted."""
    picks = [torch.multinomial(p, n, replacement=True, generator=rng) for p in (REAL_SHARES, FAKE_SHARES)]
    real, fake = (
        CENTRES[pick] + sd * torch.randn(n, 3, generator=rng) for pick, sd in zip(picks, (0.35, 0.35), strict=True)
    )
    return real, fake + 0.2


WIDE_CENTRES = 1.5 * torch.randn(10, 12, generator=torch.Generator().manual_seed(0))


def spread(n: int, rng: torch.Generator, modes: int = 10, sd: float = 0.6) -> Tensor:
    """Some of ten clusters in 12 dimensions."""
    return WIDE_CENTRES[torch.randint(modes, (n,), generator=rng)] + sd * torch.randn(n, 12, generator=rng)


DISTRIBUTIONS = {"gaussians": gaussians, "clusters": clusters}
QUALITIES: dict[str, Callable[[int, torch.Generator], tuple[Tensor, Tensor]]] = {
    "good": lambda n, rng: (spread(n, rng), 0.97 * spread(n, rng) + 0.05),
    "weak": lambda n, rng: (spread(n, rng), 0.8 * spread(n, rng, 4, 1.1) + 0.2),
    "real": lambda n, rng: (spread(n, rng), spread(n, rng)),
}
"""A good generator; a weak one, with four of ten modes, which are moved and too wide; and real samples."""
NEIGHBOURS = ("precision", "recall", "density", "coverage", "iprecision", "irecall")
TRAINING_ROWS = torch.randn(150, 3, generator=torch.Generator().manual_seed(7))
GENERATOR = torch.randn(4, 3 * 4 * 4, generator=torch.Generator().manual_seed(8)) / 8
FLAT = Extractor(lambda x: x.flatten(1), name="flat", channels=3)


def row_metrics(name: str, n: int, rng: torch.Generator) -> dict[str, Value]:
    """The metrics of `METRICS` and `MORE`, on one distribution and sample count."""
    real, fake = DISTRIBUTIONS[name](n, rng)
    return row_values(real, fake, fake @ SCORER, names=METRICS + MORE)


def other_metrics(name: str, n: int, rng: torch.Generator) -> dict[str, Value]:
    """All other metrics with an interval: of classes, of images, of a generator, of pairs, of copies, of seeds."""
    real, fake = DISTRIBUTIONS[name](n, rng)
    labels = torch.arange(n) % 3
    path = metrics.path_length(
        lambda z, first: (z[:, :, None] * GENERATOR[None]).tanh().sum(1).clamp(-1, 1).reshape(-1, 3, 4, 4),
        torch.randn(n, 4, generator=rng),
        torch.randn(n, 4, generator=rng),
        FLAT,
    )
    fake_images, real_images = (blurred(x, rng) for x in (fake, real))
    near = TRAINING_ROWS[torch.randint(150, (n,), generator=rng)] + 0.01
    copies = memorisation(TRAINING_ROWS, torch.where(torch.rand(n, 1, generator=rng) < 0.25, near, real)).generated
    mean, low, high = over_seeds(fake[:5, 0].tolist())
    return {
        "intra": mean_intra_class_distance(real, labels, fake + labels[:, None] / 4, labels),
        "msssim": metrics.ms_ssim_diversity(fake_images, pairs=n),
        "msssim_class": metrics.ms_ssim_diversity(fake_images, labels, pairs=2 * n),
        "ppl": Value(path.value, path.low, path.high),
        "features": feature_distance(fake, real),
        "duplicates": copies.duplicates,
        "authentic": copies.authentic,
        "seeds": Value(mean, low, high),
        **metrics.paired_errors(fake_images, real_images),
    }


def blurred(x: Tensor, rng: torch.Generator) -> Tensor:
    """Grey images (N, 1, 11, 11) with one wave for each coordinate of the points, and a little noise."""
    at = torch.linspace(0, 3, 11)
    waves = torch.stack([at.sin()[:, None].expand(11, 11), at.cos()[None].expand(11, 11), (at[:, None] + at).sin()])
    noise = 0.1 * torch.randn(len(x), 11, 11, generator=rng)
    return ((x[:, :, None, None] * waves).sum(1) / 3 + noise).clamp(-1, 1)[:, None]


@functools.cache
def coverage(
    draw: Callable[[str, int, torch.Generator], dict[str, Value]],
    sizes: tuple[int, ...],
    repetitions: int,
    names: tuple[str, ...] = tuple(DISTRIBUTIONS),
) -> dict[str, list[tuple[float, float]]]:
    """Metric -> (coverage, mean width over the width that 4 true standard deviations have) in each setting."""
    result: dict[str, list[tuple[float, float]]] = {}
    for name in names:
        for n in sizes:
            draws = [draw(name, n, torch.Generator().manual_seed(1000 * n + r)) for r in range(repetitions)]
            for metric in draws[0]:
                values = [values[metric] for values in draws]
                if values[0].low is None:
                    continue
                x = torch.tensor([[v.low, v.value, v.high] for v in values], dtype=torch.float64)
                truth = x[:, 1].mean()
                covered = ((x[:, 0] <= truth) & (truth <= x[:, 2])).double().mean()
                width = (x[:, 2] - x[:, 0]).mean() / (4 * x[:, 1].std())
                result.setdefault(metric, []).append((float(covered), float(width)))
    return result


def quality_metrics(name: str, n: int, rng: torch.Generator) -> dict[str, Value]:
    """The metrics of neighbours, which depend on few rows if the generator is weak."""
    return row_values(*QUALITIES[name](n, rng), names=NEIGHBOURS)


OTHERS = (
    "intra",
    "msssim",
    "msssim_class",
    "ppl",
    "features",
    "duplicates",
    "authentic",
    "seeds",
    "l1",
    "psnr",
    "ssim",
)


ELSEWHERE = {"sfd": "fd", "classes": "kd, recall", "cas": "duplicates", "lpips": "l1", "prd": ""}
"""Metrics whose interval is that of another one: of features, a share by Wilson, a mean of pairs. prd has none."""


def test_all_metrics_of_a_model_are_covered() -> None:
    assert set(MODEL_METRICS) == set(OTHERS) & set(MODEL_METRICS) | set(ELSEWHERE)


def check_together(settings: list[tuple[float, float]]) -> None:
    """Few repetitions of each setting: coverage and width, averaged over the settings."""
    rates, widths = zip(*settings, strict=True)
    assert 0.90 <= sum(rates) / len(rates) <= 0.99, settings
    assert 0.7 < sum(widths) / len(widths) < 1.5, settings


@pytest.mark.parametrize("metric", METRICS + MORE)
def test_intervals_of_features_cover(metric: str) -> None:
    check_together(coverage(row_metrics, (60, 120), 20)[metric])


@pytest.mark.parametrize("metric", OTHERS)
def test_other_intervals_cover(metric: str) -> None:
    check_together(coverage(other_metrics, (60, 120), 40)[metric])


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS + MORE)
def test_intervals_of_features_cover_in_every_setting(metric: str) -> None:
    rates = [rate for rate, _ in coverage(row_metrics, (100, 300), 400)[metric]]
    assert 0.90 <= min(rates) and max(rates) <= 0.99, rates


@pytest.mark.slow
@pytest.mark.parametrize("metric", OTHERS)
def test_other_intervals_cover_in_every_setting(metric: str) -> None:
    rates = [rate for rate, _ in coverage(other_metrics, (60, 200), 400)[metric]]
    assert 0.90 <= min(rates) and max(rates) <= 0.99, rates


@pytest.mark.slow
@pytest.mark.parametrize("metric", NEIGHBOURS)
def test_intervals_cover_for_good_weak_and_real_samples(metric: str) -> None:
    """At 500 samples. A share near 0 or 1 takes few values, so its interval may cover more often."""
    rates = [rate for rate, _ in coverage(quality_metrics, (500,), 200, tuple(QUALITIES))[metric]]
    assert 0.90 <= min(rates), dict(zip(QUALITIES, rates, strict=True))
    assert max(rates) <= 0.99, dict(zip(QUALITIES, rates, strict=True))


@pytest.mark.slow
def test_intervals_cover_for_blurred_clothes() -> None:
    """In 64 features, a few balls hold most of the blurred images, so the draw of their centres decides precision."""
    data, net = datasets.open("fashion-10k"), metrics.get("fashion")
    images = data.get(range(len(data)))
    real, blurry = net(images), net(image_matching.blurred(images, 1.0))
    names, draws = ("precision", "recall", "density", "coverage"), []
    for r in range(150):
        order = torch.randperm(len(real), generator=torch.Generator().manual_seed(r))
        values = row_values(real[order[:500]], blurry[order[500:1000]], names=names, seed=r)
        draws.append([[values[name].low, values[name].value, values[name].high] for name in names])
    low, value, high = torch.tensor(draws, dtype=torch.float64).unbind(2)
    rates = ((low <= value.mean(0)) & (value.mean(0) <= high)).double().mean(0).tolist()
    assert 0.90 <= min(rates) and max(rates) <= 0.99, dict(zip(names, rates, strict=True))
