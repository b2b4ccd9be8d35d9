"""StyleGAN2 and R3GAN as their authors' code computes them without its CUDA kernels, beside ours on the same weights.

The authors' reference operations (NVlabs/stylegan2-ada-pytorch, brownvc/R3GAN), in words of our own: a weight of its own for
each sample in one convolution with a group a sample; resampling by zeros put between the pixels, padding, a convolution with
the filter map by map and every second pixel dropped; bias, LeakyReLU and gain as steps over whole maps; gradients cleaned of
NaN and Adam unfused, parameter by parameter, in float32 and NCHW; the average of G moved each step. Weights lie in modules of
ours, so that both compute the same numbers.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.bench.step.peers import ready_batches
from ganloom.core import randomness
from ganloom.gan import GAN, Adam, Phase
from ganloom.networks import r3gan as r3gan_nets
from ganloom.networks import stylegan2 as stylegan2_nets
from ganloom.networks.equalised import GAIN, Conv, Dense
from ganloom.nn.layers import Fir
from ganloom.recipes import r3gan, stylegan2
from ganloom.training import optimizers

BATCH = 16


@dataclass(frozen=True)
class Peer:
    """One model at one size; the same fields as a script's."""

    script: str
    recipe: str
    shape: tuple[int, int, int]
    batch: int = BATCH
    n_critic: int = 1
    samples: int = 64
    """Images of one call of sampling, or of translating."""


STYLED: dict[str, Peer] = {
    f"{recipe}-{side}": Peer(f"{name} {side} px", recipe, (3, side, side))
    for recipe, name in (("stylegan2", "StyleGAN2"), ("r3gan", "R3GAN"))
    for side in (32, 64)
}


def ours(name: str, seed: int = 0) -> GAN:
    """Our model of a peer: narrowed (128 channels at most; R3GAN's 96) as two cores need it."""
    peer = STYLED[name]
    randomness.seed_all(seed)
    if peer.recipe == "stylegan2":
        return stylegan2.StyleGAN2(stylegan2.Config(peer.shape, width=128, base=4096, batch_size=peer.batch))
    return r3gan.R3GAN(r3gan.Config(peer.shape, width=96, batch_size=peer.batch, ema_kimg=10.0))


class StyledRun:
    """The authors' step on the weights of one of our models."""

    def __init__(self, name: str, device: str = "cpu", seed: int = 0) -> None:
        self.peer, self.device = STYLED[name], device
        self.gan: Any = ours(name, seed).to(device)
        self.averaged = [p.detach().clone() for p in self.gan.G.parameters()]
        self.batches = ready_batches(self.peer.shape, self.peer.batch, device)
        self.drawn = self.at = 0
        phases = self.gan.phases()
        self.lazies = [phase.lazy for phase in phases]
        self.opts = {net: _optimizer(self.gan, [p for p in phases if p.net == net]) for net in ("G", "D")}

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Images from the network as it stands, with its fixed noise."""
        z = torch.randn(self.peer.samples, self.gan.cfg.z_dim, device=self.device)
        return (
            self.generated(z)
            if self.peer.recipe == "r3gan"
            else synthesised(self.gan.G, mapped(self.gan.G, z), "const")
        )

    def step(self) -> tuple[float, float]:
        """One round of updates; the losses (D, G)."""
        self.gan.kimg = self.at * self.peer.batch / 1000
        real = self.batches[self.at % len(self.batches)]
        losses = self._r3gan(real) if self.peer.recipe == "r3gan" else self._stylegan2(real)
        self.at += 1
        with torch.no_grad():
            weight = 0.5 ** (self.peer.batch / 1000 / self.gan.cfg.ema_kimg)
            for mean, value in zip(self.averaged, self.gan.G.parameters(), strict=True):
                mean.copy_(value.lerp(mean, weight))
        return losses[0].item(), losses[1].item()

    # ------------------------------------------------------------------------------------------------------- StyleGAN2
    def _stylegan2(self, real: Tensor) -> tuple[Tensor, Tensor]:
        gan, cfg, n = self.gan, self.gan.cfg, len(real)
        g_loss = self._update("G", lambda: F.softplus(-judged(gan.D, self._fakes(n)[0])).mean())
        if cfg.path_length and self.at % cfg.lazy_g == 0:
            self._update("G", lambda: cfg.lazy_g * cfg.path_length * self.path_lengths(n // 2))
        d_loss = self._update(
            "D",
            lambda: F.softplus(judged(gan.D, self._fakes(n, grad=False)[0])).mean(),
            lambda: F.softplus(-judged(gan.D, real)).mean(),
        )
        if cfg.gamma and self.at % cfg.lazy_d == 0:
            self._update("D", lambda: cfg.lazy_d * cfg.gamma / 2 * slope(lambda x: judged(gan.D, x), real).mean())
        return d_loss, g_loss

    def _fakes(self, n: int, grad: bool = True) -> tuple[Tensor, Tensor]:
        """Images and their ws; styles mix from one layer on for the whole batch."""
        g, cfg = self.gan.G, self.gan.cfg
        with torch.set_grad_enabled(grad):
            ws = mapped(g, torch.randn(n, cfg.z_dim, device=self.device), track=True)
            if cfg.mixing:
                layers = ws.shape[1]
                start = int(torch.randint(1, layers, ())) if float(torch.rand(())) < cfg.mixing else layers
                other = mapped(g, torch.randn(n, cfg.z_dim, device=self.device))
                ws = torch.cat([ws[:, :start], other[:, start:]], 1)
            return synthesised(g, ws, "random"), ws

    def path_lengths(self, n: int) -> Tensor:
        """E[(|J^T y| - mean)^2], the mean moved on the way."""
        x, ws = self._fakes(n)
        y = torch.randn_like(x) / math.sqrt(x.shape[2] * x.shape[3])
        (slopes,) = torch.autograd.grad((x * y).sum(), ws, create_graph=True)
        lengths = slopes.square().sum(2).mean(1).sqrt()
        mean = self.gan.pl_mean.lerp(lengths.mean(), 0.01)
        self.gan.pl_mean.copy_(mean.detach())
        away: Tensor = (lengths - mean).square().mean()
        return away

    # ----------------------------------------------------------------------------------------------------------- R3GAN
    def generated(self, z: Tensor) -> Tensor:
        """R3GAN's images of latents."""
        g = self.gan.G
        return plain(g.out, plain(g.body, g.const * g.project(z)[:, :, None, None]))

    def _critic(self, x: Tensor) -> Tensor:
        d = self.gan.D
        logits: Tensor = d.out(plain(d.basis, plain(d.body, x)).flatten(1)).flatten()
        return logits

    def _r3gan(self, real: Tensor) -> tuple[Tensor, Tensor]:
        def noise() -> Tensor:
            return torch.randn(len(real), self.gan.cfg.z_dim, device=self.device)

        d_loss = self._update("D", lambda: self.r3gan_d(real, noise()))
        g_loss = self._update(
            "G", lambda: F.softplus(self._critic(real) - self._critic(self.generated(noise()))).mean()
        )
        return d_loss, g_loss

    def r3gan_d(self, real: Tensor, z: Tensor) -> Tensor:
        """D's loss: both penalties are of the very passes whose logits are compared."""
        with torch.no_grad():
            fake = self.generated(z)
        inputs = real.detach().requires_grad_(True), fake.requires_grad_(True)
        logits = [self._critic(x) for x in inputs]
        slopes = [
            torch.autograd.grad(one.sum(), x, create_graph=True)[0] for one, x in zip(logits, inputs, strict=True)
        ]
        r1, r2 = (s.square().sum((1, 2, 3)) for s in slopes)
        loss: Tensor = (F.softplus(logits[1] - logits[0]) + self.gan.gamma / 2 * (r1 + r2)).mean()
        return loss

    # ---------------------------------------------------------------------------------------------------------- updates
    def _update(self, net: str, *losses: Any) -> Tensor:
        network, opt = getattr(self.gan, net), self.opts[net]
        self.gan.requires_grad_(False)
        network.requires_grad_(True)
        opt.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for loss in losses:
            value = loss()
            value.backward()
            total = total + value.detach()
        for parameter in network.parameters():
            if parameter.grad is not None:
                torch.nan_to_num(parameter.grad, nan=0, posinf=1e5, neginf=-1e5, out=parameter.grad)
        opt.step()
        return total


def _optimizer(gan: GAN, phases: list[Phase]) -> torch.optim.Optimizer:
    """torch's Adam as it comes, paced for lazy phases as the authors do."""
    opt, pace = optimizers.resolve(gan, phases[0]), optimizers.pace(phases)
    assert isinstance(opt, Adam)
    betas = opt.betas[0] ** pace, opt.betas[1] ** pace
    parameters = optimizers.find(gan, phases[0].net).parameters()
    return torch.optim.Adam(parameters, lr=opt.lr * pace, betas=betas, eps=opt.eps)


def slope(critic: Any, x: Tensor) -> Tensor:
    """|grad D(x)|^2 of each sample (N,)."""
    x = x.detach().requires_grad_(True)
    (slopes,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return slopes.square().sum((1, 2, 3))


# --------------------------------------------------------------------------------------------------------- operations


def resampled(
    x: Tensor, fir: Fir, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0), gain: float = 1.0
) -> Tensor:
    """Zeros between the pixels, padding on both axes, the filter, every ``down``-th pixel."""
    n, c, h, w = x.shape
    stuffed = F.pad(x.reshape(n, c, h, 1, w, 1), (0, up - 1, 0, 0, 0, up - 1)).reshape(n, c, h * up, w * up)
    kernel = (fir.kernel * gain).to(x.dtype).repeat(c, 1, 1, 1)
    y = F.conv2d(F.pad(stuffed, (*pad, *pad)), kernel, groups=c)
    return y[:, :, ::down, ::down]


def doubled(x: Tensor, fir: Fir) -> Tensor:
    """(N, C, H, W) -> (N, C, 2H, 2W)."""
    return resampled(x, fir, up=2, pad=(2, 1), gain=4.0)


def activated(x: Tensor, bias: Tensor | None, active: bool = True, gain: float = 1.0) -> Tensor:
    """Bias, LeakyReLU, gain: a step each."""
    x = x if bias is None else x + bias.reshape(1, -1, *[1] * (x.dim() - 2))
    x = F.leaky_relu(x, 0.2) if active else x
    gain = gain * (GAIN if active else 1.0)
    return x if gain == 1 else x * gain


def dense(layer: Dense, x: Tensor) -> Tensor:
    """An equalised dense layer."""
    y = x @ (layer.weight * (layer.lr_mul / math.sqrt(layer.in_features))).t()
    return activated(y, layer.bias * layer.lr_mul, layer.active)


def mapped(g: Any, z: Tensor, track: bool = False) -> Tensor:
    """z (N, z_dim) to ws (N, layers, w_dim)."""
    w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
    for layer in g.mapping.layers:
        assert isinstance(layer, Dense)
        w = dense(layer, w)
    if track:
        with torch.no_grad():
            g.mapping.w_mean.copy_(w.detach().mean(0).lerp(g.mapping.w_mean, 0.995))
    return w[:, None].repeat(1, g.synthesis.n_layers, 1)


def modulated(layer: stylegan2_nets.Modulated, x: Tensor, s: Tensor, demodulate: bool) -> Tensor:
    """A weight for each sample, all in one convolution of as many groups."""
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
    """ws (N, layers, w_dim) to images (N, C, H, W)."""
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
    """An equalised convolution, filtered and halved where the layer halves."""
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
    """StyleGAN2's logits (N,) of images."""
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
    """R3GAN's parts: bias and LeakyReLU as steps of their own, resampling with zeros between."""
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
