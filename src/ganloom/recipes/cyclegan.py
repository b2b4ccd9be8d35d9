"""CycleGAN. "Unpaired Image-to-Image Translation using Cycle-Consistent ...", Zhu et al. 2017, arXiv:1703.10593.

y is an image of domain A, x one of domain B; they are not a pair. G has two networks, ab and ba; D has a and b.
G: (D_b(ab(y)) - 1)^2 + (D_a(ba(x)) - 1)^2                                                         (eq. 1, sec. 4)
   + lambda (|ba(ab(y)) - y|_1 + |ab(ba(x)) - x|_1), lambda = 10                                   (eq. 2)
   + lambda i (|ab(x) - x|_1 + |ba(y) - y|_1), i = 0.5                                             (sec. 5.2, the code's default)
D: ((D_b(x) - 1)^2 + D_b(old fake of B)^2) / 2, and the same for a; fakes come from a history of 50 (sec. 4)
Residual generators with InstanceNorm and reflection padding, 70 x 70 patches, weights N(0, 0.02), Adam 2e-4 with beta1 0.5,
batch 1, 100 epochs at a constant learning rate and 100 epochs in which it falls to 0.

About: CycleGAN learns to translate between two domains from two unpaired sets of images: an image that is translated and
translated back must equal itself. New compared with pix2pix is this cycle, which replaces the missing target image. Use it
if you have no pairs and the change is one of colour and texture rather than of shape. Watch for hidden information: a
cycle can be satisfied by faint patterns that no eye sees, and a consistent mapping can still turn objects into their
opposite. It was published in 2017 and is among the most used of all GANs; CUT does one direction with one generator at half
of the cost.

Departures from the paper: images are enlarged by 286 / 256 and cropped, as in the authors' code; mirroring is a data flag
(``--flip``); below 128 pixels G has 6 blocks, as at 128, and the patches are smaller, so that at least one logit is left.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Rng, Terms, linear
from ganloom.losses import least_squares
from ganloom.networks.translators import NORMS, PatchGAN, ResNet, patch_layers
from ganloom.nn.image_pool import Pool
from ganloom.recipes.base.translator import Translator, TranslatorConfig

TITLE = "CycleGAN: two domains without pairs"
PAPER = "Zhu et al. 2017, arXiv:1703.10593"
DATA = "horse2zebra, maps, facades at 256 px"
KIMG = 267.0  # default length of a run, thousands of images: horse2zebra, 200 epochs of 1,334


@dataclass(frozen=True)
class Config(TranslatorConfig):
    """The paper's hyperparameters."""

    blocks: int = 0
    """Number of residual blocks per generator, at most 32; 0: 9 from 256 pixels, 6 below (appendix 7.2)."""
    norm: str = "instance"
    """Normalization: instance, batch or none."""
    dropout: bool = False
    """Use dropout in the residual blocks (as in early models of the authors' code)."""
    cycle: float = 10.0
    """Weight of the cycle loss (lambda)."""
    identity: float = 0.5
    """Weight of the identity loss, as a share of lambda; 0: off."""
    pool: int = 50
    """Fakes in each history; 0: D sees only the newest fakes."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999), schedule=linear(133.5, 267.0))
    """Optimizer of both generators; the learning rate falls to 0 over the second half of 267 kimg."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999), schedule=linear(133.5, 267.0))
    """Optimizer of both discriminators, with the same schedule."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm not in NORMS:
            raise BadInput(f"--norm must be one of {', '.join(NORMS)}, got {self.norm!r}")
        if self.identity and self.in_channels != self.shape[0]:
            raise BadInput(
                f"--identity must be 0 for domains of {self.in_channels} and {self.shape[0]} channels; got {self.identity}"
            )
        if not 0 <= self.blocks <= 32 or self.pool < 0:
            raise BadInput(f"--blocks must be in 0..32 and --pool at least 0, got {self.blocks} and {self.pool}")


class CycleGAN(Translator):
    """Two generators that are inverse to each other, and a discriminator for each domain."""

    both_ways = True

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.splits_by = None if cfg.norm == "batch" else 1
        (out, h, w), blocks = cfg.shape, cfg.blocks or (9 if min(cfg.shape[1:]) >= 256 else 6)
        nets = {"ab": (cfg.in_channels, out), "ba": (out, cfg.in_channels)}
        self.G = nn.ModuleDict(
            {k: ResNet(*ends, blocks, cfg.width, norm=cfg.norm, dropout=cfg.dropout) for k, ends in nets.items()}
        )
        layers = patch_layers(h, w, cfg.layers)
        sides = {"a": cfg.in_channels, "b": out}
        self.D = nn.ModuleDict({k: PatchGAN(n, cfg.d_width, layers, norm=cfg.norm) for k, n in sides.items()})
        self.pool_a, self.pool_b = Pool(cfg.pool, (cfg.in_channels, h, w)), Pool(cfg.pool, (out, h, w))

    def phases(self) -> list[Phase]:
        return [Phase("G", self.g_loss), Phase("D", self.d_loss)]  # G first: D sees the fakes of this step

    def way(self, reverse: bool = False) -> nn.Module:
        """Return the network from domain A to B; with ``reverse`` the one from B to A."""
        net: nn.Module = self.G["ba" if reverse else "ab"]
        return net

    def draw(self, data: object, rng: Rng) -> Batch:
        self.pool_a.clear()
        self.pool_b.clear()
        batch = super().draw(data, rng)
        assert isinstance(batch, Batch)
        return batch

    def g_loss(self, batch: Batch) -> Terms:
        a, b, cfg = batch.y, batch.x, self.cfg
        assert a is not None
        (fake_b, same_b), (fake_a, same_a) = self._translated(a, b), self._translated(b, a, back=True)
        self.pool_a.push(fake_a)
        self.pool_b.push(fake_b)
        to_b = self.g_adversarial(least_squares, self.discriminate(fake_b, net="D.b"), reals=(b,))
        to_a = self.g_adversarial(least_squares, self.discriminate(fake_a, net="D.a"), reals=(a,))
        terms = {name: to_b[name] + to_a[name] for name in to_b}
        cycle = (self.back(fake_b) - a).abs().mean() + (self.direct(fake_a) - b).abs().mean()
        terms["cycle"] = cfg.cycle * cycle
        if cfg.identity:
            same = (same_b - b).abs().mean() + (same_a - a).abs().mean()
            terms["identity"] = cfg.cycle * cfg.identity * same
        return terms | self.perceptual_terms((fake_b, a), (fake_a, b))

    def _translated(self, x: Tensor, target: Tensor, back: bool = False) -> tuple[Tensor, Tensor]:
        """Translate x and, if the identity loss is on, apply the same generator to images of its target domain."""
        translate = self.back if back else self.direct
        if not self.cfg.identity:
            return translate(x), target
        if self.cfg.norm == "batch":  # keep the batch statistics of the two domains apart
            return translate(x), translate(target)
        fake, same = translate(torch.cat([x, target])).chunk(2)
        return fake, same

    def d_loss(self, batch: Batch) -> Terms:
        a, b = batch.y, batch.x
        assert a is not None
        n, terms = len(b), Terms()
        for name, real, other, pool in (("a", a, b, self.pool_a), ("b", b, a, self.pool_b)):
            fake = pool.pull(n)
            if fake is None:  # D's loss was called without G's loss before it
                with torch.no_grad():
                    fake = self.back(other) if name == "a" else self.direct(other)
            fake = pool.mix(fake, self.rand(n, 2))
            net = f"D.{name}"
            scores = self.discriminate(real, net=net), self.discriminate(fake, net=net)
            terms |= self.d_terms(least_squares, *scores, name)
        return terms


MODEL = CycleGAN
