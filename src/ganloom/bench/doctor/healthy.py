"""Healthy but odd runs for false alarms: imbalanced, thin, low contrast, few, coloured, 64 px, emoji-like, stacked, long."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ganloom import data as datasets
from ganloom.core.errors import BadInput, did_you_mean


@dataclasses.dataclass(frozen=True)
class Healthy:
    """One healthy run."""

    name: str
    recipe: str
    data: Callable[[int], Any]
    """From the seed to the data."""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    kimg: float | None = None
    """Length in thousands of images. None: that of the runs with a fault."""


def fashion(side: int = 16) -> tuple[Any, Any]:
    """Return fashion-10k at a side length as uint8 (N, side, side, 1), and its labels."""
    data: Any = datasets.open("fashion-10k", shape=(1, side, side))
    return data.rows, data.labels


def _imbalanced(share: float) -> Callable[[int], Any]:
    """Return data of which one class has this share, and the others the rest."""

    def data(seed: int) -> Any:
        rows, labels = fashion()
        rng = np.random.default_rng(seed)
        large = np.flatnonzero(labels == seed % 10)
        others = np.flatnonzero(labels != seed % 10)
        n = len(large)
        some = rng.choice(others, max(20, round(n * (1 - share) / share)), replace=False)
        picks = rng.permutation(np.concatenate([large, some]))
        return datasets.open((rows[picks], labels[picks]))

    return data


def _mapped(change: Callable[[Any], Any]) -> Callable[[int], Any]:
    """Return the images with changed values: ``change`` gets and returns values in [0, 1]."""

    def data(seed: int) -> Any:
        rows, labels = fashion()
        return datasets.open(((change(rows / 255.0).clip(0, 1) * 255).round().astype(np.uint8), labels))

    return data


def _lines(seed: int) -> Any:
    """Return thin white lines on black, two in each image."""
    rng = np.random.default_rng(seed)
    images = np.zeros((4000, 16, 16, 1), np.uint8)
    steps = np.linspace(0, 1, 40)
    for image in images:
        for _ in range(2):
            (a, b), (c, d) = rng.integers(0, 16, (2, 2))
            image[np.rint(a + (c - a) * steps).astype(int), np.rint(b + (d - b) * steps).astype(int)] = 255
    return datasets.open(images)


def _few(n: int) -> Callable[[int], Any]:
    return lambda seed: datasets.open("fashion-10k", shape=(1, 16, 16)).split(n, seed)[0]


def _photos(side: int) -> Callable[[int], Any]:
    """Return images with the spectrum of photographs: coloured noise of power 1 / f^2 with a random gradient of light."""

    def data(seed: int) -> Any:
        rng = np.random.default_rng(seed)
        f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :])
        f[0, 0] = 1 / side
        n = 1500
        noise = rng.standard_normal((n, 3, side, side)) + 1.5 * rng.standard_normal((n, 1, side, side))
        x = np.fft.ifft2(np.fft.fft2(noise) / f).real
        x = (x - x.mean((1, 2, 3), keepdims=True)) / x.std((1, 2, 3), keepdims=True)
        x = 0.5 + 0.2 * x + 0.1 * rng.standard_normal((n, 3, 1, 1))
        return datasets.open((x.clip(0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1))

    return data


def _emoji(seed: int) -> Any:
    """Return round coloured faces on white with two eyes and a mouth."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:16, :16] / 15.0 - 0.5
    images = np.full((3000, 16, 16, 3), 255, np.uint8)
    for image in images:
        image[np.hypot(x, y) < rng.uniform(0.38, 0.48)] = (255, rng.integers(160, 230), rng.integers(0, 90))
        for side in (-1, 1):
            image[np.hypot(x - side * rng.uniform(0.12, 0.2), y + 0.12) < 0.07] = (60, 40, 20)
        image[(np.abs(y - rng.uniform(0.12, 0.22)) < 0.05) & (np.abs(x) < rng.uniform(0.08, 0.22))] = (160, 30, 40)
    return datasets.open(images)


def _builtin(name: str, side: int = 16, channels: int = 3) -> Callable[[int], Any]:
    def data(seed: int) -> Any:
        rows = datasets.open(name)
        picks = np.random.default_rng(seed).permutation(len(rows))[:4000]
        x = functional.interpolate(rows.get(torch.as_tensor(picks)).float(), (side, side), mode="area")
        return datasets.open(((x + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy())

    return data


def _plain(seed: int) -> Any:
    return datasets.open("fashion-10k", shape=(1, 16, 16))


AUGMENTED = {"diff_augment": ("translation", "cutout")}
RUNS: tuple[Healthy, ...] = tuple(
    Healthy(f"{name}, {recipe}", recipe, data, options, kimg)
    for name, data, options, kimg in (
        ("one class of 90 %", _imbalanced(0.9), {}, None),
        ("one class of 98 %", _imbalanced(0.98), {}, None),
        ("thin lines", _lines, {}, None),
        ("low contrast", _mapped(lambda x: 0.35 + 0.3 * x), {}, None),
        ("dark", _mapped(lambda x: 0.6 * x**2), {}, None),
        ("black and white", _mapped(lambda x: (x > 0.4) * 1.0), {}, None),
        ("800 images, augmented", _few(800), AUGMENTED, None),
        ("2,500 images", _few(2500), {}, None),
        ("coloured shapes", _builtin("shapes:4000"), {}, None),
        ("stacked", _builtin("stacked:4000"), {}, None),
        ("emoji", _emoji, {}, None),
        ("photographs of 16 px", _photos(16), {}, None),
        ("photographs of 64 px", _photos(64), {}, 4.0),
        ("long", _plain, {}, 40.0),
        ("4 kimg", _plain, {}, 4.0),
    )
    for recipe in ("default", "dragan")
)
NAMES = {run.name: run for run in RUNS}


def find(name: str) -> Healthy:
    """Return a healthy run by its name.

    Raises:
        BadInput: There is no such run.
    """
    if name not in NAMES:
        raise BadInput(
            f'--healthy: there is no run "{name}"{did_you_mean(name, NAMES)}; use all, none, a recipe or a run'
        )
    return NAMES[name]
