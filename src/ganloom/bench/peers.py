"""The peer's three small GANs: their layer sizes as data, the plain way to train them, and the same ones for our Trainer.

The peer is the widely forked PyTorch-GAN (gan.py, dcgan.py and wgan_gp.py; layer sizes and order of updates read from it,
nothing copied). The plain step is what those scripts do: sigmoid and binary cross-entropy, numpy noise moved to torch, D's
weight gradients computed in G's step and thrown away, Adam tensor by tensor, float32, and losses read to Python each step.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom import penalties
from ganloom.gan import GAN, Adam, Batch, Phase, Terms
from ganloom.layers import UpsampleConv
from ganloom.losses import nonsaturating, wasserstein

BATCH, Z = 64, 100
NAMES = ("gan", "dcgan", "wgan-gp")
N_CRITIC, GP_WEIGHT = 5, 10.0
DENSE_G, DENSE_D = (128, 256, 512, 1024), (512, 256)
CONV_G, CONV_D = (128, 128, 64), (16, 32, 64, 128)
EPS = 0.8  # handed to BatchNorm where its authors seem to have meant the momentum


def shape_of(name: str) -> tuple[int, int, int]:
    """(C, H, W) at which the peer's script trains."""
    return (1, 32, 32) if name == "dcgan" else (1, 28, 28)


class DenseG(nn.Module):
    """z (N, 100) -> (N, 1, 28, 28): hidden layers of 128, 256, 512, 1024, BatchNorm behind all but the first."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = Z
        for i, width in enumerate(DENSE_G):
            layers += [nn.Linear(inputs, width), *([nn.BatchNorm1d(width, EPS)] if i else []), nn.LeakyReLU(0.2)]
            inputs = width
        self.net = nn.Sequential(*layers, nn.Linear(inputs, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))

    def forward(self, z: Tensor) -> Tensor:
        """(N, 100) -> (N, 1, 28, 28)."""
        out: Tensor = self.net(z)
        return out


class DenseD(nn.Module):
    """x (N, 1, 28, 28) -> logits (N, 1): hidden layers of 512 and 256."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        inputs = 784
        for width in DENSE_D:
            layers += [nn.Linear(inputs, width), nn.LeakyReLU(0.2)]
            inputs = width
        self.net = nn.Sequential(*layers, nn.Linear(inputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, 28, 28) -> (N, 1)."""
        out: Tensor = self.net(x)
        return out


class ConvG(nn.Module):
    """z (N, 100) -> (N, 1, 32, 32): 8x8 base of 128 maps, twice doubled before a 3x3 convolution, 128 and 64 maps.

    ``fused``: doubling and convolution as one transposed convolution; the parameters and the result are the same.
    """

    bf16 = True

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.channels_last = fused
        first, second, third = CONV_G
        self.project = nn.Linear(Z, first * 64)

        def doubled(inputs: int, outputs: int) -> list[nn.Module]:
            if fused:
                return [nn.Identity(), UpsampleConv(inputs, outputs)]
            return [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1)]

        self.net = nn.Sequential(
            nn.BatchNorm2d(first),
            *doubled(first, second),
            nn.BatchNorm2d(second, EPS),
            nn.LeakyReLU(0.2),
            *doubled(second, third),
            nn.BatchNorm2d(third, EPS),
            nn.LeakyReLU(0.2),
            nn.Conv2d(third, 1, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        """(N, 100) -> (N, 1, 32, 32)."""
        x = self.project(z).unflatten(1, (CONV_G[0], 8, 8))
        x = x.contiguous(memory_format=torch.channels_last) if self.channels_last else x
        out: Tensor = self.net(x)
        return out


class ConvD(nn.Module):
    """x (N, 1, 32, 32) -> logits (N, 1): four strided 3x3 convolutions of 16, 32, 64, 128 maps with dropout of maps."""

    bf16 = True

    def __init__(self, channels_last: bool) -> None:
        super().__init__()
        self.channels_last = channels_last
        layers: list[nn.Module] = []
        inputs = 1
        for i, maps in enumerate(CONV_D):
            layers += [nn.Conv2d(inputs, maps, 3, 2, 1), nn.LeakyReLU(0.2), nn.Dropout2d(0.25)]
            layers += [nn.BatchNorm2d(maps, EPS)] if i else []
            inputs = maps
        self.net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, 32, 32) -> (N, 1)."""
        out: Tensor = self.net(x)
        return out


def networks(name: str, ours: bool) -> tuple[nn.Module, nn.Module]:
    """(G, D) of one of NAMES, with our layers or the plain ones."""
    return (ConvG(ours), ConvD(ours)) if name == "dcgan" else (DenseG(), DenseD())


# ------------------------------------------------------------------------------------------------------------- ours


@dataclass(frozen=True)
class Config:
    """What the peer's scripts use."""

    shape: tuple[int, int, int]
    z_dim: int = Z
    batch_size: int = BATCH
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))


class Ours(GAN):
    """The peer's GAN for our Trainer: the same networks, losses, order of updates and batch."""

    splits_by = None

    def __init__(self, name: str) -> None:
        super().__init__(Config(shape_of(name)))
        self.name = name
        self.G, self.D = networks(name, ours=True)
        self.made: Tensor | None = None

    def phases(self) -> list[Phase]:
        if self.name == "wgan-gp":
            return [Phase("D", self.critic_loss, repeat=N_CRITIC), Phase("G", self.critic_g_loss)]
        return [Phase("G", self.g_loss), Phase("D", self.d_loss)]

    def g_loss(self, batch: Batch) -> Terms:
        self.made = fake = self.G(self.z(len(batch.x)))
        return {"adv": nonsaturating.g(None, self.D(fake))}

    def d_loss(self, batch: Batch) -> Terms:
        """On the fakes of G's phase, as the peer has it; half the sum of both sides."""
        assert self.made is not None
        return {"adv": nonsaturating.d(self.D(batch.x), self.D(self.made.detach())) / 2}

    def critic_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.G(self.z(len(batch.x)))
        both = self.D(torch.cat([batch.x, fake]))  # no norm in D: one pass sees what two would
        real_logits, fake_logits = both.chunk(2)
        gp = GP_WEIGHT * penalties.wgan_gp(self.D, batch.x, fake)
        return {"adv": wasserstein.d(real_logits, fake_logits), "gp": gp}

    def critic_g_loss(self, batch: Batch) -> Terms:
        return {"adv": wasserstein.g(None, self.D(self.G(self.z(len(batch.x)))))}


# ------------------------------------------------------------------------------------------------------------ plain


def plain_step(name: str, seed: int = 0) -> tuple[Callable[[], int], nn.Module]:
    """(a function that runs one plain step and returns the real images used, G)."""
    torch.manual_seed(seed)
    G, D = networks(name, ours=False)
    g_opt, d_opt = (torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (G, D))
    x = torch.rand(BATCH, *shape_of(name)) * 2 - 1
    one, zero = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)

    def noise() -> Tensor:
        return torch.tensor(np.random.normal(0, 1, (BATCH, Z)), dtype=torch.float32)

    def classic() -> int:
        g_opt.zero_grad()
        fake = G(noise())
        g_loss = F.binary_cross_entropy(D(fake).sigmoid(), one)
        g_loss.backward()
        g_opt.step()
        d_opt.zero_grad()
        real_loss = F.binary_cross_entropy(D(x).sigmoid(), one)
        d_loss = (real_loss + F.binary_cross_entropy(D(fake.detach()).sigmoid(), zero)) / 2
        d_loss.backward()
        d_opt.step()
        d_loss.item(), g_loss.item()
        return BATCH

    def critic() -> int:
        for i in range(N_CRITIC):
            d_opt.zero_grad()
            z = noise()
            fake = G(z)
            t = torch.tensor(np.random.random((BATCH, 1, 1, 1)), dtype=torch.float32)
            between = (t * x + (1 - t) * fake.detach()).requires_grad_(True)
            d_loss = -D(x).mean() + D(fake).mean()
            grads = torch.autograd.grad(D(between), between, one, create_graph=True)[0]
            d_loss = d_loss + GP_WEIGHT * ((grads.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
            d_loss.backward()
            d_opt.step()
            g_opt.zero_grad()
            if i == 0:
                g_loss = -D(G(z)).mean()
                g_loss.backward()
                g_opt.step()
                d_loss.item(), g_loss.item()
        return BATCH * N_CRITIC

    return (critic if name == "wgan-gp" else classic), G


def timed(step: Callable[[], int], seconds: float) -> float:
    """Images a second of repeated steps for about so long."""
    images, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds or not images:
        images += step()
    return images / spent if spent else 0.0


def sampling(G: Any, seconds: float) -> float:
    """Images a second when generating 64 at a time, without gradients."""
    z = torch.randn(64, Z)

    def run() -> int:
        with torch.no_grad():
            return len(G(z))

    run()
    return timed(run, seconds)


def main() -> None:
    """``python -m ganloom.bench.peers NAME SECONDS``: the plain step in a process with the allocator as it comes."""
    name, seconds = sys.argv[1], float(sys.argv[2])
    step, G = plain_step(name)
    for _ in range(3):
        step()
    print(timed(step, seconds), sampling(G.eval(), min(seconds, 1.0)))


if __name__ == "__main__":
    main()
