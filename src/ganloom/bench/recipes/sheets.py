"""Draw the images of the doc pages: the first samples of a model, or its first translations with their inputs."""

from typing import Any

import torch

from ganloom.core import randomness
from ganloom.data import Data
from ganloom.gan import GAN
from ganloom.imaging import grid
from ganloom.recipes.base.translator import Translator

SHOWN = 64
"""About this many samples in an image."""
STRIP = 8
"""Samples in a row of the gallery."""


def draw(gan: GAN) -> tuple[Any, str]:
    """Draw samples of the first seeds, without selection.

    Args:
        gan: The model.

    Returns:
        (image, what its rows are: classes, or values of a code; empty for neither).
    """
    classes = int(getattr(gan.cfg, "n_classes", 0) or 0)
    if classes:
        columns, rows = grid.class_rows(SHOWN, classes)
        c = torch.tensor(rows).repeat_interleave(columns)
        return grid.grid(gan.generate(len(c), seed=0, c=c).cpu(), columns, 1, 1), "one class in each row"
    coded, codes = getattr(gan, "coded", None), getattr(gan.cfg, "categories", ())
    if coded is None or not codes:
        return grid.grid(gan.generate(SHOWN, seed=0).cpu(), 8, 1, 1), ""
    columns, rows = grid.class_rows(SHOWN, codes[0])
    randomness.seed_all(0)
    noise = gan.z(columns)
    z = torch.cat([coded(noise, category=value) for value in rows])
    return grid.grid(
        gan.generate(z=z).cpu(), columns, 1, 1
    ), "one value of the categorical code in each row, equal noise in each column"


def strip(gan: GAN, data: Data) -> Any:
    """Draw one row of eight samples of the first seeds; with labels, of classes that are evenly spaced.

    Args:
        gan: The model. Of an image-to-image model, four inputs with their translations are drawn.
        data: The training data.
    """
    if isinstance(gan, Translator):
        held = data.held or data
        x = gan.inputs(held, torch.arange(STRIP // 2))
        assert x is not None
        pairs = torch.stack([grid.alike(x.cpu(), gan.cfg.shape[0]), gan.translate(x).cpu()], 1).flatten(0, 1)
        return grid.grid(pairs, STRIP, 1, 1)
    classes = int(getattr(gan.cfg, "n_classes", 0) or 0)
    c = torch.arange(STRIP) * classes // STRIP if classes > STRIP else torch.arange(STRIP) % max(classes, 1)
    return grid.grid(gan.generate(STRIP, seed=0, c=c if classes else None).cpu(), STRIP, 1, 1)


def translated(gan: Translator, data: Data) -> tuple[Any, str]:
    """Draw the first held-out images: input, translation, and the target if it is known.

    Args:
        gan: The model.
        data: The training data.

    Returns:
        (image, what its rows are).
    """
    data = data.held or data
    rows = torch.arange(SHOWN // 2)
    x = gan.inputs(data, rows)
    assert x is not None
    columns = [grid.alike(x.cpu(), gan.cfg.shape[0]), gan.translate(x).cpu()]
    if data.paired:
        columns.append(data.get(rows).cpu())
    parts = "input, translation, target" if data.paired else "input, translation"
    return grid.grid(torch.stack(columns, 1).flatten(0, 1), 4 * len(columns), 1, 1), f"{parts}, four times in each row"
