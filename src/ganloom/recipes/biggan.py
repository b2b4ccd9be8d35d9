"""BigGAN. "Large Scale GAN Training for High Fidelity Natural Image Synthesis", Brock et al. 2018, arXiv:1809.11096.

D minimises E[max(0, 1 - D(x, c))] + E[max(0, 1 + D(G(z, c), c))], n_critic times for each step of G
G minimises -E[D(G(z, c), c)] + ortho * sum |W W^T (1 - I)|^2 over its weights                                     (eq. 3)

G: residual blocks; the norms of each block receive a part of z and the shared class vector (hierarchical z, shared
embedding). D: projection discriminator. Both have self-attention, orthogonal initialization and spectral norm (sec. 3).
``deep`` selects BigGAN-deep (app. B): bottleneck blocks, each with all of z; the paper then uses width 128 and z_dim 128.

Samples come from the EMA of G. ``truncation`` t below 1 draws z from the normal distribution truncated at a threshold
(sec. 3.1). t is the share of normal numbers within that threshold: 0.954, 0.683, 0.383 and 0.032 give the thresholds 2, 1,
0.5 and 0.04 of figure 2, and 1 gives none. ``standing``: recompute the BatchNorm statistics from this many batches of
such samples (app. D).

About: BigGAN shows what careful scaling does: large batches, wide networks, a class vector shared by all norms, and a
latent that enters at every level. To SAGAN it adds the shared class vector, hierarchical z, orthogonal regularisation and,
for sampling, the truncation of z, which trades variety for fidelity. Use it with labels, many images and large GPUs; on
two CPU cores it only demonstrates that it runs. Watch for collapse late in training: the paper could not avoid it and
stopped early, so keep the best checkpoint. It was published in 2018 and tripled the best Inception score on ImageNet.

Departures from the paper: values beyond the threshold are not drawn again; each value is mapped to the same quantile of
the truncated distribution, so that a seed keeps its image. Models imported from the authors' published generators (``hub``)
follow their rule instead: truncate at 2, then multiply by t. The EMA begins at once and its half-life grows with the run;
BatchNorm statistics are those of one device; without labels there are no class vectors; below 64 px the channels are those
of the CIFAR-10 model in the authors' PyTorch code.
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
KIMG = 2000.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters for ImageNet at 128 px (sec. 3, app. C)."""

    shape: tuple[int, int, int] = (3, 128, 128)
    """Image shape: channels, height, width."""
    n_classes: int = 0
    """Number of classes, taken from labelled data; 0 trains without labels."""
    deep: bool = False
    """Train BigGAN-deep instead of BigGAN (app. B)."""
    z_dim: int = 120
    """Length of the latent vector (app. C: 20 for each of 6 parts); the paper has 128 for BigGAN-deep."""
    c_dim: int = 128
    """Length of the shared class vector (app. C)."""
    width: int = 96
    """Channels of the layer next to the image (table 1); the paper has 128 for BigGAN-deep."""
    smallest: int = 4
    """Smallest side of the coarsest grid, in pixels; 3 gives images of 28 px a third doubling, from 4 px on."""
    d_width: int | None = None
    """The same for D; None: as in G."""
    multiples: tuple[int, ...] = ()
    """Channels of G from the base to the image, in multiples of the width; empty: as in tables 4 to 9."""
    attention: int = 64
    """Grid size at which self-attention is applied (app. B); 0: no attention."""
    d_attention: int | None = None
    """The same for D; None: as in G."""
    d_relu_skip: bool = False
    """Apply ReLU to the skip connection of D's blocks too (as mimicry and PyTorch-StudioGAN do with an in-place ReLU)."""
    hierarchical: bool = True
    """Give each block of G its own part of z (sec. 3), or else only the first layer; BigGAN-deep gives each block all of z."""
    shared: bool = True
    """Share one class vector among all norms of G (sec. 3); off: each norm has its own table."""
    hub: int = 0
    """Number of sets of BatchNorm statistics, evenly spaced by truncation from 0 to 1; 0: one set.
    The generators that the authors published have 51, and a last layer as wide as its input, which this sets too.
    """
    bn_eps: float = 1e-5
    """Epsilon added to the variance in BatchNorm (1e-4 in the published generators)."""
    ortho: float = 1e-4
    """Weight of the orthogonal regularisation of G (sec. 3.1)."""
    n_critic: int = 2
    """Updates of D per update of G (sec. 3)."""
    batch_size: int = 2048
    """Real images per batch (table 1)."""
    ema_kimg: float = 28000.0
    """Half-life of the EMA of G, in thousands of images (app. C: decay 0.9999 per step of two batches)."""
    g_opt: Adam = Adam(5e-5, betas=(0.0, 0.999))
    """Optimizer of G (sec. 3)."""
    d_opt: Adam = Adam(2e-4, betas=(0.0, 0.999))
    """Optimizer of D (sec. 3)."""

    def __post_init__(self) -> None:
        check_classes(self)
        parts = plan_sizes(*self.shape[1:], max(self.smallest, 1))[2] + 1
        if self.multiples and (len(self.multiples) != parts or min(self.multiples) < 1):
            raise BadInput(
                f"--multiples must be {parts} numbers of at least 1 at this image size, got {self.multiples}"
            )
        if not self.shared and (self.deep or self.hierarchical):
            raise BadInput(
                "--no-shared needs --no-hierarchical and excludes --deep: its tables depend on the class only, not on z"
            )
        if self.deep and not self.hierarchical:
            raise BadInput("--no-hierarchical excludes --deep, in which every block uses all of z")
        if self.hub < 0 or self.hub == 1:
            raise BadInput(f"--hub (a number of sets of statistics) must be 0 or at least 2, got {self.hub}")
        if not self.deep and self.hierarchical and self.z_dim < parts:
            raise BadInput(
                f"--z-dim must be at least {parts} at this image size, one number per part, got {self.z_dim}"
            )
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
            smallest=cfg.smallest,
        )  # fmt: skip
        self.D = biggan.Discriminator(
            cfg.shape, cfg.d_width or cfg.width, n_classes=cfg.n_classes, deep=cfg.deep,
            attention=cfg.attention if cfg.d_attention is None else cfg.d_attention, relu_skip=cfg.d_relu_skip,
            smallest=cfg.smallest,
        )  # fmt: skip
        batch_norm_eps(self.G, cfg.bn_eps)

    def g_loss(self, batch: Batch) -> Terms:
        terms = super().g_loss(batch)
        if self.cfg.ortho:
            terms["ortho"] = self.cfg.ortho * penalties.orthogonal(self.G.body)
        return terms

    def sample(self, z: Tensor, c: Tensor | None = None, truncation: float | Tensor = 1.0) -> Tensor:
        """Map latents to images.

        Args:
            z: Latents (N, z_dim).
            c: Labels (N,).
            truncation: Share of normal numbers within the truncation threshold, 0 to 1; 1 and above: no truncation. With
                ``hub``: the factor of z, which is truncated at 2. A tensor stays in the graph, for export.

        Returns:
            Images (N, C, H, W) in [-1, 1].
        """
        if isinstance(truncation, Tensor):
            return self._sample_in_graph(z, c, truncation)
        if self.cfg.hub:  # the rule behind the published statistics: truncate at 2, then scale
            z = truncation * truncated(z, 2.0)
            for norm in self.G.modules():
                if isinstance(norm, StandingBatchNorm):
                    norm.choose(truncation)
        elif truncation < 1:
            z = truncated(z, threshold(truncation))
        out: Tensor = self.G(z, c)
        return out

    def _sample_in_graph(self, z: Tensor, c: Tensor | None, truncation: Tensor) -> Tensor:
        """Sample with the truncation as a tensor of the graph."""
        norms = [m for m in self.G.modules() if isinstance(m, StandingBatchNorm)] if self.cfg.hub else []
        # The share of normal numbers within the threshold, which is 2 for ``hub``.
        share = torch.full_like(truncation, math.erf(math.sqrt(2))) if self.cfg.hub else truncation.clamp(0.0, 1.0)
        cut = inverse_erf(share * torch.erf(z * math.sqrt(0.5))) * math.sqrt(2)
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
        self, n: int = 1, seed: int | None = None, *, truncation: float = 1.0, standing: int = 0, **kwargs: Any
    ) -> Tensor:
        """Generate samples as the base class does.

        Args:
            n: Number of samples.
            seed: Seed of the first sample. None: 0.
            truncation: As in ``sample``.
            standing: Recompute the BatchNorm statistics from this many batches of 64 samples at this truncation; 0: use the
                running statistics.
        """
        if standing < 0:
            raise BadInput(f"standing (a number of batches) must not be negative, got {standing}")
        with sampling.unchanged(self):
            with standing_statistics(self.G) if standing else contextlib.nullcontext():
                for i in range(standing):
                    randomness.seed_all(randomness.key("standing", i))
                    self.sample(self.z(64), self.c(64), truncation)
            return super().generate(n, seed, truncation=truncation, **kwargs)


def threshold(truncation: float) -> float:
    """Return the threshold within which a share ``truncation`` of standard normal numbers lies.

    0 gives 0 and 1 gives infinity, so samples change continuously up to the untruncated ones.
    """
    share = torch.tensor((1 + min(max(truncation, 0.0), 1.0)) / 2, dtype=torch.float64)
    return float(torch.special.ndtri(share))


def truncated(z: Tensor, bound: float) -> Tensor:
    """Map standard normal numbers to the normal distribution truncated at +-bound, by quantiles.

    Args:
        z: Standard normal numbers of any shape.
        bound: The threshold; 0 and below give zeros.
    """
    if bound <= 0:
        return torch.zeros_like(z)
    outside = torch.special.ndtr(torch.tensor(-bound, dtype=torch.float64, device=z.device))
    share = outside + (1 - 2 * outside) * torch.special.ndtr(z.double())
    cut: Tensor = torch.special.ndtri(share)
    return cut.clamp(-bound, bound).to(z.dtype)


CENTRAL = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727,
    1.50140941,
)  # fmt: skip
TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406,
    2.83297682,
)  # fmt: skip


def inverse_erf(x: Tensor) -> Tensor:
    """Return the inverse of erf for -1 < x < 1, to single precision, by sums and products (Giles 2010, table 5)."""
    w = -torch.log((1 - x) * (1 + x))
    return x * torch.where(w < 5, polynomial(CENTRAL, w - 2.5), polynomial(TAIL, w.clamp_min(5.0).sqrt() - 3))


def polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    """Evaluate a polynomial by Horner's rule, highest power first."""
    value = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


MODEL = BigGAN
