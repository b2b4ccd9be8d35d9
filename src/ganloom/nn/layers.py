"""Layers that several networks use."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core import randomness
from ganloom.nn import initial_weights


def plan_sizes(height: int, width: int, smallest: int = 4, most: int = 16) -> tuple[int, int, int]:
    """Plan a pyramid of grids that reaches height x width by doublings.

    Args:
        height: Height of the image.
        width: Width of the image.
        smallest: Smallest allowed value for the base's shorter side, if the image allows it.
        most: Largest number of doublings.

    Returns:
        (base height, base width, doublings). If a size is not a multiple of 2^doublings, the top grid is larger than the image
        and the generator crops its centre.
    """
    doublings = max(0, min(most, int(math.log2(max(min(height, width) / smallest, 1)))))
    return -(-height // 2**doublings), -(-width // 2**doublings), doublings


def crop(x: Tensor, height: int, width: int) -> Tensor:
    """Return the centre (N, C, height, width) of x."""
    size = int(x.shape[2]), int(x.shape[3])  # plain numbers in a trace too
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return x if not top and not left and size == (height, width) else x[:, :, top : top + height, left : left + width]


def frame(x: Tensor) -> tuple[Tensor, int]:
    """Pad x by repeating its edges to the top grid of its plan, the inverse of ``crop``; return it and the doublings."""
    height, width = int(x.shape[2]), int(x.shape[3])  # plain numbers in a trace too
    base_h, base_w, doublings = plan_sizes(height, width)
    more_h, more_w = base_h * 2**doublings - height, base_w * 2**doublings - width
    if more_h or more_w:
        x = F.pad(x, (more_w // 2, more_w - more_w // 2, more_h // 2, more_h - more_h // 2), mode="replicate")
    return x, doublings


class Fir(nn.Module):
    """The low-pass filter of StyleGAN2, [1, 3, 3, 1] along both axes (Karras et al. 2019, arXiv:1912.04958, app. B).

    Used where a grid is upsampled or downsampled, it removes frequencies that the coarser grid cannot represent. It is computed
    as one 4x4 depthwise convolution, the fastest form on a CPU; upsampling is its transpose, so no zeros are multiplied.
    """

    kernel: Tensor
    binomial: Tensor | None

    def __init__(self, taps: tuple[float, ...] = (1.0, 3.0, 3.0, 1.0)) -> None:
        super().__init__()
        row = torch.tensor(taps) / sum(taps)
        self.register_buffer("kernel", torch.outer(row, row)[None, None], persistent=False)
        # [1, 3, 3, 1] equals [1, 2, 1] followed by a mean of two, so this filter plus average pooling gives the same.
        rest = torch.tensor([1.0, 2.0, 1.0]) / 4 if taps == (1.0, 3.0, 3.0, 1.0) else None
        self.register_buffer(
            "binomial", None if rest is None else torch.outer(rest, rest)[None, None], persistent=False
        )

    def _kernels(self, x: Tensor, gain: float) -> Tensor:
        return (self.kernel * gain).to(x.dtype).repeat(int(x.shape[1]), 1, 1, 1)

    def forward(self, x: Tensor, padding: int, stride: int = 1, gain: float = 1.0) -> Tensor:
        """Filter x (N, C, H, W) with zero padding, keep every ``stride``-th pixel, and multiply by ``gain``."""
        return F.conv2d(x, self._kernels(x, gain), stride=stride, padding=padding, groups=int(x.shape[1]))

    def doubled(self, x: Tensor) -> Tensor:
        """Upsample (N, C, H, W) to (N, C, 2H, 2W) at equal brightness."""
        return F.conv_transpose2d(x, self._kernels(x, 4.0), stride=2, padding=1, groups=int(x.shape[1]))

    def halved(self, x: Tensor) -> Tensor:
        """Downsample (N, C, H, W) to (N, C, H / 2, W / 2)."""
        if self.binomial is not None and x.device.type == "cpu" and x.dtype == torch.bfloat16:
            # The gradient of a strided depthwise convolution takes ten times as long here as that of these two steps.
            kernels = self.binomial.to(x.dtype).repeat(int(x.shape[1]), 1, 1, 1)
            return F.avg_pool2d(F.conv2d(x, kernels, padding=1, groups=int(x.shape[1])), 2)
        y: Tensor = self(x, padding=1, stride=2)
        return y


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply a 1x1 convolution, (N, C, H, W) -> (N, O, H, W).

    With one channel torch cannot tell channels-last from contiguous layout; its output is then contiguous, which slows down the
    next layers. As a matrix product over positions the output is channels last.
    """
    if x.shape[1] != 1:
        return F.conv2d(x, weight, bias)
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


class UpsampleConv(nn.Conv2d):
    """Nearest-neighbour upsampling followed by a 3x3 convolution, computed as one transposed 4x4 convolution of stride 2.

    (N, C, H, W) -> (N, O, 2H, 2W). Equal to the two steps to about 1e-7, with 4/9 of the multiplications: each output pixel
    depends on only 2x2 source pixels, so taps of the 3x3 kernel that fall on the same source pixel are added first.
    """

    def __init__(self, channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(channels, out_channels, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, 2H, 2W)."""
        return F.conv_transpose2d(x, _spread(self.weight.flip(2, 3)).transpose(0, 1), self.bias, stride=2, padding=1)


class BilinearUpsampleConv(nn.Conv2d):
    """Bilinear upsampling followed by a 3x3 convolution, (N, C, H, W) -> (N, O, 2H, 2W)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, 2H, 2W)."""
        return super().forward(F.interpolate(x, scale_factor=2.0, mode="bilinear"))


class DownsampleConv(nn.Conv2d):
    """A 3x3 convolution followed by a 2x2 mean, computed as one 4x4 convolution of stride 2.

    (N, C, H, W) -> (N, O, H // 2, W // 2), equal to the two steps to about 1e-7.
    """

    def __init__(self, channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(channels, out_channels, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H // 2, W // 2)."""
        return F.conv2d(x, _spread(self.weight) / 4, self.bias, stride=2, padding=1)


def _spread(weight: Tensor) -> Tensor:
    """Correlate a 3x3 kernel (O, C, 3, 3) with 2x2 ones: (O, C, 4, 4)."""
    return (
        F.pad(weight, (1, 0, 1, 0))
        + F.pad(weight, (0, 1, 1, 0))
        + F.pad(weight, (1, 0, 0, 1))
        + F.pad(weight, (0, 1, 0, 1))
    )


class MinibatchStddev(nn.Module):
    """Append the mean standard deviation over groups of samples as maps (Karras et al. 2017, arXiv:1710.10196, sec. 3).

    (N, C, H, W) -> (N, C + maps, H, W). Groups are strided ([i::N/group]), so several processes that take strided slices form
    the same groups as one process.

    Args:
        group: Samples per group. A smaller batch is one group; for other batch sizes groups have their common divisor. 0: the
            whole batch.
        maps: Number of maps; each is the mean over its own C / maps channels.
    """

    def __init__(self, group: int = 4, maps: int = 1) -> None:
        super().__init__()
        self.group, self.maps = group, maps

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + maps, H, W)."""
        n, _, h, w = x.shape
        group = n if n < self.group else math.gcd(n, self.group)
        y = x.float().reshape(group, n // group, -1)
        # On a CPU torch's var over the first axis takes twenty times as long as these two means.
        deviation = ((y - y.mean(0)).square().mean(0) + 1e-8).sqrt().unflatten(1, (self.maps, -1)).mean(2)
        extra = deviation.to(x.dtype).repeat(group, 1)[:, :, None, None].expand(-1, -1, h, w)
        joined = torch.cat([x, extra], 1)
        last = x.is_contiguous(memory_format=torch.channels_last)
        return joined.contiguous(memory_format=torch.channels_last) if last else joined


class MinibatchDiscrimination(nn.Module):
    """Measure how close the other samples of the batch are (Salimans et al. 2016, arXiv:1606.03498, sec. 3.2).

    M_i = T f(x_i), kernels x dims numbers;  o(x_i)_b = sum over j != i of exp(-|M_ib - M_jb|_1);  (N, F) -> (N, kernels).
    For a collapsed batch o is N - 1 everywhere, for a varied one it is close to 0, so D detects collapse in a single pass. The
    paper's sum includes j = i, which adds 1.
    """

    def __init__(self, features: int, kernels: int = 16, dims: int = 4) -> None:
        super().__init__()
        self.kernels = kernels
        self.project = nn.Parameter(torch.randn(features, kernels * dims) / math.sqrt(features))

    def forward(self, h: Tensor) -> Tensor:
        """(N, F) -> (N, kernels)."""
        m = (h @ self.project.to(h.dtype)).float().unflatten(1, (self.kernels, -1))
        distances = (m[:, None] - m[None]).abs().sum(3)
        near: Tensor = (-distances).exp().sum(1) - 1
        return near.to(h.dtype)


def normal_init(module: nn.Module, sd: float = 0.02) -> None:
    """Initialize weights with N(0, sd), norm gains with N(1, sd), biases with 0 (Radford et al. 2015, arXiv:1511.06434,
    sec. 4).
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            initial_weights.normal(layer.weight, 0.0, sd)
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d) and layer.affine:
            initial_weights.normal(layer.weight, 1.0, sd)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def one_hot(c: Tensor, classes: int) -> Tensor:
    """Convert labels (N,) int64 to (N, classes) float32; an input (N, classes) is returned unchanged."""
    return F.one_hot(c, classes).float() if c.dim() == 1 else c


def label_maps(c: Tensor, classes: int, like: Tensor) -> Tensor:
    """Convert labels to constant maps (N, classes, H, W) of the size of ``like``, to be concatenated with an image."""
    return one_hot(c, classes).to(like.dtype)[:, :, None, None].expand(-1, -1, *like.shape[2:])


class SelfAttention(nn.Module):
    """x + gamma * o(attention(x)), gamma from 0 (Zhang et al. 2018, arXiv:1805.08318, eq. 1 to 3).

    Queries come from each pixel (1x1 convolution to C / 8), keys (C / 8) and values (C / 2) from the downsampled image, as in
    the authors' code. (N, C, H, W) -> (N, C, H, W). Written out explicitly, because a penalty needs second derivatives.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner, values = max(channels // 8, 1), max(channels // 2, 1)
        self.query = nn.Conv2d(channels, inner, 1, bias=False)
        self.key = nn.Conv2d(channels, inner, 1, bias=False)
        self.value = nn.Conv2d(channels, values, 1, bias=False)
        self.out = nn.Conv2d(values, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        query, key, value = self.query(x), self.key(x), self.value(x)
        if min(x.shape[2:]) > 1:
            key, value = F.max_pool2d(key, 2), F.max_pool2d(value, 2)
        weights = torch.softmax(query.flatten(2).transpose(1, 2) @ key.flatten(2), 2)
        attended = (weights @ value.flatten(2).transpose(1, 2).to(weights.dtype)).transpose(1, 2)
        out: Tensor = self.out(attended.unflatten(2, x.shape[2:]))
        return x + (self.gamma * out).to(x.dtype)


def attention_level(height: int, width: int, grid: int, smallest: int = 4) -> int:
    """Return the doublings before attention: up to the finest grid with a shorter side of at most ``grid``; 0: nowhere.

    The image's own grid is excluded: attention over all pixels costs more than the rest of the network.
    """
    base_h, base_w, doublings = plan_sizes(height, width, smallest)
    return max((i for i in range(1, doublings) if min(base_h, base_w) * 2**i <= grid), default=0)


class SkipExcitation(nn.Module):
    """Scale the channels of a fine grid by weights from a coarse one (Liu et al. 2021, arXiv:2101.04775, eq. 1).

    coarse (N, C, h, w), fine (N, O, H, W) -> fine * sigmoid(conv1(silu(conv4(4x4 means of coarse)))).
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.AdaptiveAvgPool2d(4),
            nn.Conv2d(channels, out_channels, 4, bias=False),
            nn.SiLU(),
            nn.Conv2d(out_channels, out_channels, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(N, C, h, w), (N, O, H, W) -> (N, O, H, W)."""
        weights: Tensor = self.main(coarse)
        return fine * weights.to(fine.dtype)


def fresh_noise(like: Tensor, n: int) -> Tensor:
    """Draw standard normal noise (n, 1, H, W), one number per pixel, on the grid of a fixed field ``like`` (H, W)."""
    return randomness.randn(n, 1, *like.shape, device=like.device)


class Noise(nn.Module):
    """x + weight * noise, with one standard normal number per pixel for all channels, and a weight learned from 0.

    In eval mode the noise is one fixed field, the same for each sample, so that a sample is a function of its latent
    (Karras et al. 2018, arXiv:1812.04948, sec. 3.2; a single weight as in Liu et al. 2021, arXiv:2101.04775).
    """

    const: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("const", torch.randn(1, 1, height, width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if not self.training:
            return x + (self.weight * self.const).to(x.dtype)
        noise = randomness.randn(len(x), 1, *x.shape[2:], device=x.device)
        return x + (self.weight * noise).to(x.dtype)
