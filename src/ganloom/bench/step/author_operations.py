"""The operations of StyleGAN2 and R3GAN as in their authors' code without its CUDA kernels, on modules of ganloom.

These are the authors' reference operations (NVlabs/stylegan2-ada-pytorch, brownvc/R3GAN), written again: one weight for each
sample in one convolution with a group for each sample; resampling by inserting zeros between the pixels, padding, a depthwise
convolution with the filter, and taking every second pixel; bias, LeakyReLU and gain as separate steps over whole maps.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.networks import r3gan as r3gan_nets
from ganloom.networks import stylegan2 as stylegan2_nets
from ganloom.networks.equalised import GAIN, Conv, Dense
from ganloom.nn.layers import Fir


def slope(critic: Any, x: Tensor) -> Tensor:
    """Compute |grad D(x)|^2 of each sample.

    Args:
        critic: From images to logits (N,).
        x: Images (N, C, H, W).

    Returns:
        (N,), with gradient.
    """
    x = x.detach().requires_grad_(True)
    (slopes,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return slopes.square().sum((1, 2, 3))


def resampled(
    x: Tensor, fir: Fir, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0), gain: float = 1.0
) -> Tensor:
    """Insert zeros between the pixels, pad both axes, apply the filter, and take every ``down``-th pixel.

    Args:
        x: Maps (N, C, H, W).
        fir: The filter.
        up: Factor of upsampling.
        down: Factor of downsampling.
        pad: Padding before and after each axis.
        gain: Factor for the filter.

    Returns:
        Maps (N, C, H', W').
    """
    n, c, h, w = x.shape
    stuffed = F.pad(x.reshape(n, c, h, 1, w, 1), (0, up - 1, 0, 0, 0, up - 1)).reshape(n, c, h * up, w * up)
    kernel = (fir.kernel * gain).to(x.dtype).repeat(c, 1, 1, 1)
    y = F.conv2d(F.pad(stuffed, (*pad, *pad)), kernel, groups=c)
    return y[:, :, ::down, ::down]


def doubled(x: Tensor, fir: Fir) -> Tensor:
    """Upsample maps: (N, C, H, W) -> (N, C, 2H, 2W)."""
    return resampled(x, fir, up=2, pad=(2, 1), gain=4.0)


def activated(x: Tensor, bias: Tensor | None, active: bool = True, gain: float = 1.0) -> Tensor:
    """Apply the bias, LeakyReLU (if ``active``) and the gain in separate steps."""
    x = x if bias is None else x + bias.reshape(1, -1, *[1] * (x.dim() - 2))
    x = F.leaky_relu(x, 0.2) if active else x
    gain = gain * (GAIN if active else 1.0)
    return x if gain == 1 else x * gain


def dense(layer: Dense, x: Tensor) -> Tensor:
    """Apply a dense layer with equalized learning rate to (N, in)."""
    y = x @ (layer.weight * (layer.lr_mul / math.sqrt(layer.in_features))).t()
    return activated(y, layer.bias * layer.lr_mul, layer.active)


def mapped(g: Any, z: Tensor, track: bool = False) -> Tensor:
    """Apply the mapping network: z (N, z_dim) to ws (N, layers, w_dim); ``track``: update the mean of w."""
    w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
    for layer in g.mapping.layers:
        assert isinstance(layer, Dense)
        w = dense(layer, w)
    if track:
        with torch.no_grad():
            g.mapping.w_mean.copy_(w.detach().mean(0).lerp(g.mapping.w_mean, 0.995))
    return w[:, None].repeat(1, g.synthesis.n_layers, 1)


def modulated(layer: stylegan2_nets.Modulated, x: Tensor, s: Tensor, demodulate: bool) -> Tensor:
    """Apply a modulated convolution: one weight for each sample, in one convolution with a group for each sample.

    Args:
        layer: The layer.
        x: Maps (N, C, H, W).
        s: Styles (N, C).
        demodulate: Normalize the weights.

    Returns:
        Maps.
    """
    n, (o, i, k, _) = len(x), layer.weight.shape
    weight = layer.weight[None] * s.reshape(n, 1, -1, 1, 1)
    if demodulate:
        weight = weight * (weight.square().sum((2, 3, 4)) + 1e-8).rsqrt().reshape(n, -1, 1, 1, 1)
    x = x.reshape(1, -1, *x.shape[2:])
    if layer.fir is None:
        y = F.conv2d(x, weight.reshape(-1, i, k, k), padding=k // 2, groups=n)
    else:
        turned = weight.transpose(1, 2).reshape(n * i, o, k, k)
        y = resampled(F.conv_transpose2d(x, turned, stride=2, groups=n), layer.fir, pad=(1, 1), gain=4.0)
    return y.reshape(n, -1, *y.shape[2:])


def synthesised(g: Any, ws: Tensor, noise: str) -> Tensor:
    """Apply the synthesis network.

    Args:
        g: The generator.
        ws: Styles (N, layers, w_dim).
        noise: "random" or "const".

    Returns:
        Images (N, C, H, W).
    """
    net, image = g.synthesis, None
    x = net.const[None].repeat(len(ws), 1, 1, 1)
    for i, level in enumerate(net.levels):
        assert isinstance(level, stylegan2_nets.Level)
        own = ws[:, max(2 * i - 1, 0) : 2 * i + 2]
        for layer, w in ((level.conv0, own[:, 0]), (level.conv1, own[:, -2])):
            if layer is not None:
                x = modulated(layer, x, dense(layer.affine, w), True)
                field = torch.randn(len(x), 1, *x.shape[2:], device=x.device) if noise == "random" else layer.noise
                x = activated(x + field * layer.strength, layer.bias)
        last = level.picture
        y = modulated(last, x, dense(last.affine, own[:, -1]) / math.sqrt(last.weight.shape[1]), False)
        y = activated(y, last.bias, active=False)
        image = y if image is None else doubled(image, net.fir) + y
    assert image is not None
    return image


def conv(layer: Conv, x: Tensor, gain: float = 1.0) -> Tensor:
    """Apply a convolution with equalized learning rate; filter and downsample if the layer does."""
    size = layer.kernel_size[0]
    weight = layer.weight / math.sqrt(layer.in_channels * size * size)
    if layer.fir is None:
        y = F.conv2d(x, weight, padding=size // 2)
    elif size == 1:
        y = F.conv2d(resampled(x, layer.fir, down=2, pad=(1, 1)), weight)
    else:
        y = F.conv2d(resampled(x, layer.fir, pad=(2, 2)), weight, stride=2)
    return activated(y, layer.bias, layer.active, gain)


def judged(d: stylegan2_nets.Discriminator, x: Tensor) -> Tensor:
    """Apply StyleGAN2's discriminator: images (N, C, H, W) to logits (N,)."""
    x = conv(d.start, x)
    for level in d.levels:
        if isinstance(level, stylegan2_nets.Halving):
            y = conv(level.conv0, x)
            half = 1.0 if level.skip is None else math.sqrt(0.5)
            y = conv(level.conv1, y, half)
            x = y if level.skip is None else y + conv(level.skip, x, half)
        else:
            x = level(x)
    return dense(d.out, dense(d.dense, conv(d.conv, x).flatten(1))).flatten()


def plain(module: nn.Module, x: Tensor) -> Tensor:
    """Apply a part of R3GAN, with bias and LeakyReLU as separate steps and resampling by inserted zeros."""
    if isinstance(module, nn.Sequential):
        for part in module:
            x = plain(part, x)
        return x
    if isinstance(module, r3gan_nets.Block):
        return x + plain(module.branch, x)
    if isinstance(module, r3gan_nets.Up):
        return doubled(plain(module.conv, x), module.fir)
    if isinstance(module, r3gan_nets.Down):
        return plain(module.conv, resampled(x, module.fir, down=2, pad=(1, 1)))
    if isinstance(module, nn.Conv2d):
        assert not isinstance(module.padding, str)
        y = F.conv2d(x, module.weight, padding=module.padding, groups=module.groups)
        return activated(y, module.bias, active=False)
    out: Tensor = module(x)
    return out
