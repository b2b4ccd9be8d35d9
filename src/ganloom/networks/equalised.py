"""Layers with equalised learning rate and StyleGAN2's resampling (Karras et al. 2019, arXiv:1912.04958, app. B).

The stored weight is N(0, 1) and is scaled in each pass. LeakyReLU 0.2 is followed by a gain of sqrt(2), which keeps the
variance. Because LeakyReLU commutes with a positive gain, the gain is multiplied into the few weights, not into the maps.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.nn import initial_weights
from ganloom.nn.layers import Fir, pointwise

GAIN = math.sqrt(2)


def exact(x: Tensor) -> Any:
    """Return a context in which small, sensitive operations are computed in float32 even under autocast."""
    return torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False)


def bent(x: Tensor, bound: float | None) -> Tensor:
    """Apply LeakyReLU 0.2, then clip values to +-bound; in place if no gradient is needed."""
    if torch.is_grad_enabled():
        x = F.leaky_relu(x, 0.2)
        return x if bound is None else x.clamp(-bound, bound)
    x = F.leaky_relu_(x, 0.2)
    return x if bound is None else x.clamp_(-bound, bound)


class Dense(nn.Linear):
    """A linear layer (N, inputs) -> (N, outputs); with ``lr_mul`` below 1 it learns more slowly by that factor."""

    def __init__(
        self, inputs: int, outputs: int, *, lr_mul: float = 1.0, bias: float = 0.0, active: bool = False
    ) -> None:
        super().__init__(inputs, outputs)
        initial_weights.normal(self.weight, 0.0, 1 / lr_mul)
        nn.init.constant_(self.bias, bias)
        self.lr_mul, self.active = lr_mul, active

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N, outputs)."""
        gain = self.lr_mul * (GAIN if self.active else 1.0)
        bias = self.bias * gain if gain != 1 else self.bias
        y = F.linear(x, self.weight * (gain / math.sqrt(self.in_features)), bias)
        return F.leaky_relu(y, 0.2) if self.active else y


class Conv(nn.Conv2d):
    """A convolution (N, C, H, W) -> (N, O, H, W), with LeakyReLU if ``active``; ``down``: filtered and downsampled by 2."""

    def __init__(
        self,
        channels: int,
        out_channels: int,
        size: int,
        *,
        down: bool = False,
        bias: bool = True,
        active: bool = True,
        clamp: float | None = None,
    ) -> None:
        super().__init__(channels, out_channels, size, padding=size // 2, bias=bias)
        initial_weights.normal(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.active, self.clamp = active, clamp
        self.fir = Fir() if down else None

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """Map (N, C, H, W) to (N, O, H, W), or to half of each side; the output is multiplied by ``gain``."""
        size, act = self.kernel_size[0], GAIN if self.active else 1.0
        weight = self.weight * (act * gain / math.sqrt(self.in_channels * size * size))
        bias = None if self.bias is None else self.bias * (act * gain)
        if self.fir is None:
            y = pointwise(x, weight, bias) if size == 1 else F.conv2d(x, weight, bias, padding=self.padding)
        elif size == 1:
            y = F.conv2d(self.fir.halved(x), weight, bias)
        else:
            y = F.conv2d(self.fir(x, padding=2), weight, bias, stride=2)
        bound = None if self.clamp is None else self.clamp * gain
        if self.active:
            return bent(y, bound)
        return y if bound is None else y.clamp(-bound, bound)
