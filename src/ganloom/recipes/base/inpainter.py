"""Base class of inpainting recipes: random holes in plain images, the model's input, and ``inpaint``."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom import sampling
from ganloom.core.batch import Batch
from ganloom.core.errors import BadInput
from ganloom.core.precision import full_precision
from ganloom.data import hole_masks
from ganloom.gan import Rng
from ganloom.imaging.samples import Samples
from ganloom.nn import biharmonic
from ganloom.recipes.base.translator import Translator

FILLS = ("none", "biharmonic")
TRAINING_TOLERANCE = 1e-3
"""Tolerance of the classical fill in training; the network corrects more than that."""


@dataclass(frozen=True)
class InpainterConfig:
    """Config fields of every inpainting recipe."""

    shape: tuple[int, int, int] = (3, 256, 256)
    """Shape of the images: channels, height, width."""
    width: int = 64
    """Channels of G's first layer."""
    d_width: int = 64
    """Channels of D's first layer."""
    batch_size: int = 10
    """Images per batch."""
    ema_kimg: float = 1.0
    """Half-life of the EMA of G, in thousands of images (not in the papers)."""

    @property
    def in_channels(self) -> int:
        """Channels of G's input: those of the image, and the mask."""
        return self.shape[0] + 1


class Inpainter(Translator):
    """A model whose condition c (N, C + 1, H, W) is an image with a hole, in [-1, 1], and the mask, 1 in the hole.

    It learns from plain images: ``draw`` cuts the holes. The hole of c holds ``empty``, or a classical fill.
    """

    makes_inputs = True
    empty = -1.0
    """Value of the hole in c, if the recipe does not fill it."""

    # ---- what a recipe defines
    def predict(self, c: Tensor) -> Tensor:
        """Map conditions (N, C + 1, H, W) to whole images (N, C, H, W), before the known pixels are put back."""
        raise NotImplementedError(f"{type(self).__name__} must implement predict(c)")

    def draw_masks(self, count: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Draw the holes (count, H, W) of a batch; the default are the strokes and boxes of LaMa."""
        _, height, width = self.cfg.shape
        return hole_masks.draw(count, height, width, rng)

    def fixed_masks(self, rows: list[int]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the holes (n, H, W) of rows of a data set, for samples and measurements."""
        _, height, width = self.cfg.shape
        return hole_masks.keyed(0, rows, height, width)

    # ---- overrides of Translator
    @classmethod
    def check_data(cls, data: Any) -> None:
        """Raise BadInput if the data are not images."""
        if data.kind != "images":
            raise BadInput(f"{data.name} has no images, and this recipe fills holes in images. Use a folder of images")

    def inputs(self, data: Any, rows: Any) -> Tensor:
        """Return conditions for rows of a data set. The hole of a row is always the same."""
        self.check_data(data)
        images: Tensor = data.get(rows)
        masks = torch.from_numpy(self.fixed_masks([int(i) for i in data.picks(rows)]))[:, None]
        return self.condition(images, masks.to(images))

    def draw(self, data: Any, rng: Rng) -> NamedTuple:
        """Draw images x and their conditions c."""
        self.check_data(data)
        batch = data.draw(self.cfg.batch_size, rng)
        world, rank = getattr(rng, "world", 1), getattr(rng, "rank", 0)
        source = np.random.default_rng(int(torch.randint(2**62, (), generator=rng)))
        masks = torch.from_numpy(self.draw_masks(len(batch.x) * world, source)[rank::world])[:, None]
        return Batch(batch.x, self.condition(batch.x, masks.to(batch.x), tolerance=TRAINING_TOLERANCE))

    def condition(self, x: Tensor, mask: Tensor, *, tolerance: float = 1e-5) -> Tensor:
        """Make the model's input.

        Args:
            x: Images (N, C, H, W) in [-1, 1].
            mask: (N, 1, H, W), 1 in the hole.
            tolerance: Tolerance of the classical fill.

        Returns:
            (N, C + 1, H, W). It does not depend on the pixels in the hole.
        """
        if getattr(self.cfg, "fill", "none") == "biharmonic":
            filled = biharmonic.fill(x, mask, tolerance=tolerance)
        else:
            filled = torch.where(mask > 0.5, torch.full_like(x, self.empty), x)
        return torch.cat([filled, mask], 1)

    def direct(self, x: Tensor) -> Tensor:
        """Complete images from conditions (N, C + 1, H, W) of any size; known pixels are those of the input."""
        known, mask = x[:, :-1], x[:, -1:]
        return torch.where(mask > 0.5, self.predict(x).clamp(-1, 1), known)

    def shown_inputs(self, c: Tensor) -> Tensor:
        """Return conditions as images (N, C, H, W) to show: the holes are grey."""
        return torch.where(c[:, -1:] > 0.5, 0.0, c[:, :-1])

    def through(self, c: Tensor) -> Tensor:
        """Run G on conditions of any size: they are extended to the multiple that G needs, at the bottom and on the right.

        The edge pixels are mirrored, as in the authors' code of LaMa (numpy's padding "symmetric").
        """
        multiple, smallest = int(getattr(self.G, "multiple", 1)), int(getattr(self.G, "smallest", 1))
        height, width = int(c.shape[2]), int(c.shape[3])
        out: Tensor = self.G(symmetric(c, *(max(-(-n // multiple) * multiple, smallest) for n in (height, width))))
        return out[:, :, :height, :width]

    # ---- for users
    @torch.no_grad()
    def inpaint(self, x: Tensor, mask: Tensor, *, batch: int = 8) -> Tensor:
        """Fill holes in images.

        Args:
            x: Images (N, C, H, W) in [-1, 1], of any height and width. Values in the holes are not used.
            mask: (N, 1, H, W) or (1, 1, H, W), above 0.5 in the holes.
            batch: Images per pass.

        Returns:
            Images (N, C, H, W) float32 in [-1, 1]. Known pixels have the same numbers as in ``x``.

        Raises:
            BadInput: If the shapes do not fit the model or each other.
        """
        channels = int(self.cfg.shape[0])
        if x.dim() != 4 or x.shape[1] != channels or not x.numel():
            raise BadInput(f"inpaint needs images (N, {channels}, H, W) in [-1, 1], got shape {tuple(x.shape)}")
        if mask.dim() != 4 or mask.shape[1] != 1 or mask.shape[2:] != x.shape[2:] or len(mask) not in (1, len(x)):
            raise BadInput(f"the mask must be ({len(x)}, 1, H, W) like the images, got shape {tuple(mask.shape)}")
        holes = (mask > 0.5).to(torch.float32).expand(len(x), -1, -1, -1)
        parts = []
        with sampling.unchanged(self), full_precision():
            for start in range(0, len(x), batch):
                rows = slice(start, start + batch)
                images, part = x[rows].to(self.device, torch.float32), holes[rows].to(self.device)
                parts.append(self.direct(self.condition(images, part)))
        return Samples.of(torch.cat(parts))

    @torch.no_grad()
    def complete(self, filled: Tensor, mask: Tensor) -> Tensor:
        """Complete images whose holes have the classical fill already, if the model uses one; otherwise as ``inpaint``.

        Args:
            filled: Images (N, C, H, W) in [-1, 1].
            mask: (N or 1, 1, H, W), 1 in the holes.

        Returns:
            Images (N, C, H, W) in [-1, 1].
        """
        if getattr(self.cfg, "fill", "none") == "none":
            return self.inpaint(filled, mask)
        with sampling.unchanged(self), full_precision():
            c = torch.cat([filled, mask.to(filled).expand(len(filled), -1, -1, -1)], 1)
            return self.direct(c.to(self.device, torch.float32))

    @torch.no_grad()
    def translate(self, x: Tensor, *, batch: int = 8, **options: Any) -> Tensor:
        """Complete images from conditions (N, C + 1, H, W), images with the mask as the last channel; see ``inpaint``."""
        if x.dim() != 4 or x.shape[1] != self.cfg.in_channels or not x.numel():
            raise BadInput(
                f"translate of an inpainting model needs images and masks (N, {self.cfg.in_channels}, H, W), got shape "
                f"{tuple(x.shape)}: call inpaint(x, mask)"
            )
        return self.inpaint(x[:, :-1], x[:, -1:], batch=batch)


def symmetric(x: Tensor, height: int, width: int) -> Tensor:
    """Extend (N, C, H, W) at the bottom and on the right by mirroring with the edge pixels, repeatedly if an image is small."""
    for axis, size in ((2, height), (3, width)):
        length = int(x.shape[axis])
        if size > length:
            places = torch.arange(size, device=x.device).remainder(2 * length)
            x = x.index_select(axis, torch.minimum(places, 2 * length - 1 - places))
    return x


def scaled_mask(mask: Tensor, like: Tensor) -> Tensor:
    """Return the mask (N, 1, H, W) on the grid of ``like`` by its nearest pixels."""
    return F.interpolate(mask, like.shape[2:], mode="nearest")
