"""LaMa. "Resolution-robust Large Mask Inpainting with Fourier Convolutions", Suvorov et al. 2021, arXiv:2109.07161.

x is an image, m its mask (1 in the hole), y = G(x (1 - m), m) a whole image; images are in [0, 1] in these formulas.
G: 10 mean((1 - m) |y - x|) + 10 softplus(-D(y)) + 100 mean |D_l(y) - D_l(x)|^2 + 30 sum_l mean |P_l(y) - P_l(x)|^2
D: softplus(-D(x)) + m softplus(D(y)) + (1 - m) softplus(-D(y)) + 0.001 |grad D(x)|^2                  (sec. 2.3)
D_l are D's feature maps; P_l those of a frozen network that sees far (sec. 2.2). In D's loss, m has the size of the logits:
patches of y outside the hole count as real. G has fast Fourier convolutions, each of which sees the whole image.
Masks: strokes or boxes. Adam 1e-3 for G and 1e-4 for D, batch 10, crops of 256 px, gradients clipped at norm 1.

About: LaMa fills large holes, also at sizes far above those of its training, because its convolutions in the frequency
domain continue regular structures from one edge of a hole to the other. Pixels in the hole have no pixel loss: what is right
there is decided by the discriminator, by its features, and by a perceptual network. Use it for holes in photographs, and for
images of one kind. Watch the length: a network trained for minutes on photographs is worse than a smooth fill; then
``--fill biharmonic`` makes G add detail to the smooth fill instead, and never starts below it. It was published in 2021 and
is still the model that most inpainting programs run.

Departures from the paper: P is by default a frozen random network, because the authors' one (ADE20k segmentation) cannot be
downloaded here; ``--perceptual-net effnet`` or a file is closer. There is an EMA of G. Colours are not distorted in training.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.losses import Loss
from ganloom.networks.gated import GatedNet
from ganloom.networks.inpaint import FFCResNet, NLayerDiscriminator
from ganloom.nn.perceptual import moved
from ganloom.penalties import r1
from ganloom.recipes.base.inpainter import FILLS, Inpainter, InpainterConfig, scaled_mask
from ganloom.scoring import Logits

TITLE = "LaMa: large holes, filled with Fourier convolutions"
PAPER = "Suvorov et al. 2021, arXiv:2109.07161"
DATA = "crops of photographs (Places, 256 px); any folder of images"
KIMG = 10_000.0  # default length of a run, thousands of images: 40 epochs of 25,000 batches of 10


@dataclass(frozen=True)
class Config(InpainterConfig):
    """The hyperparameters of the authors' code (lama-fourier)."""

    net: Literal["ffc", "gated"] = "ffc"
    """Generator: LaMa's Fourier convolutions, or a smaller one of gated convolutions (Yu et al. 2018, arXiv:1806.03589)."""
    blocks: int = 9
    """Number of residual blocks, 1 to 32; 18 for big-lama."""
    downs: int = 3
    """Number of downsamplings of G (net ffc only), 1 to 5."""
    ratio: float = 0.75
    """Share of global channels in the blocks (net ffc only), above 0 and below 1."""
    layers: int = 4
    """Number of downsamplings of D, 1 to 6."""
    fill: str = "none"
    """What G gets in the hole: none (0) or biharmonic. With biharmonic, G's output is added to it, and starts at 0."""
    l1_known: float = 10.0
    """Weight of the L1 term on known pixels."""
    l1_missing: float = 0.0
    """Weight of the L1 term in the hole; 0 in the paper."""
    adversarial: float = 10.0
    """Weight of G's adversarial term; 0: G and D are not trained against each other."""
    matching_weight: float = 100.0
    """Weight of the distance of D's features."""
    perceptual: float = 30.0
    """Weight of the distance of the perceptual network's features; 0: off."""
    perceptual_net: str = "random"
    """Feature network: random, fashion, effnet (an extra), mobilenet, or a file .pt2 or .pt, as for ``evaluate --features``."""
    perceptual_jitter: bool = False
    """Resize, shift and mirror the images at random before the perceptual network. Not in the paper."""
    normalised: bool = False
    """Scale the perceptual features of each position to length 1, and take the mean over the maps, not the sum."""
    r1: float = 0.001
    """Weight of D's squared gradient at real images in [0, 1]."""
    g_opt: Adam = Adam(1e-3, betas=(0.9, 0.999), clip=1.0)
    """Optimizer of G."""
    d_opt: Adam = Adam(1e-4, betas=(0.9, 0.999), clip=1.0)
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if self.fill not in FILLS:
            raise BadInput(f"--fill must be one of {', '.join(FILLS)}, got {self.fill!r}")
        if not 1 <= self.blocks <= 32 or not 1 <= self.downs <= 5 or not 1 <= self.layers <= 6:
            raise BadInput(
                f"--blocks must be in 1..32, --downs in 1..5 and --layers in 1..6, got {self.blocks}, {self.downs} and "
                f"{self.layers}"
            )
        if not 0 < self.ratio < 1:
            raise BadInput(f"--ratio must be above 0 and below 1, got {self.ratio}")
        for name in ("l1_known", "l1_missing", "adversarial", "matching_weight", "perceptual", "r1"):
            if not 0 <= getattr(self, name) < math.inf:
                raise BadInput(f"--{name.replace('_', '-')} must be a finite number of at least 0")


class Lama(Inpainter):
    """A Fourier generator, and a discriminator of patches that knows where the hole was."""

    splits_by = None  # BatchNorm
    penalises_normed_d = True

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        channels = cfg.shape[0]
        if cfg.net == "ffc":
            self.G: nn.Module = FFCResNet(channels + 1, channels, cfg.width, cfg.downs, cfg.blocks, cfg.ratio)
        else:
            self.G = GatedNet(channels + 1, channels, cfg.width, cfg.blocks)
        if cfg.fill != "none":
            last = self.G.last
            assert isinstance(last, nn.Conv2d) and last.bias is not None
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.D = NLayerDiscriminator(channels, cfg.d_width, cfg.layers)

    def phases(self) -> list[Phase]:
        if not self.cfg.adversarial and not self.cfg.matching_weight:
            return [Phase("G", self.g_loss)]
        return [Phase("G", self.g_loss), Phase("D", self.d_loss)]

    def settings_without_effect(self) -> list[tuple[str, str]]:
        """Return the settings that differ from their defaults and are not used, each with what would use it."""
        cfg, defaults = self.cfg, Config()
        critic = bool(cfg.adversarial or cfg.matching_weight)
        owners = {
            "--net ffc": (cfg.net == "ffc", ("downs", "ratio")),
            "--adversarial or --matching-weight": (critic, ("layers", "r1", "d_opt")),
            "--perceptual": (bool(cfg.perceptual), ("perceptual_net", "perceptual_jitter", "normalised")),
        }
        unused = [(name, owner) for owner, (used, names) in owners.items() if not used for name in names]
        return [(name, owner) for name, owner in unused if getattr(cfg, name) != getattr(defaults, name)]

    def predict(self, c: Tensor) -> Tensor:
        """Map conditions (N, C + 1, H, W) of any size to images (N, C, H, W) in [-1, 1]."""
        known, mask = c[:, :-1], c[:, -1:]
        out = self.through(torch.cat([(known + 1) / 2, mask], 1))
        if self.cfg.fill == "none":
            return torch.sigmoid(out) * 2 - 1
        return known + 2 * mask * out

    def g_loss(self, batch: Batch) -> Terms:
        assert batch.c is not None
        cfg, x, mask = self.cfg, batch.x, batch.c[:, -1:]
        fake = self.predict(batch.c)
        weights = mask * cfg.l1_missing + (1 - mask) * cfg.l1_known
        terms: Terms = {"l1": (weights * (fake - x).abs()).mean() / 2}
        if cfg.adversarial or cfg.matching_weight:
            scores = self.discriminate(fake, features=True)
            if cfg.adversarial:
                terms |= self.g_adversarial(masked_loss(mask), scores, reals=(x,), weight=cfg.adversarial)
            if cfg.matching_weight:
                with torch.no_grad():
                    true = self.discriminate(x, features=True).output[1]
                distances = [F.mse_loss(a.float(), b.float()) for a, b in zip(scores.output[1], true, strict=True)]
                terms["features"] = cfg.matching_weight * torch.stack(distances).mean()
        if cfg.perceptual:
            terms["perceptual"] = cfg.perceptual * self._perceptual_distance(fake, x)
        return terms

    def _perceptual_distance(self, fake: Tensor, x: Tensor) -> Tensor:
        net = self._opened(x.device)
        if self.cfg.perceptual_jitter:
            fake, x = moved(fake, x)
        if self.cfg.normalised:
            return net.distance(fake, x)
        with torch.no_grad():
            wanted = net.maps(x)
        return torch.stack([F.mse_loss(a, b) for a, b in zip(net.maps(fake), wanted, strict=True)]).sum()

    def d_loss(self, batch: Batch) -> Terms:
        assert batch.c is not None
        with torch.no_grad():
            fake = self.predict(batch.c)
        real_scores, fake_scores = self.discriminate(batch.x), self.discriminate(fake)
        terms = self.d_adversarial(masked_loss(batch.c[:, -1:]), real_scores, fake_scores)
        if self.cfg.r1:
            # The authors' images are in [0, 1]: their gradient is twice as large, and they do not halve its square.
            terms["r1"] = 8 * self.cfg.r1 * r1(self.critic(), batch.x)
        return terms

    def logits_of(self, output: object) -> Logits:
        logits: Logits = output[0] if isinstance(output, tuple) else output  # type: ignore[assignment]
        return logits


def masked_loss(mask: Tensor) -> Loss:
    """Return the non-saturating loss in which only the hole of a fake counts as fake for D.

    Args:
        mask: (N, 1, H, W), 1 in the hole.
    """

    def d(real: Tensor, fake: Tensor) -> Tensor:
        hole = scaled_mask(mask, fake)
        return F.softplus(-real).mean() + (hole * F.softplus(fake) + (1 - hole) * F.softplus(-fake)).mean()

    def g(real: Tensor | None, fake: Tensor) -> Tensor:
        return F.softplus(-fake).mean()

    return Loss(d, g, (2 * math.log(2), math.log(2)), PAPER, signed=True)


MODEL = Lama
