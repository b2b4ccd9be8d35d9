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
from ganloom.evaluation.measure import Features, choose_all, real_row, samples
from ganloom.gan import GAN
from ganloom.imaging import grid
from ganloom.metrics.reference import kept
from ganloom.metrics.statistics.memorisation import Memorisation, check_enough, memorisation
from ganloom.metrics.statistics.neighbours import squared_distances

SHOWN, NEIGHBOURS = 12, 5
"""Rows of the sheet, and training images in each row."""
MOST = 50_000
"""Largest number of training images to search; they are drawn by the seed."""


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
        features: The feature net. Of several, the last one is used: with "both" that is ``effnet`` if it is installed,
            which keeps more of how an image looks than a classifier does.
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
    extractor = choose_all(features, trained, weights=weights, resizer=resizer, device=model.device)[-1]
    picks = torch.randperm(len(trained), generator=torch.Generator().manual_seed(seed))[:MOST].numpy()
    conditions = conditions_of(model, trained, picks[torch.arange(n) % len(picks)])
    train = _features(extractor, real_row(trained, picks), "training images", progress)
    images = torch.cat(list(samples(model, n, seed, conditions, truncation)))
    fake = extractor.stream(images.split(512), total=n, what="generated", progress=progress)[0]
    other, m = None, 0
    if held_out is not None:
        m = min(n, len(held_out))
        rows = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(seed))[:m].numpy()
        other = _features(extractor, real_row(held_out, rows), "held-out images", progress)
    result = memorisation(train, fake, other, seed=seed)
    protocol = {
        "backbone": extractor.name, "sha8": extractor.sha8, "resizer": extractor.resizer, "n_fake": n,
        "n_train": len(picks), "n_held_out": m, "held_out": None if held_out is None else held_out.name, "seed": seed,
        "truncation": truncation,
    }  # fmt: skip
    return Copying(result, protocol, _sheet(result, images, fake, train, trained, picks))


def _features(extractor: metrics.Extractor, row: metrics.Row, what: str, progress: metrics.Progress) -> Tensor:
    """Features of real images, from the cache if they are there."""
    make = lambda: extractor.stream(row.parts(), total=row.n, what=what, progress=progress)  # noqa: E731
    return kept(extractor, row.key, make)[0]


def _sheet(
    result: Memorisation, images: Tensor, fake: Tensor, train: Tensor, trained: datasets.Data, picks: Any
) -> Tensor:
    """The most suspicious samples, each with its nearest training images, nearest first."""
    chosen = torch.tensor(result.suspects[:SHOWN])
    centre = train.double().mean(0)
    distance = squared_distances(fake[chosen].double() - centre, train.double() - centre)
    near = distance.topk(min(NEIGHBOURS, len(train)), largest=False).indices
    rows = [torch.cat([images[i : i + 1], trained.get(picks[near[row].numpy()]).cpu()]) for row, i in enumerate(chosen)]
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
