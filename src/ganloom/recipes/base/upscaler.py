"""Base class of super-resolution recipes: crops made smaller, a stage with a pixel loss alone, then the adversarial stage."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.core.precision import full_precision
from ganloom.gan import Adam, Batch, Phase, Rng, Terms, cosine
from ganloom.imaging import levels
from ganloom.losses import Loss, nonsaturating
from ganloom.metrics.statistics.grid_pattern import REPEATS, pattern_power
from ganloom.networks import restore
from ganloom.recipes.base.translator import Translator

BASE = Literal["nearest", "bilinear", "bicubic"]
SCALES = {"compact": (1, 2, 3, 4, 6, 8), "rrdb": (1, 2, 4, 8), "resnet": (2, 3, 4)}


@dataclass(frozen=True)
class UpscalerConfig:
    """Config fields of every super-resolution recipe."""

    shape: tuple[int, int, int] = (3, 128, 128)
    """Shape of the crops: channels, height, width. The network gets them reduced by ``scale``."""
    scale: int = 4
    """Factor by which the network enlarges."""
    net: Literal["compact", "rrdb", "resnet"] = "resnet"
    """Network: compact (SRVGGNetCompact, fast), resnet (MSRResNet) or rrdb (RRDBNet, large)."""
    width: int = 64
    """Channels of the features."""
    blocks: int = 16
    """Convolutions of the compact network, or blocks of the others."""
    growth: int = 0
    """Channels that each convolution in a block of rrdb adds; 0: half of ``width``."""
    unshuffle: int = 0
    """Blocks of this many pixels a side become channels before rrdb; 0: as in Real-ESRGAN, 2 for scale 2 and 4 for scale 1."""
    base: BASE = "nearest"
    """How the compact network enlarges the input that it adds its output to: nearest, bilinear or bicubic."""
    d_width: int = 64
    """Channels of D's first layer."""
    turns: bool = True
    """Mirror crops and turn them by quarters at random."""
    batch_size: int = 16
    """Crops per batch."""
    pixel_kimg: float = 16000.0
    """Length of the first stage, which has the pixel loss alone, in thousands of crops; 0: none."""
    pixel: float = 1.0
    """Weight of the pixel loss (L1) in the adversarial stage; in the first stage it is 1."""
    perceptual: float = 1.0
    """Weight of the distance in a frozen network's features; 0: off."""
    perceptual_net: str = "random"
    """Feature network: random, fashion, effnet (an extra), or a file .pt2 or .pt, as for ``evaluate --features``."""
    pattern: float = 0.0
    """Weight of the squared pattern with the period ``scale`` on flat areas, in levels of 255; 0: off. Without it the
    perceptual term draws such a pattern in a short training. Not in the papers."""
    adversarial: float = 0.1
    """Weight of the adversarial loss of G; 0: neither D nor the loss is used."""
    ema_kimg: float = 5.0
    """Half-life of the EMA of G, in thousands of crops."""
    pixel_opt: Adam = Adam(2e-4, betas=(0.9, 0.99))
    """Optimizer of the first stage. Without a schedule, the learning rate rises over the first twentieth of the stage, and falls
    to 2 % over its second half."""
    g_opt: Adam = Adam(1e-4, betas=(0.9, 0.99))
    """Optimizer of G in the adversarial stage."""
    d_opt: Adam = Adam(1e-4, betas=(0.9, 0.99))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if self.scale not in SCALES[self.net]:
            raise BadInput(
                f"--scale {self.scale}: the net {self.net} enlarges by {', '.join(map(str, SCALES[self.net]))}"
            )
        if any(side % self.scale or side < 2 * self.scale for side in self.shape[1:]):
            raise BadInput(
                f"--shape {' '.join(map(str, self.shape))}: both sides must be multiples of the scale {self.scale}"
            )
        if self.growth < 0 or self.unshuffle not in (0, 1, 2, 4) or (self.scale == 1 and self.unshuffle == 1):
            raise BadInput(f"--growth {self.growth} --unshuffle {self.unshuffle}: RRDBNet has no such network")
        if not 1 <= self.blocks <= 64:
            raise BadInput(f"--blocks must be in 1..64, got {self.blocks}")
        for name in ("pixel_kimg", "pixel", "perceptual", "pattern", "adversarial"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise BadInput(f"--{name.replace('_', '-')} must be a finite number of at least 0, got {value}")
        least = REPEATS * self.scale
        if self.pattern and (self.scale < 2 or min(self.shape[1:]) < least):
            raise BadInput(
                f"--pattern: it needs a scale of at least 2, and crops of {REPEATS} x scale, {least} pixels a side"
            )
        if not self.pixel + self.perceptual + self.adversarial > 0:
            raise BadInput("--pixel, --perceptual and --adversarial are all 0: nothing would be trained")


def network(cfg: Any) -> nn.Module:
    """Build the generator of a config."""
    channels = int(cfg.shape[0])
    if cfg.net == "compact":
        return restore.Compact(channels, cfg.width, cfg.blocks, cfg.scale, cfg.base)
    if cfg.net == "rrdb":
        unshuffle = cfg.unshuffle or max(1, 4 // cfg.scale)
        doublings = (cfg.scale * unshuffle).bit_length() - 1
        return restore.RRDBNet(
            channels, cfg.width, cfg.blocks, cfg.growth or max(1, cfg.width // 2), doublings, unshuffle
        )
    return restore.MSRResNet(channels, cfg.width, cfg.blocks, cfg.scale)


def smaller(x: Tensor, scale: int) -> Tensor:
    """Reduce images (N, C, H, W) in [-1, 1] by a whole factor: bicubic and antialiased as Pillow does, rounded to 8 bits."""
    size = x.shape[2] // scale, x.shape[3] // scale
    y = x if scale == 1 else F.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False)
    return levels.rounded(y)


def pixel_error(made: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute error of images in [-1, 1], on the scale of [0, 1].

    It is quadratic within 1e-6 of 0, so that a NaN in the target reaches the gradient, where the Trainer looks for it.
    """
    return F.smooth_l1_loss(made, target, beta=1e-6) / 2


class Upscaler(Translator):
    """A model whose condition c is a small image in [-1, 1], and whose output is ``cfg.scale`` times as large.

    A subclass sets ``D`` (if ``cfg.adversarial``) and ``loss``, and may override ``degraded``.
    """

    upscales = True
    loss: Loss = nonsaturating

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.G = network(cfg)

    def phases(self) -> list[Phase]:
        stage, end = float(self.cfg.pixel_kimg), math.inf
        opt = self.cfg.pixel_opt
        if stage and not opt.schedule:
            start = ((0.0, 0.02), (stage / 20, 1.0))
            opt = replace(opt, schedule=(*start, *cosine(stage / 2, stage, 0.02)))
        first = [Phase("G", self.pixel_loss, opt, kimg=(0.0, stage))] if stage else []
        d = [Phase("D", self.d_loss, kimg=(stage, end))] if self.cfg.adversarial else []
        return [*first, *d, Phase("G", self.g_loss, kimg=(stage, end))]

    # ---- data
    @classmethod
    def check_data(cls, data: Any) -> None:
        """Raise BadInput if the data are no images."""
        if data.kind != "images":
            raise BadInput(
                f"{data.name} contains points, and this recipe enlarges images: give a folder of photographs"
            )

    def input_shape(self) -> tuple[int, int, int]:
        """Return the shape (C, h, w) of an input for an output of ``cfg.shape``."""
        channels, height, width = self.cfg.shape
        return int(channels), height // self.cfg.scale, width // self.cfg.scale

    def degraded(self, x: Tensor, rng: torch.Generator, own: slice) -> Tensor:
        """Make the inputs of images.

        Args:
            x: This process's images (N, C, H, W) in [-1, 1].
            rng: Decides all random numbers, which are drawn for the global batch.
            own: Rows of the global batch that are this process's.

        Returns:
            (N, C, H / scale, W / scale) in [-1, 1].
        """
        return smaller(x, self.cfg.scale)

    def inputs(self, data: Any, rows: Any) -> Tensor | None:
        """Return the inputs of rows of a data set. A row has the same input at each call."""
        images = data.get(data.picks(rows))
        made = []
        for row, image in zip(data.picks(rows).tolist(), images, strict=True):
            made.append(self.degraded(image[None], torch.Generator().manual_seed(int(row)), slice(0, 1)))
        return torch.cat(made)

    def draw(self, data: Any, rng: Rng) -> NamedTuple:
        """Draw crops x, mirrored and turned at random, and their inputs c."""
        self.check_data(data)
        batch = data.draw(self.cfg.batch_size, rng)
        world, rank = getattr(rng, "world", 1), getattr(rng, "rank", 0)
        own, count = slice(rank, None, world), len(batch.x) * world
        x = turned(batch.x, torch.randint(8, (count,), generator=rng)[own]) if self.cfg.turns else batch.x
        return Batch(x, self.degraded(x, rng, own))

    # ---- losses
    def direct(self, x: Tensor) -> Tensor:
        """Enlarge images (N, C, H, W) in [-1, 1]; the output is not clipped."""
        out: Tensor = self.G((x + 1) / 2)
        return out * 2 - 1

    def target(self, batch: Batch) -> Tensor:
        """Return the images that G is trained towards."""
        return batch.x

    def g_outputs(self, batch: Batch) -> tuple[Tensor]:
        """Return G(c)."""
        assert batch.c is not None
        return (self.direct(batch.c),)

    def pixel_loss(self, batch: Batch) -> Terms:
        assert batch.c is not None
        return {"pixel": pixel_error(self.direct(batch.c), self.target(batch))}

    def d_loss(self, batch: Batch) -> Terms:
        fake = self.fakes_for_d(batch)
        return self.d_adversarial(self.loss, self.discriminate(self.target(batch)), self.discriminate(fake))

    def g_loss(self, batch: Batch) -> Terms:
        cfg, target = self.cfg, self.target(batch)
        (fake,) = self.outputs_for_g(batch)
        terms: Terms = {}
        if cfg.adversarial:
            real = self.discriminate(target) if self.loss.needs_real_in_g else None
            terms = self.g_adversarial(
                self.loss, self.discriminate(fake), real, reals=(target,), weight=float(cfg.adversarial)
            )
        if cfg.pixel:
            terms["pixel"] = cfg.pixel * pixel_error(fake, target)
        if cfg.pattern:
            power, flat = pattern_power(fake, target, cfg.scale)
            terms["pattern"] = cfg.pattern * (power * flat).sum() / flat.sum().clamp_min(1)
        return terms | self.perceptual_terms((fake, target))

    def perceptual_terms(self, *pairs: tuple[Tensor, Tensor]) -> Terms:
        """Return the distance of the outputs to their targets in the features of a frozen network, if it is used."""
        weight = float(self.cfg.perceptual)
        if not weight:
            return {}
        net = self._opened(pairs[0][0].device)
        return {"perceptual": weight * torch.stack([net.distance(*pair) for pair in pairs]).sum()}

    # ---- samples
    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Enlarge inputs c (N, C, h, w)."""
        assert c is not None
        return self.direct(c).clamp(-1, 1)

    def conditions(self, n: int, c: Any) -> Tensor:
        x = torch.as_tensor(c, device=self.device).float()
        channels = int(self.cfg.shape[0])
        if x.dim() != 4 or x.shape[1] != channels or not len(x):
            raise BadInput(f"inputs must be images (N, {channels}, h, w) in [-1, 1], got shape {tuple(x.shape)}")
        if len(x) != n:
            raise BadInput(f"c has {len(x)} images for {n} samples: pass one image per sample")
        return x

    def c(self, n: int) -> Tensor | None:
        """Raise BadInput: inputs cannot be drawn."""
        raise BadInput("this model enlarges images: pass them as c=, or use ganloom.upscale")

    def _translate_part(self, x: Tensor, reverse: bool, memory: float | None) -> Tensor:
        """Enlarge images; see `translate`. Large images are the task of `ganloom.upscale`, which works in tiles."""
        if reverse:
            raise BadInput(f"{type(self).__name__} enlarges images: do not set reverse")
        with full_precision():
            return self.direct(x).clamp(-1, 1)


def turned(x: Tensor, which: Tensor) -> Tensor:
    """Mirror and turn images (N, C, H, W).

    Args:
        x: Images. Only square ones are turned by 90 degrees.
        which: Numbers from 0 to 7: quarter turns, and 4 more for a mirrored image.
    """
    square = x.shape[2] == x.shape[3]
    result = []
    for image, number in zip(x, which.tolist(), strict=True):
        quarters = number % 4 if square else number % 2 * 2
        y = torch.rot90(image, quarters, (1, 2)) if quarters else image
        result.append(y.flip(2) if number >= 4 else y)
    return torch.stack(result)
