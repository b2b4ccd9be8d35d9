"""Context encoder. "Context Encoders: Feature Learning by Inpainting", Pathak et al. 2016, arXiv:1604.07379.

x is an image, M its hole, F the encoder and decoder; F(x) is the hole (region centre) or the whole image (region random).
G: 0.999 |w (x - F((1 - M) x))|^2 + 0.001 softplus(-D(F((1 - M) x)))                             (eq. 1 to 3)
   w^2 = 10 in a band of 7 pixels (the code: 4) along the edge of the hole, which F also gets to see; 1 elsewhere (sec. 5.1)
D: softplus(-D(x)) + softplus(D(F((1 - M) x))), without the context (sec. 3.2)
The hole is the middle quarter of the image, or random blobs of 20 to 30 % of it (sec. 3.3). It is filled with the mean colour.
Adam with beta1 0.5, 2e-4 for D and ten times that for G; batch 64, 128 px, a bottleneck of 4000 units.

About: the context encoder was the first GAN for inpainting: an encoder compresses the surroundings of a hole into one vector,
and a decoder makes the content from it, with a pixel loss for the structure and a discriminator for sharpness. Use it for
small images of one kind with a hole in a fixed place, and to see what later work improved: LaMa fills any hole of any size.
Watch the seam: the vector keeps no exact positions, so colours and edges may not meet at the border of the hole, which is
what the overlapping band is for. Published in 2016, it also showed that inpainting learns features without labels.

Departures from the paper: mirroring is a data flag; there is an EMA of G. For other sizes than 128 px the networks have as many
levels as fit and the band is scaled. Images of another size than in training are resized for F, and the result is resized back.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.imaging import levels
from ganloom.losses import nonsaturating
from ganloom.networks.context_encoder import ContextEncoder
from ganloom.networks.dcgan import Discriminator
from ganloom.recipes.base.inpainter import Inpainter, InpainterConfig

TITLE = "context encoder: a hole from its surroundings, through one vector"
PAPER = "Pathak et al. 2016, arXiv:1604.07379"
DATA = "photographs or faces at 128 px; any folder of images"
KIMG = 7_450.0  # default length of a run, thousands of images: Paris StreetView, 500 epochs of 14,900
MEAN = (117.0, 104.0, 123.0)
"""The colour of the hole, as in the authors' code, of 255."""


@dataclass(frozen=True)
class Config(InpainterConfig):
    """The hyperparameters of the authors' code."""

    shape: tuple[int, int, int] = (3, 128, 128)
    """Shape of the images: channels, height, width."""
    region: Literal["centre", "random"] = "centre"
    """The hole: the middle half of each side, or random blobs of about a quarter of the image."""
    bottleneck: int = 4000
    """Units of the layer that sees the whole image."""
    overlap: int = 4
    """Width in pixels at 128 px of the band in which the prediction overlaps known pixels (region centre only)."""
    l2: float = 0.999
    """Weight of the L2 term, 0 to 1; the adversarial term has the rest."""
    batch_size: int = 64
    """Images per batch."""
    g_opt: Adam = Adam(2e-3, betas=(0.5, 0.999))
    """Optimizer of G."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if not 0 <= self.l2 <= 1:
            raise BadInput(f"--l2 must be in 0..1, got {self.l2}")
        if self.bottleneck < 1 or self.overlap < 0:
            raise BadInput(
                f"--bottleneck must be at least 1 and --overlap at least 0, got {self.bottleneck} and {self.overlap}"
            )
        if self.region == "centre" and min(self.shape[1:]) < 8:
            raise BadInput("--region centre needs images of at least 8 pixels a side")


class ContextEncoderGAN(Inpainter):
    """An encoder and decoder, and DCGAN's discriminator of what the decoder makes."""

    splits_by = None  # BatchNorm

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        channels, height, width = cfg.shape
        self.size = (height // 2, width // 2) if cfg.region == "centre" else (height, width)
        self.G = ContextEncoder(cfg.shape, self.size, cfg.width, cfg.bottleneck)
        self.D = Discriminator((channels, *self.size), cfg.d_width)
        self.band = round(cfg.overlap * min(height, width) / 128) if cfg.region == "centre" else 0

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    # ---- holes
    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns that G predicts."""
        _, height, width = self.cfg.shape
        top, left = (height - self.size[0]) // 2, (width - self.size[1]) // 2
        return slice(top, top + self.size[0]), slice(left, left + self.size[1])

    def draw_masks(self, count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        _, height, width = self.cfg.shape
        if self.cfg.region == "random":
            return np.stack([blobs(height, width, rng) for _ in range(count)])
        masks = np.zeros((count, height, width), bool)
        rows, columns = self.box
        band = self.band
        masks[:, rows.start + band : rows.stop - band, columns.start + band : columns.stop - band] = True
        return masks

    def fixed_masks(self, rows: list[int]) -> NDArray[np.bool_]:
        rngs = [np.random.default_rng(randomness.key(0, "hole", row)) for row in rows]
        masks = [self.draw_masks(1, rng)[0] for rng in rngs]
        return np.stack(masks) if masks else np.zeros((0, *self.cfg.shape[1:]), bool)

    def condition(self, x: Tensor, mask: Tensor, *, tolerance: float = 1e-5) -> Tensor:
        """Make the model's input: the hole gets the mean colour. See ``Inpainter.condition``."""
        mean = sum(MEAN) / 3
        shades = MEAN if x.shape[1] == 3 else (mean,) * x.shape[1]
        colour = levels.from_levels(torch.tensor(shades, device=x.device))[:, None, None]
        return torch.cat([torch.where(mask > 0.5, colour.to(x.dtype), x), mask], 1)

    # ---- networks
    def predict(self, c: Tensor) -> Tensor:
        """Map conditions (N, C + 1, H, W) of any size to whole images; outside of what G predicts they are the input."""
        known, size = c[:, :-1], (int(self.cfg.shape[1]), int(self.cfg.shape[2]))
        same = (int(c.shape[2]), int(c.shape[3])) == size
        resized = known if same else F.interpolate(known, size, mode="bilinear", antialias=True)
        whole = resized.clone()
        rows, columns = self.box
        whole[:, :, rows, columns] = self.G(resized)
        return whole if same else F.interpolate(whole, c.shape[2:], mode="bicubic")

    @torch.no_grad()
    def inpaint(self, x: Tensor, mask: Tensor, **options: Any) -> Tensor:
        """Fill holes in images; see ``Inpainter.inpaint``. With region centre, the hole must be in the middle of the image."""
        if self.cfg.region == "centre" and mask.dim() == 4 and mask.numel():
            height, width = mask.shape[2:]
            rows, columns = mask.gt(0.5).any(3).any(0)[0].nonzero(), mask.gt(0.5).any(2).any(0)[0].nonzero()
            for found, length in ((rows, height), (columns, width)):
                if len(found) and not (length // 4 <= int(found[0]) and int(found[-1]) < -(-3 * length // 4)):
                    raise BadInput(
                        f"this model fills only the middle of an image: the hole must be in the pixels {width // 4} to "
                        f"{3 * width // 4} of {width} and {height // 4} to {3 * height // 4} of {height}"
                    )
        return super().inpaint(x, mask, **options)

    # ---- losses
    def _predicted(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return what G made and the true pixels there."""
        assert batch.c is not None
        rows, columns = self.box
        return self.G(batch.c[:, :-1]), batch.x[:, :, rows, columns]

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake, true = self._predicted(batch)
        return self.d_adversarial(nonsaturating, self.discriminate(true), self.discriminate(fake))

    def g_loss(self, batch: Batch) -> Terms:
        fake, true = self._predicted(batch)
        weights = torch.ones_like(fake[:1, :1])
        if self.band:
            weights *= 10.0
            weights[:, :, self.band : -self.band, self.band : -self.band] = 1.0
        terms: Terms = {"l2": self.cfg.l2 * (weights * (fake - true).square()).mean()}
        if self.cfg.l2 < 1:
            scores = self.discriminate(fake)
            terms |= self.g_adversarial(nonsaturating, scores, reals=(true,), weight=1 - self.cfg.l2)
        return terms


def blobs(height: int, width: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw blobs that cover 20 to 30 % of an image: where smooth noise is below its quarter.

    Args:
        height: Height of the image.
        width: Width of the image.
        rng: Source of the random numbers.

    Returns:
        (height, width), True in the hole.
    """
    for share in np.linspace(0.25, 0.5, 1000):  # very small images may never have a share in the range
        grid = [max(math.ceil(n * 0.06 * 128 / min(height, width)) + 1, 2) for n in (height, width)]
        noise = torch.from_numpy(rng.random((1, 1, *grid)))
        smooth = F.interpolate(noise, (height, width), mode="bicubic", align_corners=True)[0, 0].numpy()
        mask: NDArray[np.bool_] = smooth < share
        if 0.2 < mask.mean() < 0.3:
            return mask
    mask = np.zeros((height, width), bool)
    mask.flat[: max(height * width // 4, 1)] = True
    return mask


MODEL = ContextEncoderGAN
