"""StyleGAN2 and R3GAN with the training step of their authors' code, without its CUDA kernels, on the weights of our models.

The operations are in ``author_operations``. Gradients are cleaned of NaN; Adam is not fused and goes parameter by parameter,
in float32 and NCHW; the EMA of G is updated at each step. The weights are in modules of ganloom, so that both compute the
same numbers.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.bench.step.author_operations import judged, mapped, plain, slope, synthesised
from ganloom.bench.step.peers import ready_batches
from ganloom.core import randomness
from ganloom.gan import GAN, Adam, Phase
from ganloom.recipes import r3gan, stylegan2
from ganloom.training import optimizers

BATCH = 16


@dataclass(frozen=True)
class Peer:
    """One model of another project at one size."""

    script: str
    recipe: str
    shape: tuple[int, int, int]
    batch: int = BATCH
    n_critic: int = 1
    samples: int = 64
    """Images of one call of sampling or translating."""


STYLED: dict[str, Peer] = {
    f"{recipe}-{side}": Peer(f"{name} {side} px", recipe, (3, side, side))
    for recipe, name in (("stylegan2", "StyleGAN2"), ("r3gan", "R3GAN"))
    for side in (32, 64)
}


def ours(name: str, seed: int = 0) -> GAN:
    """Build ganloom's model, narrowed for two cores: at most 128 channels, R3GAN 96.

    Args:
        name: A key of ``STYLED``.
        seed: Seed of the weights.
    """
    peer = STYLED[name]
    randomness.seed_all(seed)
    if peer.recipe == "stylegan2":
        return stylegan2.StyleGAN2(stylegan2.Config(peer.shape, width=128, base=4096, batch_size=peer.batch))
    return r3gan.R3GAN(r3gan.Config(peer.shape, width=96, batch_size=peer.batch, ema_kimg=10.0))


class StyledRun:
    """The training step of the authors' code, on the weights of a ganloom model.

    Args:
        name: A key of ``STYLED``.
        device: The device.
        seed: Seed of the weights.
    """

    def __init__(self, name: str, device: str = "cpu", seed: int = 0) -> None:
        self.peer, self.device = STYLED[name], device
        self.gan: Any = ours(name, seed).to(device)
        self.averaged = [p.detach().clone() for p in self.gan.G.parameters()]
        self.batches = ready_batches(self.peer.shape, self.peer.batch, device)
        self.at = 0
        phases = self.gan.phases()
        self.lazies = [phase.lazy for phase in phases]
        self.opts = {net: _optimizer(self.gan, [p for p in phases if p.net == net]) for net in ("G", "D")}

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Generate images with the current weights and fixed noise."""
        z = torch.randn(self.peer.samples, self.gan.cfg.z_dim, device=self.device)
        return (
            self.generated(z)
            if self.peer.recipe == "r3gan"
            else synthesised(self.gan.G, mapped(self.gan.G, z), "const")
        )

    def step(self) -> tuple[float, float]:
        """Make one round of updates; return the losses (D, G)."""
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
        """Images and their ws; with style mixing from one layer on for the whole batch."""
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
        """Compute the path length penalty E[(|J^T y| - mean)^2], and update the running mean."""
        x, ws = self._fakes(n)
        y = torch.randn_like(x) / math.sqrt(x.shape[2] * x.shape[3])
        (slopes,) = torch.autograd.grad((x * y).sum(), ws, create_graph=True)
        lengths = slopes.square().sum(2).mean(1).sqrt()
        mean = self.gan.pl_mean.lerp(lengths.mean(), 0.01)
        self.gan.pl_mean.copy_(mean.detach())
        penalty: Tensor = (lengths - mean).square().mean()
        return penalty

    # ----------------------------------------------------------------------------------------------------------- R3GAN
    def generated(self, z: Tensor) -> Tensor:
        """Generate R3GAN's images from latents (N, z_dim)."""
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
        """Compute D's loss. Both penalties use the forward passes of the loss."""
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
    """torch's Adam with default options, adjusted for lazy phases like the authors' code."""
    opt, pace = optimizers.resolve(gan, phases[0]), optimizers.pace(phases)
    assert isinstance(opt, Adam)
    betas = opt.betas[0] ** pace, opt.betas[1] ** pace
    parameters = optimizers.find(gan, phases[0].net).parameters()
    return torch.optim.Adam(parameters, lr=opt.lr * pace, betas=betas, eps=opt.eps)
