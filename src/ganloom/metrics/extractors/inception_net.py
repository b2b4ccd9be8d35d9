"""The Inception-v3 network that FID, KID and the Inception score are defined on, in plain torch.

Szegedy et al. 2015 (arXiv:1512.00567). FID does not use the ImageNet network of torchvision but that of TensorFlow,
2015-12-05: 1008 logits, no auxiliary head, average pools that exclude the padding, and a max pool in the last block
(Heusel et al. 2017, arXiv:1706.08500, their code). Modules have the names of pytorch-fid's weight file, so its keys fit.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

N_FEATURES, N_CLASSES = 2048, 1008
SIDE = 299

Step = tuple[str, int, int | tuple[int, int]]
Chain = tuple[Step | tuple[Step, Step], ...]
"""Convolutions (name, output channels, kernel) in sequence. A pair is a fork: both have the same input, and their outputs
are concatenated."""


class Conv(nn.Module):
    """Convolution without bias, batch norm (eps 0.001), ReLU."""

    def __init__(self, n_in: int, n_out: int, kernel: int | tuple[int, int], stride: int = 1, pad: Any = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel, stride, pad, bias=False)
        self.bn = nn.BatchNorm2d(n_out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Parallel chains of convolutions and a pool. The outputs are concatenated in that order.

    ``pool``: "avg" or "max" keep the size and are followed by a 1 x 1 convolution to ``pooled`` channels. "half" is a max
    pool of stride 2 without a convolution; then the last convolution of each chain has stride 2 and no padding.
    """

    def __init__(self, n_in: int, chains: tuple[Chain, ...], pool: str, pooled: int = 0) -> None:
        super().__init__()
        self.chains, self.pool = chains, pool
        self.n_out = pooled if pool != "half" else n_in
        for chain in chains:
            width = n_in
            for i, step in enumerate(chain):
                steps: Any = step if isinstance(step[0], tuple) else (step,)
                halves = pool == "half" and i == len(chain) - 1
                for name, n_out, kernel in steps:
                    kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
                    pad = 0 if halves else (kernel[0] // 2, kernel[1] // 2)
                    self.add_module(name, Conv(width, n_out, kernel, 2 if halves else 1, pad))
                width = sum(n_out for _, n_out, _ in steps)
            self.n_out += width
        if pool != "half":
            self.branch_pool = Conv(n_in, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for chain in self.chains:
            h = x
            for step in chain:
                if isinstance(step[0], tuple):
                    h = torch.cat([self.get_submodule(str(fork[0]))(h) for fork in step], 1)  # type: ignore[index]
                else:
                    h = self.get_submodule(step[0])(h)
            outputs.append(h)
        if self.pool == "half":
            outputs.append(F.max_pool2d(x, 3, 2))
        elif self.pool == "max":
            outputs.append(self.branch_pool(F.max_pool2d(x, 3, 1, 1)))
        else:
            outputs.append(self.branch_pool(F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)))
        return torch.cat(outputs, 1)


def _a(n_in: int, pooled: int) -> Mixed:
    """35 x 35: 1 x 1, 5 x 5, twice 3 x 3."""
    chains: tuple[Chain, ...] = (
        (("branch1x1", 64, 1),),
        (("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)),
        (("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)),
    )
    return Mixed(n_in, chains, "avg", pooled)


def _b(n_in: int) -> Mixed:
    """35 x 35 to 17 x 17."""
    double: Chain = (("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3))
    return Mixed(n_in, ((("branch3x3", 384, 3),), double), "half")


def _c(n_in: int, mid: int) -> Mixed:
    """17 x 17: 1 x 1, and 7 x 7 as rows and columns, once and twice."""
    row, column = (1, 7), (7, 1)
    single: Chain = (("branch7x7_1", mid, 1), ("branch7x7_2", mid, row), ("branch7x7_3", 192, column))
    double: Chain = (
        ("branch7x7dbl_1", mid, 1), ("branch7x7dbl_2", mid, column), ("branch7x7dbl_3", mid, row),
        ("branch7x7dbl_4", mid, column), ("branch7x7dbl_5", 192, row),
    )  # fmt: skip
    return Mixed(n_in, ((("branch1x1", 192, 1),), single, double), "avg", 192)


def _d(n_in: int) -> Mixed:
    """17 x 17 to 8 x 8."""
    long: Chain = (
        ("branch7x7x3_1", 192, 1), ("branch7x7x3_2", 192, (1, 7)), ("branch7x7x3_3", 192, (7, 1)),
        ("branch7x7x3_4", 192, 3),
    )  # fmt: skip
    return Mixed(n_in, ((("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3)), long), "half")


def _e(n_in: int, pool: str) -> Mixed:
    """8 x 8: 1 x 1, and 3 x 3 as a fork of a row and a column, after a 1 x 1 and after a 3 x 3."""
    row, column = (1, 3), (3, 1)
    near: Chain = (("branch3x3_1", 384, 1), (("branch3x3_2a", 384, row), ("branch3x3_2b", 384, column)))
    far: Chain = (
        ("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3),
        (("branch3x3dbl_3a", 384, row), ("branch3x3dbl_3b", 384, column)),
    )  # fmt: skip
    return Mixed(n_in, ((("branch1x1", 320, 1),), near, far), pool, 192)


class FIDInception(nn.Module):
    """The network: (N, 3, 299, 299) float32 as (value - 128) / 128 -> features (N, 2048), logits (N, 1008).

    The logits are without the bias of the last layer, as the Inception score uses them (Salimans et al. 2016, their code).
    ``taps`` also returns the averages at 64, 192 and 768 channels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, pad=1)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _a(192, 32), _a(256, 64), _a(288, 64)
        self.Mixed_6a = _b(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d = _c(768, 128), _c(768, 160), _c(768, 160)
        self.Mixed_6e = _c(768, 192)
        self.Mixed_7a = _d(768)
        self.Mixed_7b, self.Mixed_7c = _e(1280, "avg"), _e(2048, "max")
        self.fc = nn.Linear(N_FEATURES, N_CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.taps(x)[-1]
        return features, F.linear(features, self.fc.weight)

    def spatial_map(self, x: Tensor) -> Tensor:
        """Compute the map that sFID uses: TensorFlow's ``mixed_6/conv``, (N, 192, 17, 17) before batch norm and ReLU."""
        for name in ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "", "Conv2d_3b_1x1", "Conv2d_4a_3x3", ""):
            x = self.get_submodule(name)(x) if name else F.max_pool2d(x, 3, 2)
        for name in ("5b", "5c", "5d", "6a", "6b", "6c"):
            x = self.get_submodule(f"Mixed_{name}")(x)
        spatial_map: Tensor = self.get_submodule("Mixed_6d.branch1x1.conv")(x)
        return spatial_map

    def taps(self, x: Tensor) -> list[Tensor]:
        """Compute the spatial averages (N, 64), (N, 192), (N, 768) and (N, 2048) of (N, 3, 299, 299) images."""
        parts = [["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", ""], ["Conv2d_3b_1x1", "Conv2d_4a_3x3", ""]]
        parts += [[f"Mixed_{i}" for i in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e")]]
        parts += [["Mixed_7a", "Mixed_7b", "Mixed_7c"]]
        averages = []
        for names in parts:
            for name in names:
                x = self.get_submodule(name)(x) if name else F.max_pool2d(x, 3, 2)
            averages.append(x.mean((2, 3)))
        return averages
