"""Norms of weights and activations: spectral norm, equalised learning rate, conditional BatchNorm, AdaIN, pixel norm.

Spectral norm and the equalised learning rate are parametrizations of a layer's weight (torch's public ``parametrize``), so
any layer can have them in one line, with an unchanged forward: ``spectral_norm(network)``, ``equalised(layer)``.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganloom.nn import initial_weights

M = TypeVar("M", bound=nn.Module)


class Spectral(nn.Module):
    """W -> gain W / sigma(W), sigma by one power iteration per forward pass (Miyato et al. 2018, arXiv:1802.05957, alg. 1).

    v = W^T u / |W^T u|,  u' = W v / |W v|,  sigma = u'^T W v; W is the weight as a matrix (outputs, the rest).

    Differences from torch's implementation: that one stores u and v, and in eval mode divides by u^T W v with the stored values.
    The Trainer averages buffers for the EMA, and averaged u and v are shorter than 1 and do not belong to the averaged weight.
    Here only u is stored (updated in training mode only), and eval mode recomputes v and u' from it, whatever its length. u
    stays float32, and the iteration runs in float32 under autocast too. The graph holds u' and not the buffer, so a second pass
    (real, then fake) does not corrupt the first one's gradient, and second derivatives work.

    Args:
        weight: The weight, of any shape.
        axis: Its axis of outputs.
        gain: Largest singular value afterwards; the paper has 1. The authors' code calls it ``factor``.
    """

    u: Tensor

    def __init__(self, weight: Tensor, axis: int = 0, gain: float = 1.0) -> None:
        super().__init__()
        self.axis, self.gain = axis, gain
        u = torch.randn(weight.shape[axis], device=weight.device)
        self.register_buffer("u", u if u.is_meta else F.normalize(u, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        """Scale a weight of any shape so that the largest singular value of its matrix is about ``gain``."""
        if weight.is_meta:
            return weight  # no data: only the shape matters
        with torch.autocast(weight.device.type, enabled=False):
            matrix = _matrix(weight.transpose(0, self.axis))
            with torch.no_grad():
                v = F.normalize(matrix.T @ self.u, dim=0)
            image = matrix @ v
            u = F.normalize(image.detach(), dim=0)
            if self.training:
                with torch.no_grad():
                    self.u.copy_(u)
            sigma = torch.dot(u, image).clamp_min(1e-12)
            return weight / (sigma if self.gain == 1.0 else sigma / self.gain)


def _matrix(weight: Tensor) -> Tensor:
    """Reshape (O, ...) to (O, the rest) without a copy, also for channels_last; column order does not change singular
    values.
    """
    return weight.flatten(1) if weight.is_contiguous() or weight.dim() != 4 else weight.permute(0, 2, 3, 1).flatten(1)


def spectral_norm(network: M, but: tuple[type[nn.Module], ...] = (), gain: float = 1.0) -> M:
    """Apply spectral norm to every convolution, linear layer and embedding of ``network``, except in modules of types
    ``but``; ``gain`` is the largest singular value.
    """
    if isinstance(network, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
        axis = 1 if isinstance(network, nn.ConvTranspose2d) else 0
        parametrize.register_parametrization(network, "weight", Spectral(network.weight, axis, gain))
    else:
        for child in network.children():
            if not isinstance(child, but):
                spectral_norm(child, but, gain)
    return network


class Scaled(nn.Module):
    """Multiply a weight by a constant: W -> scale x W."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, weight: Tensor) -> Tensor:
        """Return the scaled weight."""
        return weight if weight.is_meta else weight * self.scale


def equalised(layer: M, gain: float = math.sqrt(2)) -> M:
    """Apply He's constant at run time instead of at initialization (Karras et al. 2017, arXiv:1710.10196, sec. 4.1).

    The stored weight is N(0, 1) and is multiplied by gain / sqrt(inputs of an output) in each pass. Adam changes every parameter
    by about the learning rate, so all layers then learn at the same speed. The bias starts at 0.
    """
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    initial_weights.normal(weight)
    if isinstance(bias, Tensor):
        nn.init.zeros_(bias)
    parametrize.register_parametrization(layer, "weight", Scaled(gain / math.sqrt(weight[0].numel())))
    return layer


class ConditionalBatchNorm(nn.Module):
    """BatchNorm whose gain and bias are linear in a condition (de Vries et al. 2017, arXiv:1707.00683).

    x (N, C, H, W), c (N, inputs) -> (1 + gain(c)) * norm(x) + bias(c). With a one-hot c each class has its own gain and bias,
    which start at 1 and 0; ``inputs=0`` is plain BatchNorm.
    """

    def __init__(self, channels: int, inputs: int = 0) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=not inputs)
        self.inputs = inputs
        if inputs:
            self.gain = nn.Linear(inputs, channels, bias=False)
            self.bias = nn.Linear(inputs, channels, bias=False)
            nn.init.zeros_(self.gain.weight)
            nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map (N, C, H, W) and a condition (N, inputs) to (N, C, H, W)."""
        y: Tensor = self.norm(x)
        if not self.inputs:
            return y
        assert c is not None
        gain, bias = self.gain(c)[:, :, None, None], self.bias(c)[:, :, None, None]
        return torch.addcmul(bias.to(y.dtype), y, 1 + gain.to(y.dtype))


class AdaptiveInstanceNorm(nn.Module):
    """AdaIN: instance norm, then a gain and a bias that are affine functions of a style.

    Huang & Belongie 2017, arXiv:1703.06868, eq. 8; learned from w as in Karras et al. 2018, arXiv:1812.04948.
    x (N, C, H, W), w (N, inputs) -> (1 + gain(w)) * instance_norm(x) + bias(w); starts as plain instance norm.
    """

    def __init__(self, channels: int, inputs: int) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels)
        self.style = nn.Linear(inputs, 2 * channels)
        nn.init.zeros_(self.style.weight)
        nn.init.zeros_(self.style.bias)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map (N, C, H, W) and a style (N, inputs) to (N, C, H, W)."""
        gain, bias = self.style(w)[:, :, None, None].to(x.dtype).chunk(2, 1)
        return torch.addcmul(bias, self.norm(x), 1 + gain)


class StandingBatchNorm(nn.BatchNorm2d):
    """BatchNorm with one set of statistics for each of ``sets`` truncations, evenly spaced from 0 to 1.

    ``choose(truncation)`` sets the running statistics to those of a truncation, interpolated between two sets. The sets belong
    to a published network: after training on, they no longer apply, and ``choose`` does nothing.
    """

    means: Tensor
    variances: Tensor
    at: Tensor | None = None
    """Truncation as a tensor of the graph, used instead of the running statistics (for export)."""

    def __init__(self, channels: int, sets: int, affine: bool = True) -> None:
        super().__init__(channels, affine=affine)
        self.register_buffer("means", torch.zeros(sets, channels))
        self.register_buffer("variances", torch.ones(sets, channels))

    @torch.no_grad()
    def choose(self, truncation: float) -> None:
        """Use the statistics of ``truncation``, clipped to [0, 1]."""
        if self.num_batches_tracked:
            return
        place = min(max(truncation, 0.0), 1.0) * (len(self.means) - 1)
        low = min(int(place + 1e-6), len(self.means) - 1)
        high, weight = min(low + 1, len(self.means) - 1), max(place - low, 0.0)
        weight = weight if weight > 1e-5 else 0.0  # 0.3 x 50 is 15 only up to rounding
        assert self.running_mean is not None and self.running_var is not None
        self.running_mean.copy_(torch.lerp(self.means[low], self.means[high], weight))
        self.running_var.copy_(torch.lerp(self.variances[low], self.variances[high], weight))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if self.at is None or self.num_batches_tracked:
            y: Tensor = super().forward(x)
            return y
        sets = torch.arange(len(self.means), dtype=x.dtype, device=x.device)
        near = (1 - (sets - self.at.clamp(0, 1) * (len(self.means) - 1)).abs()).clamp_min(0)  # linear between two sets
        mean, scale = near @ self.means, torch.rsqrt(near @ self.variances + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        shift = -mean * scale if self.bias is None else self.bias - mean * scale
        return x * scale[:, None, None] + shift[:, None, None]


def keep_standing(network: nn.Module, sets: int) -> None:
    """Replace every BatchNorm2d of ``network`` by one with ``sets`` sets of statistics."""
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(network, name, StandingBatchNorm(child.num_features, sets, child.affine))
        else:
            keep_standing(child, sets)


def batch_norm_eps(network: nn.Module, eps: float) -> None:
    """Set the epsilon that every BatchNorm of ``network`` adds to the variance."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eps = eps


class PixelNorm(nn.Module):
    """x / sqrt(mean of x^2 over the channels + 1e-8), at each pixel (Karras et al. 2017, arXiv:1710.10196, sec. 4.2)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C, ...)."""
        return x * torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-8).to(x.dtype)


@contextlib.contextmanager
def standing_statistics(network: nn.Module) -> Iterator[None]:
    """Within this context BatchNorm recomputes its statistics as the plain mean over batches; other modules keep their mode.

    Run the network on a number of batches inside, and sample afterwards (Brock et al. 2018, arXiv:1809.11096, app. D).
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    saved = [(m.momentum, m.training) for m in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum, norm.training = None, True
    try:
        yield
    finally:
        for norm, (momentum, training) in zip(norms, saved, strict=True):
            norm.momentum, norm.training = momentum, training
