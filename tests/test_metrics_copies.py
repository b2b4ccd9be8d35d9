"""Changed copies of training images are called copies; new images and noise are not, and noise is never certified."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import torch
from PIL import Image, ImageFilter
from test_metrics import normal, one_thread
from torch import Tensor
from torch.nn import functional as F

from ganloom import data as datasets
from ganloom.evaluation.nearest_neighbours import NORMAL, PIXEL_SAMPLES, _Sets, pixels
from ganloom.metrics.statistics.copy_test import LEVELS, Space, copy_test, distance_ratios
from ganloom.metrics.statistics.image_matching import Gallery
from ganloom.metrics.statistics.memorisation import memorisation

__all__ = ["one_thread"]


def test_p_value_is_exact() -> None:
    """The tail is that of scipy's negative hypergeometric, and p-values of equal sets are not too small."""
    rng = torch.Generator().manual_seed(0)
    for n, m in ((40, 60), (200, 50)):
        below = []
        for _ in range(150):
            samples, others = torch.rand(n, generator=rng), torch.rand(m, generator=rng)
            below.append(copy_test([Space("a", samples, others)]).p_value)
        assert np.mean(np.array(below) < 0.05) < 0.09 and min(below) > 1e-4
    samples = torch.cat([torch.full((7,), 0.1), torch.full((33,), 0.9)])
    found = copy_test([Space("a", samples, torch.linspace(0.2, 0.8, 60))])
    expected = scipy.stats.nhypergeom(100, 40, 1).sf(6)  # samples before the first normal image
    tests = len({max(1, round(level * 60)) for level in LEVELS})
    assert found.p_value == pytest.approx(expected * tests, rel=1e-6)


def test_the_share_of_copies_is_measured() -> None:
    rng = torch.Generator().manual_seed(1)
    for share in (0.0, 0.03, 0.5, 1.0):
        samples = torch.rand(1000, generator=rng) * 0.5 + 0.5
        samples[: round(1000 * share)] = 0.01
        found = copy_test([Space("a", samples, torch.rand(1000, generator=rng) * 0.5 + 0.5)])
        assert found.share.value == pytest.approx(share, abs=0.01) and found.copies == (share > 0)
        assert found.share.low is not None and found.share.high is not None
        assert found.share.low - 1e-9 <= share <= found.share.high + 1e-9


def test_ratios_by_hand() -> None:
    distances = torch.tensor([[1.0, 2, 2, 2, 2, 2, 2, 4, 9], [0.0] * 9, [3.0] * 8 + [5.0], [0.0] * 7 + [1.0, 1.0]])
    assert distance_ratios(distances).tolist() == [0.25, 1, 1, 0]
    assert distance_ratios(torch.tensor([[1.0, 2.0]])).tolist() == [0.5]  # fewer than eight training images


def pil(change: Callable[[Image.Image], Image.Image]) -> Callable[[Tensor], Tensor]:
    """A change of PIL images for tensors (n, 1, h, w)."""

    def apply(x: Tensor) -> Tensor:
        images = [Image.fromarray(a) for a in ((x[:, 0] + 1) * 127.5).round().byte().numpy()]
        return torch.stack([torch.from_numpy(np.array(change(im)))[None].float() / 127.5 - 1 for im in images])

    return apply


def jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=30)
    return Image.open(file)


def noisy(x: Tensor) -> Tensor:
    return (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2))).clamp(-1, 1)


REPLAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "exact": lambda x: x,
    "flip": lambda x: x.flip(3),
    "shift": lambda x: F.pad(x, (3, 3, 3, 3), mode="replicate")[:, :, 6:, 1:-5],
    "crop": pil(lambda im: im.crop((2, 1, im.width - 1, im.height - 2)).resize(im.size, Image.Resampling.BILINEAR)),
    "blur": pil(lambda im: im.filter(ImageFilter.GaussianBlur(1.2))),
    "jpeg": pil(jpeg),
    "noise": noisy,
    "brightness": lambda x: (x + 0.3).clamp(-1, 1),
    "contrast": lambda x: 0.6 * x,
}


def random_images(n: int, seed: int) -> Tensor:
    """Smooth random images (n, 1, 24, 24) with the spectrum of many photographs, with 1.5 % duplicates across all seeds."""
    own, shared = (torch.Generator().manual_seed(s) for s in (seed, 99))
    white = torch.randn(n, 1, 24, 24, generator=own)
    white[: n * 3 // 200] = torch.randn(20, 1, 24, 24, generator=shared)[: n * 3 // 200]
    at = torch.fft.fftfreq(24)
    falls = 1 / (at[:, None] ** 2 + at[: 24 // 2 + 1].abs() ** 2 + 0.002).sqrt()
    x = torch.fft.irfft2(torch.fft.rfft2(white) * falls)
    return (x / x.std() * 0.35).clamp(-1, 1)


@pytest.fixture(scope="module")
def sets() -> Callable[[Tensor], _Sets]:
    def as_data(x: Tensor) -> datasets.Data:
        return datasets.open(((x + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())

    train, held = as_data(random_images(300, 0)), as_data(random_images(60, 1))
    return lambda images: _Sets(train, np.arange(300), images, held, np.arange(60), None)


def test_changed_copies_are_called_copies(sets: Callable[[Tensor], _Sets], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganloom.evaluation.nearest_neighbours.NORMAL", 60)
    fresh = random_images(60, 2)
    normal_figures = pixels(sets(fresh), 0).space
    assert NORMAL >= 500 and PIXEL_SAMPLES >= 500
    assert not copy_test([normal_figures]).copies
    gallery = Gallery([random_images(300, 0)])
    for kind, change in REPLAYS.items():
        distances, rows = gallery.search(change(random_images(300, 0)[40:50]))
        figures = distance_ratios(distances)
        assert (rows[:, 0] == torch.arange(40, 50)).float().mean() > 0.8, kind
        mixed = torch.cat([figures, normal_figures.samples[10:]])  # a sixth are copies
        found = copy_test([Space("pixels", mixed, normal_figures.normal)])
        assert found.copies, (kind, found)


def test_noise_is_not_certified(sets: Callable[[Tensor], _Sets], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganloom.evaluation.nearest_neighbours.NORMAL", 40)
    noise = torch.rand(24, 1, 24, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    searched = pixels(sets(noise), 0)
    assert searched.far is not None and searched.far > 5
    same = normal(100, 4)  # a net that does not tell noise from data
    found = memorisation(same, normal(60, 4, seed=1), normal(80, 4, seed=2), searched=[searched])
    assert "far from all data" in found.verdict and "no copying" not in found.verdict


@pytest.mark.parametrize("right, down", [(-3, 2), (0, 3), (2, -2)])
def test_small_images_are_found_at_shifts_of_three_pixels(right: int, down: int) -> None:
    """Images of 8 pixels have no room for a shift of 3 pixels inside them, so their border is repeated."""
    white = torch.randn(200, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    x = F.interpolate(white[:, :, :4, :4], size=8, mode="bilinear") / 2
    moved = F.pad(x[:30], (3, 3, 3, 3), mode="replicate")[:, :, 3 - down : 11 - down, 3 - right : 11 - right]
    distances, rows = Gallery([x]).search(moved)
    assert (rows[:, 0] == torch.arange(30)).float().mean() > 0.9
    assert distance_ratios(distances).median() < 0.5


def test_few_copies_are_found_in_data_with_near_duplicates() -> None:
    """2 % of the normal images are exact duplicates, and 8 % near ones, as in a set of emoji; 3 or 6 % of samples are copies."""
    rng = torch.Generator().manual_seed(3)

    def figures(n: int) -> Tensor:
        x = torch.rand(n, generator=rng) * 0.7 + 0.3
        x[: n // 50] = 0.001 * torch.rand(n // 50, generator=rng)
        x[n // 50 : n // 10] = 0.3 * torch.rand(n // 10 - n // 50, generator=rng)
        return x

    normal_figures, samples = figures(2000), figures(1000)
    assert not copy_test([Space("pixels", samples, normal_figures)]).copies
    for copied in (0.001 * torch.rand(30, generator=rng), 0.02 + 0.03 * torch.rand(60, generator=rng)):
        mixed = torch.cat([samples[: -len(copied)], copied])
        found = copy_test([Space("pixels", mixed, normal_figures)] * 3)
        assert found.copies and found.share.low is not None and found.share.low > 0
