"""Three scripts of PyTorch-GAN (Erik Linder-Norén): tables of their layers, and their training step.

Many people start from these scripts: `gan.py`, `dcgan.py` and `wgan_gp.py` with their default arguments. The tables have the
sizes of their layers. ``PeerRun`` makes a step like the scripts, written again: the probability from a sigmoid in a binary
cross-entropy, the generator first, its fakes used again for the discriminator, unused gradients of the discriminator in the
generator's step, Adam without fusion, float32, NCHW, noise from numpy, and both losses read at each step. The loader and the
printing are left out, in favour of the scripts. Batches are prepared.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core import randomness
from ganloom.nn.layers import UpsampleConv

Layer = tuple[str, tuple[int, ...]]
Z_DIM = 100
LR, BETAS = 2e-4, (0.5, 0.999)
GP_WEIGHT = 10.0
EPS = 0.8
"""The eps of BatchNorm in the scripts (in the Keras code that they come from, it was a momentum)."""


@dataclass(frozen=True)
class Peer:
    """One script: the shape of its images, its layers (kind, sizes), and the updates of D for each update of G."""

    script: str
    shape: tuple[int, int, int]
    g: tuple[Layer, ...]
    d: tuple[Layer, ...]
    n_critic: int = 1
    critic: bool = False
    """Wasserstein loss with gradient penalty; else probabilities."""
    conv: bool = False
    batch: int = 64


def _hidden(inputs: int, outputs: int) -> tuple[Layer, ...]:
    return (("linear", (inputs, outputs)), ("norm1d", (outputs,)), ("leaky", ()))


def _down(inputs: int, outputs: int, norm: bool = True) -> tuple[Layer, ...]:
    layers: tuple[Layer, ...] = (("conv", (inputs, outputs, 2)), ("leaky", ()), ("drop", ()))
    return (*layers, ("norm2d", (outputs,))) if norm else layers


_DENSE_G: tuple[Layer, ...] = (
    ("linear", (Z_DIM, 128)), ("leaky", ()), *_hidden(128, 256), *_hidden(256, 512), *_hidden(512, 1024),
    ("linear", (1024, 784)), ("tanh", ()), ("picture", (1, 28, 28)),
)  # fmt: skip
_DENSE_D: tuple[Layer, ...] = (
    ("flatten", ()), ("linear", (784, 512)), ("leaky", ()), ("linear", (512, 256)), ("leaky", ()), ("linear", (256, 1)),
)  # fmt: skip
_CONV_G: tuple[Layer, ...] = (
    ("linear", (Z_DIM, 8192)), ("grid", (128, 8, 8)), ("norm2d plain", (128,)),
    ("double", ()), ("conv", (128, 128, 1)), ("norm2d", (128,)), ("leaky", ()),
    ("double", ()), ("conv", (128, 64, 1)), ("norm2d", (64,)), ("leaky", ()),
    ("conv", (64, 1, 1)), ("tanh", ()),
)  # fmt: skip
_CONV_D: tuple[Layer, ...] = (
    *_down(1, 16, norm=False), *_down(16, 32), *_down(32, 64), *_down(64, 128), ("flatten", ()), ("linear", (512, 1)),
)  # fmt: skip
_END: tuple[Layer, ...] = (("sigmoid", ()),)

PEERS: dict[str, Peer] = {
    "gan": Peer("gan.py", (1, 28, 28), _DENSE_G, _DENSE_D + _END),
    "dcgan": Peer("dcgan.py", (1, 32, 32), _CONV_G, _CONV_D + _END, conv=True),
    "wgan_gp": Peer("wgan_gp.py", (1, 28, 28), _DENSE_G, _DENSE_D, n_critic=5, critic=True),
}

_MAKE: dict[str, Callable[..., nn.Module]] = {
    "linear": lambda inputs, outputs: nn.Linear(inputs, outputs),
    "conv": lambda inputs, outputs, stride: nn.Conv2d(inputs, outputs, 3, stride, 1),
    "norm1d": lambda n: nn.BatchNorm1d(n, eps=EPS),
    "norm2d": lambda n: nn.BatchNorm2d(n, eps=EPS),
    "norm2d plain": lambda n: nn.BatchNorm2d(n),
    "leaky": lambda: nn.LeakyReLU(0.2, inplace=True),
    "drop": lambda: nn.Dropout2d(0.25),
    "double": lambda: nn.Upsample(scale_factor=2),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "flatten": nn.Flatten,
    "picture": lambda *shape: nn.Unflatten(1, shape),
    "grid": lambda *shape: nn.Unflatten(1, shape),
}


class Grid(nn.Module):
    """Reshape (N, C x H x W) to (N, C, H, W) in channels_last.

    Args:
        shape: (C, H, W).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """(N, C x H x W) -> (N, C, H, W)."""
        out: Tensor = x.unflatten(1, self.shape)
        return out.contiguous(memory_format=torch.channels_last)


def build(layers: Sequence[Layer], *, ours: bool = False) -> nn.Sequential:
    """Build the network of a table.

    Modules are named by their row, so the weights have the same names with and without ``ours``.

    Args:
        layers: (kind, sizes) of each layer.
        ours: Upsampling and convolution in one module, grids in channels_last, no sigmoid at the end.
    """
    net = nn.Sequential()
    before = ""
    for row, (kind, sizes) in enumerate(layers):
        if not (ours and kind in ("double", "sigmoid")):
            if ours and before == "double":
                module: nn.Module = UpsampleConv(sizes[0], sizes[1])
            else:
                module = Grid(sizes) if ours and kind == "grid" else _MAKE[kind](*sizes)
            net.add_module(str(row), module)
        before = kind
    for module in net.modules():  # only the convolutional script has its own initialization
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
    return net


def ready_batches(shape: tuple[int, ...], n: int, device: str, count: int = 8) -> list[Tensor]:
    """Prepare batches (n, *shape) in [-1, 1] on the device."""
    generator = torch.Generator().manual_seed(0)
    return [(torch.rand(n, *shape, generator=generator) * 2 - 1).to(device) for _ in range(count)]


class PeerRun:
    """The networks, optimizers and training step of a script.

    Args:
        name: A key of ``PEERS``.
        device: The device.
        seed: Seed of the weights and the noise.
    """

    def __init__(self, name: str, device: str = "cpu", seed: int = 0) -> None:
        self.peer, self.device = PEERS[name], device
        randomness.seed_all(seed)
        self.numpy = np.random.RandomState(seed)
        self.G, self.D = build(self.peer.g).to(device), build(self.peer.d).to(device)
        self.g_opt = torch.optim.Adam(self.G.parameters(), lr=LR, betas=BETAS)
        self.d_opt = torch.optim.Adam(self.D.parameters(), lr=LR, betas=BETAS)
        self.batches = ready_batches(self.peer.shape, self.peer.batch, device)
        self.count = 0

    def step(self) -> tuple[float, float]:
        """Make one round of updates; return the losses (D, G)."""
        return self._critic_step() if self.peer.critic else self._step()

    def sample(self) -> Tensor:
        """Generate a batch of images with the current weights, in eval mode."""
        self.G.eval()
        with torch.no_grad():
            out: Tensor = self.G(self._noise())
        self.G.train()
        return out

    def _next(self) -> Tensor:
        self.count += 1
        return self.batches[self.count % len(self.batches)]

    def _noise(self) -> Tensor:
        return torch.from_numpy(self.numpy.normal(0, 1, (self.peer.batch, Z_DIM))).float().to(self.device)

    def _step(self) -> tuple[float, float]:
        real, n = self._next(), self.peer.batch
        ones, zeros = torch.ones(n, 1, device=self.device), torch.zeros(n, 1, device=self.device)
        self.g_opt.zero_grad()
        fakes = self.G(self._noise())
        g_loss = F.binary_cross_entropy(self.D(fakes), ones)
        g_loss.backward()
        self.g_opt.step()
        self.d_opt.zero_grad()
        on_real = F.binary_cross_entropy(self.D(real), ones)
        on_fakes = F.binary_cross_entropy(self.D(fakes.detach()), zeros)
        d_loss = (on_real + on_fakes) / 2
        d_loss.backward()
        self.d_opt.step()
        return d_loss.item(), g_loss.item()

    def _critic_step(self) -> tuple[float, float]:
        for _ in range(self.peer.n_critic):
            real, noise = self._next(), self._noise()
            self.d_opt.zero_grad()
            fakes = self.G(noise)  # with graph: the backward pass of the script continues into G
            on_real, on_fakes = self.D(real), self.D(fakes)
            d_loss = on_fakes.mean() - on_real.mean() + GP_WEIGHT * self._penalty(real, fakes.detach())
            d_loss.backward()
            self.d_opt.step()
            self.g_opt.zero_grad()
        g_loss = -self.D(self.G(noise)).mean()
        g_loss.backward()
        self.g_opt.step()
        return d_loss.item(), g_loss.item()

    def _penalty(self, real: Tensor, fakes: Tensor) -> Tensor:
        places = torch.from_numpy(self.numpy.random_sample((len(real), 1, 1, 1))).float().to(self.device)
        between = (places * real + (1 - places) * fakes).requires_grad_(True)
        out = self.D(between)
        (slope,) = torch.autograd.grad(out, between, torch.ones_like(out), create_graph=True)
        penalty: Tensor = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
        return penalty
