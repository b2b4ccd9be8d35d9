"""UNIT. "Unsupervised Image-to-Image Translation Networks", Liu, Breuel & Kautz 2017, arXiv:1703.00848.

y is an image of domain A, x one of domain B. Two autoencoders, E_a and G_a, E_b and G_b, have one latent space: the encoders
share their last residual block, and the decoders their first one. z = E(.) + N(0, 1), so that q(z | x) = N(E(x), I).
G: l0 (softplus(-D_b(G_b(z_y))) + softplus(-D_a(G_a(z_x))))                                        (eq. 4, 5)
   + l1 (E_a(y)^2 + E_b(x)^2) + l2 (|G_a(z_y) - y|_1 + |G_b(z_x) - x|_1)                           (eq. 2, 3)
   + l3 (E_b(G_b(z_y))^2 + E_a(G_a(z_x))^2) + l4 (the same |.|_1, there and back)                  (eq. 6, 7)
D: l0 (softplus(-D(real)) + softplus(D(fake))), for each domain; all terms are means over positions
l0 = 10, l1 = l3 = 0.1, l2 = l4 = 100 (sec. 4), Adam 1e-4 with beta1 0.5 and weight decay 1e-4, batch 1. Residual blocks with
InstanceNorm at a quarter of the size, LeakyReLU, one D per domain. ``translate`` uses the mean of z.
``--variant released``: the authors' code of 2018 (that of MUNIT). No layer is shared; only the losses tie the latents
together. InstanceNorm throughout, layer norm in the decoder, reflection padding, nearest-neighbour upsampling; least squares
on three scales; l0 = 1, l1 = l3 = 0.01, l2 = l4 = 10.

About: UNIT translates between two unpaired domains, like CycleGAN, with another idea: corresponding images have the same
latent, which either decoder can turn into an image. New is that the cycle follows from shared layers and from a noisy
latent, so that no information can be hidden in faint patterns. Use it instead of CycleGAN if the domains share their
high-level structure, or if you need the latent itself. Watch the reconstruction: if it is blurred, translations are blurred
too. It was published in 2017 and led to MUNIT, which separates the latent into content and style, and so to translation with
several outputs per input.

Departures from the paper: blocks have 4 * width channels as in the authors' code, where the paper's table says 512; the
squares of the latent are means without the factor 1/2 of the divergence, and D has downsamplings and a 1x1 layer, as in that
code; fewer downsamplings if the image is too small; images are enlarged by 1.2 and cropped as in the code; mirroring is a
data flag (``--flip``); the released code's perceptual term is ``--perceptual``, off by default and for any feature network
instead of its VGG; its learning rate, halved every 100 kimg, can be set with ``--g-opt.schedule``.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.losses import least_squares, nonsaturating
from ganloom.networks.translators import pad_to_multiple
from ganloom.networks.unit import Critic, Part, decoder, encoder, middle
from ganloom.nn.layers import crop
from ganloom.recipes.base.translator import Translator, TranslatorConfig

TITLE = "UNIT: two domains without pairs, one latent"
PAPER = "Liu et al. 2017, arXiv:1703.00848"
DATA = "street scenes, animals, faces at 216 to 640 px"
KIMG = 500.0  # default length of a run, thousands of images: the first code's 500,000 iterations


class Weights(NamedTuple):
    """Weights of the terms of G's loss."""

    adv: float
    recon: float
    kl: float
    cycle: float
    cycle_kl: float


WEIGHTS = {"paper": Weights(10.0, 100.0, 0.1, 100.0, 0.1), "released": Weights(1.0, 10.0, 0.01, 10.0, 0.01)}


@dataclass(frozen=True)
class Config(TranslatorConfig):
    """The paper's hyperparameters; None: the default of the variant."""

    variant: Literal["paper", "released"] = "paper"
    """paper: shared layers, as published; released: no shared layers, as in the code of 2018, whose weights can be
    imported.
    """
    blocks: int = 4
    """Residual blocks of an encoder and of a decoder, shared ones included; 1 to 32."""
    shared: int | None = None
    """Residual blocks that both domains share in the encoders, and in the decoders; None: 1, or 0 with released."""
    layers: int = 0
    """Downsamplings of D; 0: 6, or 4 with released."""
    scales: int | None = None
    """Image sizes that D sees, each half of the previous one, 1 to 5; None: 1, or 3 with released."""
    adv: float | None = None
    """Weight of the adversarial terms (l0); None: 10, or 1 with released."""
    recon: float | None = None
    """Weight of the reconstruction (l2); None: 100, or 10 with released."""
    kl: float | None = None
    """Weight of the latent's square (l1); None: 0.1, or 0.01 with released."""
    cycle: float | None = None
    """Weight of the cycle reconstruction (l4); None: as ``recon``."""
    cycle_kl: float | None = None
    """Weight of the square of a translation's latent (l3); None: as ``kl``."""
    jitter: float = 1.2
    """Factor by which images are enlarged before a random crop, 1 to 4; 1: no crop."""
    g_opt: Adam = Adam(1e-4, betas=(0.5, 0.999), weight_decay=1e-4)
    """Optimizer of encoders and decoders."""
    d_opt: Adam = Adam(1e-4, betas=(0.5, 0.999), weight_decay=1e-4)
    """Optimizer of both discriminators."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.blocks <= 32 or not 0 <= self.sharing <= self.blocks:
            raise BadInput(f"--blocks must be in 1..32 and --shared in 0..blocks, got {self.blocks} and {self.sharing}")
        if self.scales is not None and not 1 <= self.scales <= 5:
            raise BadInput(f"--scales must be in 1..5, got {self.scales}")

    @property
    def sharing(self) -> int:
        """Number of shared blocks on either side of the latent."""
        return int(self.variant == "paper") if self.shared is None else self.shared

    @property
    def weights(self) -> Weights:
        """Loss weights: those that are set, else the variant's."""
        defaults = WEIGHTS[self.variant]
        values = {name: getattr(self, name) for name in defaults._fields}
        values["cycle"] = self.recon if self.cycle is None else self.cycle
        values["cycle_kl"] = self.kl if self.cycle_kl is None else self.cycle_kl
        return defaults._replace(**{name: value for name, value in values.items() if value is not None})


class UNIT(Translator):
    """Two variational autoencoders with one latent space, and a discriminator for each domain."""

    both_ways = True

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.released = cfg.variant == "released"
        self.loss = least_squares if self.released else nonsaturating
        shapes = {"a": (cfg.in_channels, *cfg.shape[1:]), "b": cfg.shape}
        own, shared = cfg.blocks - cfg.sharing, cfg.sharing
        self.G = nn.ModuleDict()
        for name, build in (("encode", encoder), ("decode", decoder)):
            parts = {side: build(shape[0], cfg.width, own, self.released) for side, shape in shapes.items()}
            self.G[name] = nn.ModuleDict({**parts, "shared": middle(cfg.width, shared, self.released)})
        layers = cfg.layers or (4 if self.released else 6)
        scales = cfg.scales or (3 if self.released else 1)
        self.D = nn.ModuleDict(
            {side: Critic(shape, cfg.d_width, layers, scales, self.released) for side, shape in shapes.items()}
        )

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    def way(self, reverse: bool = False) -> nn.Module:
        """Return the network from domain A to B, or back with ``reverse``, through the latent's mean."""
        here, there = ("b", "a") if reverse else ("a", "b")
        encode, decode = self.G["encode"], self.G["decode"]
        return Part(encode[here], encode["shared"], decode["shared"], decode[there])

    def encode(self, x: Tensor, side: str) -> Tensor:
        """Map images of domain ``side`` to the latent's mean, (N, 4 * width, H / 4, W / 4)."""
        net = self.G["encode"]
        mean: Tensor = net["shared"](net[side](pad_to_multiple(x, Part.multiple)))
        return mean

    def decode(self, z: Tensor, side: str) -> Tensor:
        """Map latents to images of domain ``side``, at the size used in training."""
        net = self.G["decode"]
        return crop(net[side](net["shared"](z)), *self.cfg.shape[1:])

    def sample_latents(self, mean: Tensor) -> Tensor:
        """Draw latents with this mean and variance 1."""
        return mean + self.randn(*mean.shape)

    def d_loss(self, batch: Batch) -> Terms:
        a, b = batch.y, batch.x
        assert a is not None
        with torch.no_grad():
            fake_b = self.decode(self.sample_latents(self.encode(a, "a")), "b")
            fake_a = self.decode(self.sample_latents(self.encode(b, "b")), "a")
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
            z = self.sample_latents(mean)
            fake = self.decode(z, there)
            mean_again = self.encode(fake, there)
            reconstruction = self.decode(self.sample_latents(mean_again), here)
            scores, reals = self.discriminate(fake, net=f"D.{there}"), (b if there == "b" else a,)
            terms["adv"] = terms["adv"] + self.g_adversarial(self.loss, scores, reals=reals, weight=weights.adv)["adv"]
            unweighted = {
                "recon": (self.decode(z, here) - x).abs().mean(),
                "kl": mean.square().mean(),
                "cycle": (reconstruction - x).abs().mean(),
                "cycle_kl": mean_again.square().mean(),
            }
            terms |= {name: terms[name] + getattr(weights, name) * value for name, value in unweighted.items()}
            pairs.append((fake, x))
        return terms | self.perceptual_terms(*pairs)


MODEL = UNIT
