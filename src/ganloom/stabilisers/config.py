"""The settings of the stabilisers, which work with any recipe, and their formulas.

Set them by ``ganloom train dcgan DATA --instance-noise 0.1 --label-smoothing 0.1`` or ``ganloom.train("dcgan", ..., pack=2)``.
All are off by default. ``stabilisers/apply.py`` adds them to a model.

Notation: x is a real sample, G(z) a fake, D(x) a logit, E a mean.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganloom.augment.diffaugment import check_policy
from ganloom.core.errors import BadInput

CONSISTENT = ("flip", "translation")
"""T of the consistency terms: a flip, and a shift by up to an eighth of the side (Zhang et al. 2019, sec. 3.1)."""

LECAM_DECAY = 0.99
"""Decay of LeCam's anchors per update of D (Tseng et al. 2021, sec. 3.2)."""


@dataclass(frozen=True)
class Stabilise:
    """Settings of the stabilisers. Each field describes one of them, with its equation and paper."""

    instance_noise: float = 0.0
    """Standard deviation s of normal noise n on the inputs of D, x + s n and G(z) + s n, in penalties too. It decreases
    linearly to 0 at ``noise_kimg`` (Sønderby et al. 2016, arXiv:1610.04490)."""
    noise_kimg: float = 100.0
    """With ``instance_noise``: thousands of images after which the noise is 0."""
    diff_augment: tuple[str, ...] = ()
    """DiffAugment: D sees T(x) and T(G(z)), in G's step too. T is any of colour, translation, cutout and flip (Zhao et al.
    2020, arXiv:2006.10738)."""
    adaptive: float = 0.0
    """Target for the mean sign of D's logits on reals. ADA (blit, geometry and colour) augments the inputs of D with a
    probability p that is adapted to the target (Karras et al. 2020, arXiv:2006.06676, sec. 3.1; the paper uses 0.6). Also
    set by `--augment ada`."""
    adaptive_kimg: float = 500.0
    """With ``adaptive``: thousands of images in which p can change from 0 to 1."""
    label_smoothing: float = 0.0
    """One-sided label smoothing s: D's target for reals is 1 - s, so its optimal logit is log((1 - s) / s) and not infinity.
    The target for fakes does not change (Salimans et al. 2016, arXiv:1606.03498, sec. 3.4)."""
    pack: int = 1
    """Number of samples m that D judges together, D(x_1, ..., x_m), with m times the input channels, so it sees their variety
    (Lin et al. 2017, arXiv:1712.04086, PacGAN). A gradient penalty still applies to the gradient of each image."""
    discrimination: int = 0
    """Number of kernels of minibatch discrimination before D's last layer, o(x_i)_b = sum over j of exp(-|M_ib - M_jb|_1),
    M = T f(x) (Salimans et al. 2016, arXiv:1606.03498, sec. 3.2; `bench modes` uses 16)."""
    stddev: int = 0
    """Group size of the minibatch standard deviation: D's last layer also gets the mean standard deviation of the features in
    the group (Karras et al. 2017, arXiv:1710.10196, sec. 3). The paper uses 4, as a map before the last convolution, as
    `default` and `progan` do."""
    stddev_maps: int = 1
    """With ``stddev``: number of means, each over its own share of the features."""
    stddev_alike: bool = False
    """With ``stddev``: all samples of a group, real and fake, have the same label, so D sees the variety within each class."""
    spectral_norm: Literal["none", "D", "G", "both"] = "none"
    """Spectral norm, W / sigma(W), in every convolution, linear layer and embedding that does not have it yet (Miyato et al.
    2018, arXiv:1802.05957; `norms.Spectral`)."""
    weight_clip: float = 0.0
    """Clip all parameters of D to [-c, c] after each update of D (Arjovsky et al. 2017, arXiv:1701.07875; the paper uses
    0.01)."""
    orthogonal: float = 0.0
    """Weight of orthogonal regularization in G's loss, the sum of |W W^T (1 - I)|^2 over G's layers (Brock et al. 2018,
    arXiv:1809.11096, eq. 3; the paper uses 1e-4)."""
    feature_matching: float = 0.0
    """Weight of feature matching in G's loss, |E f(x) - E f(G(z))|^2, where f is the input of D's last layer. The adversarial
    term stays (Salimans et al. 2016, arXiv:1606.03498, sec. 3.1)."""
    historical: float = 0.0
    """Weight of historical averaging in each network's loss, |theta - mean of all past theta|^2. It stores a copy of the
    weights (Salimans et al. 2016, arXiv:1606.03498, sec. 3.3)."""
    cr: float = 0.0
    """Weight of consistency regularization in D's loss, E|D(x) - D(T x)|^2, where T is a random flip and shift (Zhang et al.
    2019, arXiv:1910.12027, eq. 3; the paper uses 10)."""
    bcr: float = 0.0
    """Weight of balanced consistency regularization (bCR) in D's loss, E|D(x) - D(T x)|^2 + E|D(G(z)) - D(T G(z))|^2; it
    replaces ``cr`` (Zhao et al. 2020, arXiv:2002.04724, alg. 1; the paper uses 10)."""
    zcr: float = 0.0
    """Weight of latent consistency regularization (zCR) in D's loss, E|D(G(z)) - D(G(z + d))|^2, where d is normal with
    standard deviation ``zcr_sd`` (Zhao et al. 2020, arXiv:2002.04724, alg. 2; the paper uses 5)."""
    zcr_g: float = 0.5
    """With ``zcr``: weight of -E|G(z) - G(z + d)|^2 in G's loss, averaged over all values. It keeps G sensitive to z."""
    zcr_sd: float = 0.05
    """With ``zcr``: the standard deviation of d."""
    top_k: float = 1.0
    """Share of the fakes, the best ones, that G's loss is averaged over. It decreases linearly from the whole batch to this
    value at ``top_k_kimg`` (Sinha et al. 2020, arXiv:2002.06224; the paper uses 0.5 or 0.75 and 1 per cent per epoch)."""
    top_k_kimg: float = 100.0
    """With ``top_k``: thousands of images after which the share has its final value."""
    lecam: float = 0.0
    """Weight of the LeCam regularizer in D's loss, E[(D(x) - a_fake)^2] + E[(D(G(z)) - a_real)^2], where a are running means
    of D's logits with decay 0.99, stored as buffers (Tseng et al. 2021, arXiv:2104.03310, eq. 6; the paper uses 0.3 on half
    of CIFAR)."""
    penalty: Literal["none", "r1", "r2", "zero_centred", "wgan_gp", "wgan_lp", "dragan"] = "none"
    """A gradient penalty of ``ganloom.penalties`` at each step, in addition to those of the recipe."""
    penalty_weight: float = 1.0
    """With ``penalty``: its weight."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, flag = getattr(self, field.name), "--" + field.name.replace("_", "-")
            if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
                raise BadInput(f"{flag} must be finite and not negative, got {value}")
        if self.label_smoothing >= 0.5:
            raise BadInput(f"--label-smoothing must be below 0.5, got {self.label_smoothing}. 0.1 is usual")
        if not 0 < self.top_k <= 1:
            raise BadInput(f"--top-k must be a share of the batch in (0, 1], got {self.top_k}")
        if self.adaptive > 1:
            raise BadInput(f"--adaptive must be a mean sign in [0, 1], got {self.adaptive}. 0.6 is usual")
        if not self.adaptive_kimg > 0:
            raise BadInput(f"--adaptive-kimg must be above 0, got {self.adaptive_kimg}")
        if self.pack < 1:
            raise BadInput(f"--pack must be at least 1, got {self.pack}")
        if self.stddev == 1:
            raise BadInput(
                "--stddev 1 has no effect, because one sample has no standard deviation. Use at least 2; 4 is usual"
            )
        if self.stddev_maps < 1:
            raise BadInput(f"--stddev-maps must be at least 1, got {self.stddev_maps}")
        if self.cr and self.bcr:
            raise BadInput("--cr and --bcr both regularize the consistency of reals. Omit one")
        check_policy(self.diff_augment, "--diff-augment")

    def on(self) -> list[str]:
        """Return the names of the fields that switch a stabiliser on, in order."""
        off = Stabilise()
        switches = [f.name for f in dataclasses.fields(self) if f.name not in ADJUSTS]
        return [name for name in switches if getattr(self, name) != getattr(off, name)]

    def idle(self) -> list[tuple[str, str]]:
        """Return (field, its stabiliser) for each changed field whose stabiliser is off."""
        off, on = Stabilise(), self.on()
        return [(f, part) for f, part in ADJUSTS.items() if getattr(self, f) != getattr(off, f) and part not in on]

    def noise(self, kimg: float) -> float:
        """Return the standard deviation of the instance noise after ``kimg`` thousand images."""
        return 0.0 if kimg >= self.noise_kimg else self.instance_noise * (1 - kimg / self.noise_kimg)

    def share(self, kimg: float) -> float:
        """Return the share of the fakes that top-k keeps after ``kimg`` thousand images."""
        return self.top_k if kimg >= self.top_k_kimg else 1 - (1 - self.top_k) * kimg / self.top_k_kimg


ADJUSTS = {
    "noise_kimg": "instance_noise", "adaptive_kimg": "adaptive", "zcr_g": "zcr", "zcr_sd": "zcr", "top_k_kimg": "top_k",
    "penalty_weight": "penalty", "stddev_maps": "stddev", "stddev_alike": "stddev",
}  # fmt: skip
"""Fields that adjust a stabiliser, and the field that switches it on."""


# ------------------------------------------------------------------------------------------------------------- formulas


def packed(x: Tensor, pack: int) -> Tensor:
    """Join ``pack`` neighbours along the channels: (N, C, ...) -> (N / pack, pack x C, ...)."""
    if len(x) % pack:
        raise BadInput(
            f"--pack {pack} needs a batch size that is a multiple of {pack}, got {len(x)}. Change --batch-size"
        )
    return x.reshape(len(x) // pack, pack * x.shape[1], *x.shape[2:])


def matched(real: Tensor, fake: Tensor) -> Tensor:
    """Return |E f(x) - E f(G(z))|^2 for features (N, F)."""
    return (real.flatten(1).mean(0) - fake.flatten(1).mean(0)).square().sum()


def consistent(logits: Tensor, other: Tensor) -> Tensor:
    """Return E|D(x) - D(x')|^2 for two tensors of logits of equal shape."""
    return (logits - other).square().mean()


def squared_distance(weights: list[Tensor], means: list[Tensor]) -> Tensor:
    """Return |theta - mean|^2 over all tensors; its gradient is 2 (theta - mean)."""
    return torch.stack([(w - m).square().sum() for w, m in zip(weights, means, strict=True)]).sum()
