"""Check for memorisation: compare samples with the training images that are nearest to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom import data as datasets
from ganloom import metrics
from ganloom.core.errors import BadInput
from ganloom.core.output_files import write_new
from ganloom.evaluation.class_labels import conditions_of
from ganloom.evaluation.measure import choose_all, real_row, samples
from ganloom.evaluation.options import Features
from ganloom.gan import GAN
from ganloom.imaging import grid
from ganloom.metrics.evaluate import PART
from ganloom.metrics.reference import kept
from ganloom.metrics.statistics.copy_test import Space, distance_ratios
from ganloom.metrics.statistics.image_matching import Gallery
from ganloom.metrics.statistics.memorisation import (
    Memorisation,
    Searched,
    check_enough,
    mann_whitney,
    memorisation,
    search,
)

SHOWN, NEIGHBOURS = 12, 5
"""Rows of the sheet, and training images in each row."""
MOST = 60_000
"""Largest number of training images to search; they are drawn by the seed."""
NORMAL = 2000
"""Training images, and held-out images, that show which distances occur without copying."""
PIXEL_SAMPLES = 2000
"""Samples whose pixels are searched, and images that they are compared with."""


@dataclass(frozen=True)
class Copying:
    """The result of a check for memorisation."""

    found: Memorisation
    protocol: dict[str, Any]
    """How it was measured."""
    sheet: Tensor
    """(rows, 1 + neighbours, C, H, W): in each row a sample, then its nearest training images."""

    def to_dict(self) -> dict[str, Any]:
        """The result as plain numbers and strings."""
        return self.found.to_dict() | {"protocol": self.protocol}


def memorise(
    model: GAN,
    trained: datasets.Data,
    held_out: datasets.Data | None = None,
    *,
    n: int = 2000,
    features: Features | Sequence[Features] = "both",
    seed: int = 0,
    weights: Any = None,
    resizer: str = "legacy",
    truncation: float = 1.0,
    progress: metrics.Progress = None,
) -> Copying:
    """Compare samples with the training images, and with held-out images.

    Args:
        model: The model.
        trained: The training images.
        held_out: Images that were not used in training, or None.
        n: Number of samples.
        features: The feature nets. Copies are searched with each of them, with bundled nets if these are fewer than two, and
            in the pixels. The other numbers come from the last net: with "both" that is ``effnet`` if it is installed, which
            keeps more of how an image looks than a classifier does.
        seed: Seed of the samples and of the choice of images.
        weights: The weight file of ``inception``.
        resizer: The resizer of ``inception``.
        truncation: Truncation of the samples.
        progress: See ``metrics.Progress``.

    Returns:
        The result.

    Raises:
        BadInput: There are fewer than 50 samples or images, or the held-out images are the training images.
    """
    check_enough(n, "samples")
    check_enough(len(trained), trained.name)
    if held_out is not None:
        check_enough(len(held_out), held_out.name)
        if held_out.fingerprint == trained.fingerprint:
            raise BadInput(f"--held-out {held_out.name}: these are the training images; give other images")
    extractors = choose_all(features, trained, weights=weights, resizer=resizer, device=model.device)
    main = extractors[-1]
    picks = torch.randperm(len(trained), generator=torch.Generator().manual_seed(seed))[:MOST].numpy()
    conditions = conditions_of(model, trained, picks[torch.arange(n) % len(picks)])
    images = torch.cat(list(samples(model, n, seed, conditions, truncation)))
    held_rows = None
    if held_out is not None:
        m = min(n, len(held_out))
        held_rows = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(seed))[:m].numpy()
    sets = _Sets(trained, picks, images, held_out, held_rows, progress)
    searched = [pixels(sets, seed)]
    for extractor in with_bundled(extractors, device=model.device):
        train = sets.features(extractor)
        searched.append(feature_search(sets, extractor, train))
        if extractor is main:
            fake = extractor.stream(images.split(PART), total=n, what="generated", progress=progress)[0]
            result_of_main = train, fake, sets.held_features(extractor)
    result = memorisation(*result_of_main, seed=seed, searched=searched)
    protocol = {
        "backbone": main.name, "sha8": main.sha8, "resizer": main.resizer, "n_fake": n, "n_train": len(picks),
        "n_held_out": 0 if held_rows is None else len(held_rows),
        "held_out": None if held_out is None else held_out.name, "seed": seed, "truncation": truncation,
        "spaces": [one.space.name for one in searched],
    }  # fmt: skip
    near = next(one.index for one in searched if one.space.name == result.copies.space)
    return Copying(result, protocol, _sheet(result, images, near, trained, picks))


def with_bundled(extractors: Sequence[metrics.Extractor], device: Any) -> list[metrics.Extractor]:
    """Add nets that ganloom contains until there are two: one net may not see what changed in a copy."""
    nets = list(extractors)
    for name in ("random", "fashion"):
        if len(nets) < 2 and name not in {net.name for net in nets}:
            nets.append(metrics.get(name, device=device))
    return nets


@dataclass(frozen=True)
class _Sets:
    """The images of a check for memorisation."""

    trained: datasets.Data
    picks: Any
    images: Tensor
    held_out: datasets.Data | None
    held_rows: Any
    progress: metrics.Progress

    @property
    def normal_rows(self) -> Tensor:
        """Training images that are compared with the other ones, as numbers in ``picks``; these are in random order."""
        return torch.arange(min(NORMAL, len(self.picks)))

    def normal_images(self, rows: Tensor) -> Tensor:
        """Training images by their numbers in ``picks``."""
        return self.trained.get(self.picks[rows.numpy()]).cpu()

    def held_images(self, most: int) -> Tensor | None:
        """The first held-out images."""
        return None if self.held_out is None else self.held_out.get(self.held_rows[:most]).cpu()

    def features(self, extractor: metrics.Extractor) -> Tensor:
        """Features of the training images, from the cache if they are there."""
        return self._cached(extractor, real_row(self.trained, self.picks), "training images")

    def held_features(self, extractor: metrics.Extractor) -> Tensor | None:
        """Features of the held-out images, from the cache if they are there."""
        if self.held_out is None:
            return None
        return self._cached(extractor, real_row(self.held_out, self.held_rows), "held-out images")

    def _cached(self, extractor: metrics.Extractor, row: metrics.Row, what: str) -> Tensor:
        make = lambda: extractor.stream(row.parts(), total=row.n, what=what, progress=self.progress)  # noqa: E731
        return kept(extractor, row.key, make)[0]


def feature_search(sets: _Sets, extractor: metrics.Extractor, train: Tensor) -> Searched:
    """Search for copies and flipped copies among the features of a net."""
    centre = train.double().mean(0)

    def variants(x: Tensor) -> list[Tensor]:
        return [extractor(part).double() - centre for part in (x, x.flip(3))]

    rows = sets.normal_rows
    normal: list[tuple[list[Tensor], Tensor | None]] = [(variants(sets.normal_images(rows)), rows)]
    held = sets.held_images(NORMAL)
    if held is not None:
        normal.append((variants(held), None))
    return search(extractor.name, train.double() - centre, variants(sets.images), normal)


def pixels(sets: _Sets, seed: int) -> Searched:
    """Search for copies among the pixels: with small shifts, flips, crops, and changes of sharpness and light."""
    gallery = Gallery(real_row(sets.trained, sets.picks).parts(), seed)

    def found(x: Tensor, what: str, itself: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        parts = []
        for start in range(0, len(x), 100):
            rows = slice(start, start + 100)
            distances, index = gallery.search(x[rows], None if itself is None else itself[rows])
            parts.append((distances[:, 0], index, distance_ratios(distances)))
            if sets.progress:
                sets.progress(f"pixels: {what}", min(start + 100, len(x)), len(x))
        first, index, figures = (torch.cat(part) for part in zip(*parts, strict=True))
        return first, index, figures

    distance, index, figures = found(sets.images[:PIXEL_SAMPLES], "generated")
    rows = sets.normal_rows[: PIXEL_SAMPLES // 2]
    normal, far = [found(sets.normal_images(rows), "training images", rows)[2]], None
    held = sets.held_images(PIXEL_SAMPLES // 2)
    if held is not None:
        of_held, _, held_figures = found(held, "held-out images")
        normal.append(held_figures)
        far = mann_whitney(distance, of_held)
    return Searched(Space("pixels", figures, torch.cat(normal)), index, far)


def _sheet(result: Memorisation, images: Tensor, near: Tensor, trained: datasets.Data, picks: Any) -> Tensor:
    """The most suspicious samples, each with its nearest training images, nearest first."""
    rows = [
        torch.cat([images[i : i + 1], trained.get(picks[near[i, :NEIGHBOURS].numpy()]).cpu()])
        for i in result.suspects[:SHOWN]
    ]
    return torch.stack(rows)


def sheet_of(copies: Copying) -> dict[str, bytes]:
    """Return the file neighbours.png: suspicious samples in the first column, training images in the others.

    Args:
        copies: From ``memorise``.

    Returns:
        File name -> content; empty if there is no suspicious sample.
    """
    rows, columns = copies.sheet.shape[:2]
    return {"neighbours.png": grid.png_bytes(grid.grid(copies.sheet.flatten(0, 1), columns))} if rows else {}


def write_sheet(copies: Copying, path: str | Path) -> Path:
    """Write the sheet of `sheet_of` to a new file; return the path. Nothing is written if there is no suspicious sample."""
    for content in sheet_of(copies).values():
        write_new(path, content)
    return Path(path)
