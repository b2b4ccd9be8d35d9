"""Samples beside the training images that they are nearest to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom import data as datasets
from ganloom import metrics
from ganloom.core.errors import BadInput
from ganloom.evaluation.measure import Features, choose_all, conditions_of, real_row, samples
from ganloom.gan import GAN
from ganloom.imaging import grid
from ganloom.metrics.reference import kept
from ganloom.metrics.statistics.memorisation import Memorisation, check_enough, memorisation
from ganloom.metrics.statistics.neighbours import squared_distances

SHOWN, NEIGHBOURS = 12, 5
"""Rows of the image sheet, and training images in each."""
MOST = 50_000
"""At most so many training images are looked through, drawn by the seed."""


@dataclass(frozen=True)
class Copying:
    """The figures, the protocol, and the images of the sheet: in each row a sample, then its nearest training ones."""

    found: Memorisation
    protocol: dict[str, Any]
    sheet: Tensor

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
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
    """``n`` samples of ``model`` against the images it was trained on, and against ``held_out`` ones.

    Of several ``features`` the last is taken: with "both" that is ``effnet`` where it is installed, which keeps more of
    an image's look than a classifier does. Raises `BadInput` below 50 images of a kind.
    """
    check_enough(n, "samples")
    check_enough(len(trained), trained.name)
    if held_out is not None:
        check_enough(len(held_out), held_out.name)
        if held_out.fingerprint == trained.fingerprint:
            raise BadInput(f"--held-out {held_out.name}: these are the training images; give ones that it never saw")
    extractor = choose_all(features, trained, weights=weights, resizer=resizer, device=model.device)[-1]
    picks = torch.randperm(len(trained), generator=torch.Generator().manual_seed(seed))[:MOST].numpy()
    conditions = conditions_of(model, trained, picks[torch.arange(n) % len(picks)])
    train = _features(extractor, real_row(trained, picks), "training images", progress)
    made = torch.cat(list(samples(model, n, seed, conditions, truncation)))
    fake = extractor.stream(made.split(512), total=n, what="generated", progress=progress)[0]
    other, m = None, 0
    if held_out is not None:
        m = min(n, len(held_out))
        rows = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(seed))[:m].numpy()
        other = _features(extractor, real_row(held_out, rows), "held-out images", progress)
    found = memorisation(train, fake, other, seed=seed)
    protocol = {
        "backbone": extractor.name, "sha8": extractor.sha8, "resizer": extractor.resizer, "n_fake": n,
        "n_train": len(picks), "n_held_out": m, "held_out": None if held_out is None else held_out.name, "seed": seed,
        "truncation": truncation,
    }  # fmt: skip
    return Copying(found, protocol, _sheet(found, made, fake, train, trained, picks))


def _features(extractor: metrics.Extractor, row: metrics.Row, what: str, progress: metrics.Progress) -> Tensor:
    """Features of real images, kept for the next time."""
    make = lambda: extractor.stream(row.parts(), total=row.n, what=what, progress=progress)  # noqa: E731
    return kept(extractor, row.key, make)[0]


def _sheet(
    found: Memorisation, made: Tensor, fake: Tensor, train: Tensor, trained: datasets.Data, picks: Any
) -> Tensor:
    """The most suspicious samples, a row each: the sample and its nearest training images, nearest first."""
    chosen = torch.tensor(found.suspects[:SHOWN])
    centre = train.double().mean(0)
    distance = squared_distances(fake[chosen].double() - centre, train.double() - centre)
    near = distance.topk(min(NEIGHBOURS, len(train)), largest=False).indices
    rows = [torch.cat([made[i : i + 1], trained.get(picks[near[row].numpy()]).cpu()]) for row, i in enumerate(chosen)]
    return torch.stack(rows)


def write_sheet(copies: Copying, path: str | Path) -> Path:
    """The sheet as a PNG: the first column is generated, the others are training images."""
    rows, columns = copies.sheet.shape[:2]
    return grid.save_png(grid.grid(copies.sheet.flatten(0, 1), columns), Path(path)) if rows else Path(path)
