"""Stabilisers that go with any recipe: one frozen ``Stabilise``, all off by default, and the parts as pure functions.

``ganloom train dcgan DATA --instance-noise 0.1 --label-smoothing 0.1`` or ``ganloom.train("dcgan", ..., pack=2)``;
compose.py puts them on a model. x is a real sample, G(z) a fake, l = D(x) a logit, lambda a part's weight, E a mean.
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
"""T of the consistency terms: mirrored, and shifted by up to an eighth of the side (Zhang et al. 2019, sec. 3.1)."""

LECAM_DECAY = 0.99
"""Of LeCam's anchors, an update of D (Tseng et al. 2021, sec. 3.2)."""


@dataclass(frozen=True)
class Stabilise:
    """What is added to a recipe; each field is one part and stands with its equation and paper."""

    instance_noise: float = 0.0
    """D sees x + s n and G(z) + s n, n normal; s falls in a line from this value to 0 at ``noise_kimg``, in penalties too
    (Sønderby et al. 2016, arXiv:1610.04490)."""
    noise_kimg: float = 100.0
    """Thousands of images after which the instance noise is gone."""
    diff_augment: tuple[str, ...] = ()
    """D sees T(x) and T(G(z)), in G's step too: colour, translation, cutout, flip (Zhao et al. 2020, arXiv:2006.10738)."""
    adaptive: float = 0.0
    """D sees images moved and tinted (blit, geometry and colour of ``ada``) with a chance p that keeps the mean sign of its
    logits on reals here (Karras et al. 2020, arXiv:2006.06676, sec. 3.1; there 0.6); `--augment ada`."""
    adaptive_kimg: float = 500.0
    """With ``adaptive``: thousands of images in which p can cross 0..1."""
    label_smoothing: float = 0.0
    """One-sided: D's target for reals is 1 - s, so that its best answer is log((1 - s) / s) and not infinity; that for
    fakes stays (Salimans et al. 2016, arXiv:1606.03498, sec. 3.4)."""
    pack: int = 1
    """D judges so many samples of a batch as one, D(x_1, ..., x_m), its first layer having m times the channels: it sees
    how varied they are (Lin et al. 2017, arXiv:1712.04086, PacGAN). A gradient penalty still holds each image's own
    gradient."""
    discrimination: int = 0
    """Kernels of minibatch discrimination before D's last layer: o(x_i)_b = sum over j of exp(-|M_ib - M_jb|_1), M = T f(x)
    (Salimans et al. 2016, arXiv:1606.03498, sec. 3.2; `bench modes` has 16)."""
    stddev: int = 0
    """Samples of a group whose mean standard deviation of features D's last layer sees too (Karras et al. 2017,
    arXiv:1710.10196, sec. 3; there 4, as a map before the last convolution, where `default` and `progan` have it)."""
    stddev_maps: int = 1
    """With ``stddev``: so many means, each over its own share of the features."""
    stddev_alike: bool = False
    """With ``stddev``: samples of such a group, real and fake, share a label: D sees how varied each class is."""
    spectral_norm: Literal["none", "D", "G", "both"] = "none"
    """W / sigma(W) in every convolution, linear layer and embedding that has no such norm yet (Miyato et al. 2018,
    arXiv:1802.05957; `norms.Spectral`)."""
    weight_clip: float = 0.0
    """After each update of D its parameters are clipped to [-c, c] (Arjovsky et al. 2017, arXiv:1701.07875; there 0.01)."""
    orthogonal: float = 0.0
    """Weight of the sum of |W W^T (1 - I)|^2 over G's layers in G's loss (Brock et al. 2018, arXiv:1809.11096, eq. 3;
    there 1e-4)."""
    feature_matching: float = 0.0
    """Weight of |E f(x) - E f(G(z))|^2 in G's loss, f the input of D's last layer; the adversarial term stays
    (Salimans et al. 2016, arXiv:1606.03498, sec. 3.1)."""
    historical: float = 0.0
    """Weight of |theta - mean of all past theta|^2 in each network's loss (Salimans et al. 2016, arXiv:1606.03498,
    sec. 3.3); keeps a copy of the weights."""
    cr: float = 0.0
    """Weight of E|D(x) - D(T x)|^2, T a flip and a shift (Zhang et al. 2019, arXiv:1910.12027, eq. 3; there 10)."""
    bcr: float = 0.0
    """Weight of E|D(x) - D(T x)|^2 + E|D(G(z)) - D(T G(z))|^2, in place of ``cr`` (Zhao et al. 2020, arXiv:2002.04724,
    alg. 1, bCR; there 10)."""
    zcr: float = 0.0
    """Weight of E|D(G(z)) - D(G(z + d))|^2 in D's loss, d normal with sd ``zcr_sd`` (Zhao et al. 2020, arXiv:2002.04724,
    alg. 2, zCR; there 5)."""
    zcr_g: float = 0.5
    """With ``zcr``: weight of -E|G(z) - G(z + d)|^2 in G's loss, a mean over values too, which keeps G lively."""
    zcr_sd: float = 0.05
    """With ``zcr``: the standard deviation of d."""
    top_k: float = 1.0
    """G's loss is a mean over its best fakes alone: k falls in a line from the whole batch to this share of it at
    ``top_k_kimg`` (Sinha et al. 2020, arXiv:2002.06224; there 0.5 or 0.75, by 1 per cent an epoch)."""
    top_k_kimg: float = 100.0
    """Thousands of images after which k has come down."""
    lecam: float = 0.0
    """Weight of E[(D(x) - a_fake)^2] + E[(D(G(z)) - a_real)^2], a the running means of D's logits with decay 0.99, kept as
    buffers (Tseng et al. 2021, arXiv:2104.03310, eq. 6; there 0.3 on CIFAR's half)."""
    penalty: Literal["none", "r1", "r2", "zero_centred", "wgan_gp", "wgan_lp", "dragan"] = "none"
    """A gradient penalty of ``ganloom.penalties`` each step, beside those that the recipe has."""
    penalty_weight: float = 1.0
    """Weight of ``penalty``."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, flag = getattr(self, field.name), "--" + field.name.replace("_", "-")
            if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
                raise BadInput(f"{flag} must be finite and not negative, got {value}")
        if self.label_smoothing >= 0.5:
            raise BadInput(f"--label-smoothing must be below 0.5, got {self.label_smoothing}: 0.1 is usual")
        if not 0 < self.top_k <= 1:
            raise BadInput(f"--top-k is a share of the batch in (0, 1], got {self.top_k}")
        if self.adaptive > 1:
            raise BadInput(f"--adaptive is a mean sign in 0..1, got {self.adaptive}: 0.6 is usual")
        if not self.adaptive_kimg > 0:
            raise BadInput(f"--adaptive-kimg must be above 0, got {self.adaptive_kimg}")
        if self.pack < 1:
            raise BadInput(f"--pack must be at least 1, got {self.pack}")
        if self.stddev == 1:
            raise BadInput("--stddev 1 is a group without a spread: 4 is usual")
        if self.stddev_maps < 1:
            raise BadInput(f"--stddev-maps must be at least 1, got {self.stddev_maps}")
        if self.cr and self.bcr:
            raise BadInput("--cr and --bcr both ask for consistency of reals: leave one out")
        check_policy(self.diff_augment, "--diff-augment")

    def on(self) -> list[str]:
        """The fields that switch a part on, in their order."""
        off = Stabilise()
        switches = [f.name for f in dataclasses.fields(self) if f.name not in OF]
        return [name for name in switches if getattr(self, name) != getattr(off, name)]

    def idle(self) -> list[tuple[str, str]]:
        """(field, the part it belongs to) for each that was changed while its part is off."""
        off, on = Stabilise(), self.on()
        return [(f, part) for f, part in OF.items() if getattr(self, f) != getattr(off, f) and part not in on]

    def noise(self, kimg: float) -> float:
        """The instance noise's standard deviation at a time."""
        return 0.0 if kimg >= self.noise_kimg else self.instance_noise * (1 - kimg / self.noise_kimg)

    def share(self, kimg: float) -> float:
        """The share of fakes that top-k keeps at a time."""
        return self.top_k if kimg >= self.top_k_kimg else 1 - (1 - self.top_k) * kimg / self.top_k_kimg


OF = {
    "noise_kimg": "instance_noise", "adaptive_kimg": "adaptive", "zcr_g": "zcr", "zcr_sd": "zcr", "top_k_kimg": "top_k",
    "penalty_weight": "penalty", "stddev_maps": "stddev", "stddev_alike": "stddev",
}  # fmt: skip
"""Fields that say more about another one's part."""


# --------------------------------------------------------------------------------------------------- the parts' formulas


def packed(x: Tensor, pack: int) -> Tensor:
    """Neighbours joined along the channels: (N, C, ...) -> (N / pack, pack x C, ...)."""
    if len(x) % pack:
        raise BadInput(f"--pack {pack} needs batches that are multiples of it, got {len(x)}: change --batch-size")
    return x.reshape(len(x) // pack, pack * x.shape[1], *x.shape[2:])


def matched(real: Tensor, fake: Tensor) -> Tensor:
    """|E f(x) - E f(G(z))|^2 of features (N, F)."""
    return (real.flatten(1).mean(0) - fake.flatten(1).mean(0)).square().sum()


def consistent(logits: Tensor, other: Tensor) -> Tensor:
    """E|D(x) - D(x')|^2 of two sets of logits of equal shape."""
    return (logits - other).square().mean()


def away(weights: list[Tensor], means: list[Tensor]) -> Tensor:
    """|theta - mean|^2 over all tensors; its gradient is 2 (theta - mean)."""
    return torch.stack([(w - m).square().sum() for w, m in zip(weights, means, strict=True)]).sum()
