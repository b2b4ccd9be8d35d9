"""UNIT. "Unsupervised Image-to-Image Translation Networks", Liu, Breuel & Kautz 2017, arXiv:1703.00848.

y is an image of domain A, x one of B. Two autoencoders, E_a and G_a, E_b and G_b, have one latent space: the last residual
block of the encoders is one layer, and so is the first of the decoders. z = E(.) + N(0, 1), so that q(z | x) = N(E(x), I).
G: l0 (softplus(-D_b(G_b(z_y))) + softplus(-D_a(G_a(z_x))))                                        (eq. 4, 5)
   + l1 (E_a(y)^2 + E_b(x)^2) + l2 (|G_a(z_y) - y|_1 + |G_b(z_x) - x|_1)                           (eq. 2, 3)
   + l3 (E_b(G_b(z_y))^2 + E_a(G_a(z_x))^2) + l4 (the same |.|_1, there and back)                  (eq. 6, 7)
D: l0 (softplus(-D(real)) + softplus(D(fake))), for each domain; means over places throughout
l0 = 10, l1 = l3 = 0.1, l2 = l4 = 100 (sec. 4), Adam 1e-4 with beta1 0.5 and weight decay 1e-4, batch 1. Residual blocks with
InstanceNorm on a quarter of the size, LeakyReLU, one D a domain. ``translate`` takes z at its mean.
``--variant released``: the code of 2018 (that of MUNIT). No layer is shared, and only the losses tie the latents; InstanceNorm
throughout and layer norm on the way up, reflected borders, nearest-neighbour doubling; least squares on three scales;
l0 = 1, l1 = l3 = 0.01, l2 = l4 = 10.

About: Two domains without pairs, as with CycleGAN, by another thought: corresponding images have one latent, which either
decoder can show. New is that the cycle follows from shared layers and from a latent that noise has blurred, so that nothing
can be hidden in faint patterns. Use it in CycleGAN's place where the domains have their high-level structure in common, or
where the latent itself is wanted. Watch the reconstruction: where it is blurred, translations are too. Of 2017, it led to
MUNIT, which parts the latent into content and style, and so to translators with many answers.

Departures from the paper: blocks have 4 * width channels as in the authors' code, where the paper's table says 512; squares
of the latent are means without the 1/2 of a divergence, and D has halvings and a 1x1 layer, as in that code; fewer halvings
where the image is too small; images are enlarged by 1.2 and cut as there, mirroring is the data's own flag (``--flip``);
the released code's perceptual term is ``--perceptual``, off by default and over any net in place of its VGG; its rate,
halved each 100 kimg, is ``--g-opt.schedule``'s to give.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.losses import least_squares, nonsaturating
from ganloom.networks.translators import grown
from ganloom.networks.unit import Critic, Part, decoder, encoder, middle
from ganloom.nn.layers import crop
from ganloom.recipes.base.translator import Translator, TranslatorConfig

TITLE = "UNIT: two domains without pairs, one latent"
PAPER = "Liu et al. 2017, arXiv:1703.00848"
DATA = "street scenes, animals, faces at 216 to 640 px"
KIMG = 500.0  # the length of a run that does not say its own, thousands of images: the first code's 500,000 iterations


class Weights(NamedTuple):
    """What the terms of G's loss are multiplied by."""

    adv: float
    recon: float
    kl: float
    cycle: float
    cycle_kl: float


WEIGHTS = {"paper": Weights(10.0, 100.0, 0.1, 100.0, 0.1), "released": Weights(1.0, 10.0, 0.01, 10.0, 0.01)}


@dataclass(frozen=True)
class Config(TranslatorConfig):
    """The paper's numbers; None is the variant's own."""

    variant: Literal["paper", "released"] = "paper"
    """paper: shared layers, as published; released: none, as in the code of 2018, whose weights can be imported."""
    blocks: int = 4
    """Residual blocks of an encoder, and of a decoder, the shared ones among them."""
    shared: int | None = None
    """Blocks of the encoders, and of the decoders, that both domains share; None: 1, or none with released."""
    layers: int = 0
    """Halvings of D; 0: 6, or 4 with released."""
    scales: int | None = None
    """Sizes at which D looks, each half of the last; None: 1, or 3 with released."""
    adv: float | None = None
    """Weight of the adversarial terms (l0); None: 10, or 1 with released."""
    recon: float | None = None
    """Weight of the reconstruction (l2); None: 100, or 10 with released."""
    kl: float | None = None
    """Weight of the latent's square (l1); None: 0.1, or 0.01 with released."""
    cycle: float | None = None
    """Weight of the reconstruction there and back (l4); None: as ``recon``'s."""
    cycle_kl: float | None = None
    """Weight of the square of a translation's latent (l3); None: as ``kl``'s."""
    jitter: float = 1.2
    """How much larger images are before a part is cut out at random; 1: not."""
    g_opt: Adam = Adam(1e-4, betas=(0.5, 0.999), weight_decay=1e-4)
    """Optimizer of encoders and decoders."""
    d_opt: Adam = Adam(1e-4, betas=(0.5, 0.999), weight_decay=1e-4)
    """Optimizer of both discriminators."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.blocks <= 32 or not 0 <= self.sharing <= self.blocks:
            raise BadInput(f"--blocks lies in 1..32 and --shared in 0..blocks, got {self.blocks} and {self.sharing}")
        if self.scales is not None and not 1 <= self.scales <= 5:
            raise BadInput(f"--scales must lie in 1..5, got {self.scales}")

    @property
    def sharing(self) -> int:
        """Shared blocks on either side of the latent."""
        return int(self.variant == "paper") if self.shared is None else self.shared

    @property
    def weights(self) -> Weights:
        """Those given, else the variant's."""
        usual = WEIGHTS[self.variant]
        said = {name: getattr(self, name) for name in usual._fields}
        said["cycle"] = self.recon if self.cycle is None else self.cycle
        said["cycle_kl"] = self.kl if self.cycle_kl is None else self.cycle_kl
        return usual._replace(**{name: value for name, value in said.items() if value is not None})


class UNIT(Translator):
    """Two variational autoencoders with one latent, and a discriminator for each domain."""

    both_ways = True

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.released = cfg.variant == "released"
        self.loss = least_squares if self.released else nonsaturating
        shapes = {"a": (cfg.in_channels, *cfg.shape[1:]), "b": cfg.shape}
        own, shared = cfg.blocks - cfg.sharing, cfg.sharing
        self.G = nn.ModuleDict()
        for name, made in (("encode", encoder), ("decode", decoder)):
            parts = {side: made(shape[0], cfg.width, own, self.released) for side, shape in shapes.items()}
            self.G[name] = nn.ModuleDict({**parts, "shared": middle(cfg.width, shared, self.released)})
        layers = cfg.layers or (4 if self.released else 6)
        scales = cfg.scales or (3 if self.released else 1)
        self.D = nn.ModuleDict(
            {side: Critic(shape, cfg.d_width, layers, scales, self.released) for side, shape in shapes.items()}
        )

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    def way(self, reverse: bool = False) -> nn.Module:
        """Domain A to B, or back, by the latent's mean."""
        here, there = ("b", "a") if reverse else ("a", "b")
        encode, decode = self.G["encode"], self.G["decode"]
        return Part(encode[here], encode["shared"], decode["shared"], decode[there])

    def encode(self, x: Tensor, side: str) -> Tensor:
        """Images of domain ``side`` to the latent's mean, (N, 4 * width, H / 4, W / 4)."""
        net = self.G["encode"]
        mean: Tensor = net["shared"](net[side](grown(x, Part.multiple)))
        return mean

    def decode(self, z: Tensor, side: str) -> Tensor:
        """Latents to images of domain ``side``, of the size of training."""
        net = self.G["decode"]
        return crop(net[side](net["shared"](z)), *self.cfg.shape[1:])

    def drawn(self, mean: Tensor) -> Tensor:
        """Latents of that mean and of variance 1."""
        return mean + self.randn(*mean.shape)

    def d_loss(self, batch: Batch) -> Terms:
        a, b = batch.y, batch.x
        assert a is not None
        with torch.no_grad():
            fake_b = self.decode(self.drawn(self.encode(a, "a")), "b")
            fake_a = self.decode(self.drawn(self.encode(b, "b")), "a")
        terms = Terms()
        for side, real, fake in (("a", a, fake_a), ("b", b, fake_b)):
            scores = self.discriminate(real, net=f"D.{side}"), self.discriminate(fake, net=f"D.{side}")
            terms |= self.d_adversarial(self.loss, *scores, weight=self.cfg.weights.adv, side=side)
        return terms

    def g_loss(self, batch: Batch) -> Terms:
        a, b, weights = batch.y, batch.x, self.cfg.weights
        assert a is not None
        terms = {name: torch.zeros((), device=b.device) for name in weights._fields}
        pairs = []
        for x, here, there in ((a, "a", "b"), (b, "b", "a")):
            mean = self.encode(x, here)
            z = self.drawn(mean)
            fake = self.decode(z, there)
            mean_again = self.encode(fake, there)
            again = self.decode(self.drawn(mean_again), here)
            scores, reals = self.discriminate(fake, net=f"D.{there}"), (b if there == "b" else a,)
            terms["adv"] = terms["adv"] + self.g_adversarial(self.loss, scores, reals=reals, weight=weights.adv)["adv"]
            found = {
                "recon": (self.decode(z, here) - x).abs().mean(),
                "kl": mean.square().mean(),
                "cycle": (again - x).abs().mean(),
                "cycle_kl": mean_again.square().mean(),
            }
            terms |= {name: terms[name] + getattr(weights, name) * value for name, value in found.items()}
            pairs.append((fake, x))
        return terms | self.perceived(*pairs)


MODEL = UNIT
