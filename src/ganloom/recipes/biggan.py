"""BigGAN. "Large Scale GAN Training for High Fidelity Natural Image Synthesis", Brock et al. 2018, arXiv:1809.11096.

D minimises E[max(0, 1 - D(x, c))] + E[max(0, 1 + D(G(z, c), c))], n_critic times for each step of G
G minimises -E[D(G(z, c), c)] + ortho * sum |W W^T (1 - I)|^2 over its weights                                     (eq. 3)

G: residual blocks, each with a part of z and the class's shared vector in its norms (hierarchical z, shared embedding);
D: projection; self-attention in both; orthogonal start, spectral norm in both (sec. 3). ``deep`` is BigGAN-deep (app. B):
bottleneck blocks, all of z in each; the paper then has width 128 and z_dim 128.

Samples come from G's average. ``truncation`` below 1 draws each number of z from the normal distribution cut at
+-2 truncation (sec. 3.1); ``standing`` batches of such samples give BatchNorm its statistics anew (app. D).

About: Scale, done carefully: large batches, wide networks, classes shared across all norms, and a latent that enters at
every level. To sagan it adds the shared class vector, hierarchical z, orthogonal regularisation and, in sampling, the
truncation of z, which trades variety for fidelity. Use it with labels, many images and real hardware; on two cores it
only shows that it runs. Watch for collapse late in training, which the paper could not avoid and cures by an early
stop, so keep the best checkpoint. It is of 2018, tripled the best Inception score on ImageNet, and showed what scale
does.

Departures from the paper: the truncated z is the quantile of the given one, so that a seed keeps its image; the average
begins at once and grows longer with the run; statistics of BatchNorm are those of one device; without labels the class
vectors fall away; below 64 px the channels are those of the CIFAR-10 model of the authors' PyTorch code.
"""

import contextlib
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganloom import penalties, sampling
from ganloom.core import randomness
from ganloom.core.config import check_classes
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, SampleOptions, Terms
from ganloom.losses import hinge
from ganloom.networks import biggan
from ganloom.nn.layers import plan_sizes
from ganloom.nn.norms import StandingBatchNorm, batch_norm_eps, standing_statistics
from ganloom.recipes.base.adversarial import Adversarial

TITLE = "BigGAN and BigGAN-deep"
PAPER = "Brock et al. 2018, arXiv:1809.11096"
DATA = "ImageNet"
KIMG = 2000.0  # the length of a run that does not say its own, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's numbers for ImageNet at 128 px (sec. 3, app. C)."""

    shape: tuple[int, int, int] = (3, 128, 128)
    """Channels, height, width."""
    n_classes: int = 0
    """Classes; taken from labelled data, 0 trains without labels."""
    deep: bool = False
    """BigGAN-deep in place of BigGAN (app. B)."""
    z_dim: int = 120
    """Numbers in a latent (app. C: 20 for each of 6 parts); 128 for BigGAN-deep."""
    c_dim: int = 128
    """Numbers in the shared vector of a class (app. C)."""
    width: int = 96
    """Channels of the layer next to the image (table 1); 128 for BigGAN-deep."""
    d_width: int | None = None
    """Channels of D; none: as many as G's."""
    multiples: tuple[int, ...] = ()
    """Channels of G from the base to the image, in widths; none: as in tables 4 to 9."""
    attention: int = 64
    """Grid on which attention stands (app. B); 0: none."""
    d_attention: int | None = None
    """Grid on which it stands in D; none: as in G."""
    d_relu_skip: bool = False
    """What D's blocks add is their input behind the ReLU (mimicry and PyTorch-StudioGAN, whose ReLU works in place)."""
    hierarchical: bool = True
    """Each block of G sees a part of z (sec. 3); without it the first layer alone. BigGAN-deep sees all of z in each."""
    shared: bool = True
    """All norms of G share a vector a class (sec. 3); without it each has a table of its own."""
    hub: int = 0
    """As in the generators that the authors published: so many sets of BatchNorm statistics, evenly by truncation from 0 to
    1 (51), and a last layer as wide as its input, of which the image's channels are kept; 0: neither."""
    bn_eps: float = 1e-5
    """Added to the variance in BatchNorm (1e-4 in the published generators)."""
    ortho: float = 1e-4
    """Weight of the orthogonal regularisation of G (sec. 3.1)."""
    n_critic: int = 2
    """Updates of D for one of G (sec. 3)."""
    batch_size: int = 2048
    """Real images a batch (table 1)."""
    ema_kimg: float = 28000.0
    """Half-life of G's average, thousands of images (app. C: decay 0.9999 a step of two batches)."""
    g_opt: Adam = Adam(5e-5, betas=(0.0, 0.999))
    """Optimizer of G (sec. 3)."""
    d_opt: Adam = Adam(2e-4, betas=(0.0, 0.999))
    """Optimizer of D (sec. 3)."""

    def __post_init__(self) -> None:
        check_classes(self)
        parts = plan_sizes(*self.shape[1:])[2] + 1
        if self.multiples and (len(self.multiples) != parts or min(self.multiples) < 1):
            raise BadInput(f"--multiples must be {parts} numbers from 1 at this size, got {self.multiples}")
        if not self.shared and (self.deep or self.hierarchical):
            raise BadInput("--no-shared goes with --no-hierarchical and without --deep: a table's row is a class alone")
        if self.deep and not self.hierarchical:
            raise BadInput("--no-hierarchical is not for --deep, in which every block sees all of z")
        if self.hub < 0 or self.hub == 1:
            raise BadInput(f"--hub counts sets of statistics, 0 or at least 2, got {self.hub}")
        if not self.deep and self.hierarchical and self.z_dim < parts:
            raise BadInput(f"--z-dim must be at least {parts} at this size, one number for each part, got {self.z_dim}")
        if self.ortho < 0:
            raise BadInput(f"--ortho must not be negative, got {self.ortho}")


class BigGAN(Adversarial):
    """BigGAN."""

    splits_by = None  # BatchNorm in G
    sample_options = SampleOptions(truncation=True, standing=True)
    loss = hinge

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = biggan.Generator(
            cfg.shape, cfg.z_dim, cfg.width,
            c_dim=cfg.c_dim, n_classes=cfg.n_classes, attention=cfg.attention, deep=cfg.deep,
            hierarchical=cfg.hierarchical, shared=cfg.shared, multiples=cfg.multiples, hub=cfg.hub,
        )  # fmt: skip
        self.D = biggan.Discriminator(
            cfg.shape, cfg.d_width or cfg.width, n_classes=cfg.n_classes, deep=cfg.deep,
            attention=cfg.attention if cfg.d_attention is None else cfg.d_attention, relu_skip=cfg.d_relu_skip,
        )  # fmt: skip
        batch_norm_eps(self.G, cfg.bn_eps)

    def g_loss(self, batch: Batch) -> Terms:
        terms = super().g_loss(batch)
        if self.cfg.ortho:
            terms["ortho"] = self.cfg.ortho * penalties.orthogonal(self.G.body)
        return terms

    def sample(self, z: Tensor, c: Tensor | None = None, truncation: float | Tensor = 1.0) -> Tensor:
        """Latents (N, z_dim) and labels (N,) to images (N, C, H, W) in [-1, 1].

        A truncation that is a tensor stays a number of the graph, as a file for other runtimes needs it.
        """
        if isinstance(truncation, Tensor):
            return self._sample_in_graph(z, c, truncation)
        if self.cfg.hub:  # the rule by which the published statistics were gathered: cut at 2, then scaled
            z = truncation * truncated(z, 2.0)
            for norm in self.G.modules():
                if isinstance(norm, StandingBatchNorm):
                    norm.choose(truncation)
        elif truncation < 1:
            z = truncated(z, 2 * truncation)
        out: Tensor = self.G(z, c)
        return out

    def _sample_in_graph(self, z: Tensor, c: Tensor | None, truncation: Tensor) -> Tensor:
        norms = [m for m in self.G.modules() if isinstance(m, StandingBatchNorm)] if self.cfg.hub else []
        bound = torch.full_like(truncation, 2.0) if self.cfg.hub else 2 * truncation.clamp_max(1.0)
        cut = inverse_erf(torch.erf(bound * math.sqrt(0.5)) * torch.erf(z * math.sqrt(0.5))) * math.sqrt(2)
        z = truncation * cut if self.cfg.hub else torch.where(truncation < 1, cut, z)
        for norm in norms:
            norm.at = truncation
        try:
            out: Tensor = self.G(z, c)
        finally:
            for norm in norms:
                norm.at = None
        return out

    @torch.no_grad()
    def generate(
        self, n: int = 1, seed: int = 0, *, truncation: float = 1.0, standing: int = 0, **kwargs: Any
    ) -> Tensor:
        """As in the base; ``standing`` batches of 64 samples first give BatchNorm statistics at this truncation."""
        if standing < 0:
            raise BadInput(f"standing counts batches and must not be negative, got {standing}")
        with sampling.unchanged(self):
            with standing_statistics(self.G) if standing else contextlib.nullcontext():
                for i in range(standing):
                    randomness.seed_all(randomness.key("standing", i))
                    self.sample(self.z(64), self.c(64), truncation)
            return super().generate(n, seed, truncation=truncation, **kwargs)


def truncated(z: Tensor, bound: float) -> Tensor:
    """Standard normal numbers to the normal distribution cut at +-bound, by their quantiles; 0 gives 0."""
    if bound <= 0:
        return torch.zeros_like(z)
    inside = torch.special.ndtr(torch.tensor(-bound, dtype=torch.float64, device=z.device))
    share = inside + (1 - 2 * inside) * torch.special.ndtr(z.double())
    cut: Tensor = torch.special.ndtri(share)
    return cut.clamp(-bound, bound).to(z.dtype)


ERFINV = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727,
    1.50140941,
)  # fmt: skip


def inverse_erf(x: Tensor) -> Tensor:
    """The inverse of erf for |x| up to 0.996, to single precision, by plain sums and products (Giles 2010, table 5)."""
    w = -torch.log((1 - x) * (1 + x)) - 2.5
    p = torch.full_like(w, ERFINV[0])
    for coefficient in ERFINV[1:]:
        p = p * w + coefficient
    return p * x


MODEL = BigGAN
