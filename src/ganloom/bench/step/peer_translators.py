"""pix2pix and CycleGAN with the training step of PyTorch-GAN's scripts, on networks of ganloom.

The scripts (github.com/eriklindernoren/PyTorch-GAN, pix2pix.py and cyclegan.py), written again: float32 and NCHW; least
squares on D's patches; torch's Adam with default options; D computes gradients in G's update too, which are not used; the two
discriminators of CycleGAN are updated one after the other; old fakes come from a list; the losses are read at each step.
"""

import random
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.bench.step.author_run import Peer
from ganloom.bench.step.peers import BETAS, LR, ready_batches
from ganloom.core import randomness
from ganloom.gan import GAN, Batch
from ganloom.recipes import cyclegan, pix2pix

POOL = 50


TRANSLATING: dict[str, Peer] = {
    "pix2pix-256": Peer("pix2pix.py 256 px", "pix2pix", (3, 256, 256), batch=1, samples=4),
    "pix2pix-64": Peer("pix2pix.py 64 px", "pix2pix", (3, 64, 64), batch=16, samples=16),
    "cyclegan-128": Peer("cyclegan.py 128 px", "cyclegan", (3, 128, 128), batch=1, samples=4),
    "cyclegan-32": Peer("cyclegan.py 32 px", "cyclegan", (3, 32, 32), batch=4, samples=16),
}


def ours(name: str, seed: int = 0) -> GAN:
    """Build ganloom's model: the papers' networks at 128 and 256 px, half as wide below; 6 blocks for CycleGAN.

    Args:
        name: A key of ``TRANSLATING``.
        seed: Seed of the weights.
    """
    peer = TRANSLATING[name]
    randomness.seed_all(seed)
    settings: dict[str, Any] = {"batch_size": peer.batch, "jitter": 1.0}
    if peer.shape[1] < 128:
        settings |= {"width": 32, "d_width": 32}
    if peer.recipe == "pix2pix":
        return pix2pix.Pix2Pix(pix2pix.Config(peer.shape, norm="instance", **settings))
    return cyclegan.CycleGAN(cyclegan.Config(peer.shape, **settings))


class Sides:
    """Data without cost: prepared batches with inputs, or with images of the other domain.

    Args:
        name: A key of ``TRANSLATING``.
        device: The device.
    """

    def __init__(self, name: str, device: str) -> None:
        peer = TRANSLATING[name]
        self.name, self.paired = name, peer.recipe == "pix2pix"
        self.inputs = ready_batches(peer.shape, peer.batch, device)
        self.targets = [x.flip(3) for x in self.inputs]
        self.count = 0

    def unpaired(self) -> "Sides":
        """Return the data itself, whose domains are unpaired."""
        return self

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        """Return the next batch."""
        self.count += 1
        at = self.count % len(self.inputs)
        x, other = self.targets[at], self.inputs[at]
        return Batch(x, c=other) if self.paired else Batch(x, y=other)


class TranslatingRun:
    """The training step of a script, on the weights of a ganloom model.

    Args:
        name: A key of ``TRANSLATING``.
        device: The device.
        seed: Seed of the weights.
    """

    def __init__(self, name: str, device: str = "cpu", seed: int = 0) -> None:
        self.peer, self.device = TRANSLATING[name], device
        self.gan: Any = ours(name, seed).to(device).train()
        self.sides = Sides(name, device)
        self.rng, self.at = torch.Generator(), 0
        nets = [self.gan.G, *(self.gan.D.values() if self.peer.recipe == "cyclegan" else [self.gan.D])]
        self.g_opt, *self.d_opts = (torch.optim.Adam(net.parameters(), lr=LR, betas=BETAS) for net in nets)
        self.old: dict[str, list[Tensor]] = {"a": [], "b": []}
        self.random = random.Random(seed)

    def step(self) -> tuple[float, float]:
        """Make one round of updates; return the losses (D, G)."""
        batch = self.sides.draw(self.peer.batch, self.rng)
        g, d = self._pix2pix(batch) if self.peer.recipe == "pix2pix" else self._cyclegan(batch)
        return d.item(), g.item()

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Translate images with the current weights."""
        images: Tensor = self.gan.way().eval()(inputs_of(self.peer, self.device))
        self.gan.train()
        return images

    def _pix2pix(self, batch: Batch) -> tuple[Tensor, Tensor]:
        gan, x, c = self.gan, batch.x, batch.c
        assert c is not None
        self.g_opt.zero_grad()
        fake = gan.G(c)
        g_loss = squares(gan.D(fake, c), 1.0) + gan.cfg.l1 * F.l1_loss(fake, x)
        g_loss.backward()
        self.g_opt.step()
        (opt,) = self.d_opts
        opt.zero_grad()
        d_loss = (squares(gan.D(x, c), 1.0) + squares(gan.D(fake.detach(), c), 0.0)) / 2
        d_loss.backward()
        opt.step()
        return g_loss, d_loss

    def _cyclegan(self, batch: Batch) -> tuple[Tensor, Tensor]:
        gan, a, b = self.gan, batch.y, batch.x
        assert a is not None
        to_b, to_a, judge_a, judge_b = gan.G["ab"], gan.G["ba"], gan.D["a"], gan.D["b"]
        self.g_opt.zero_grad()
        same = (F.l1_loss(to_a(a), a) + F.l1_loss(to_b(b), b)) / 2
        fake_b, fake_a = to_b(a), to_a(b)
        adv = (squares(judge_b(fake_b), 1.0) + squares(judge_a(fake_a), 1.0)) / 2
        cycle = (F.l1_loss(to_a(fake_b), a) + F.l1_loss(to_b(fake_a), b)) / 2
        g_loss = adv + gan.cfg.cycle * cycle + gan.cfg.cycle * gan.cfg.identity * same
        g_loss.backward()
        self.g_opt.step()
        total = torch.zeros((), device=self.device)
        for side, judge, opt, real, fake in zip(
            "ab", (judge_a, judge_b), self.d_opts, (a, b), (fake_a, fake_b), strict=True
        ):
            opt.zero_grad()
            mixed = self._mixed(side, fake.detach())
            loss = (squares(judge(real), 1.0) + squares(judge(mixed), 0.0)) / 2
            loss.backward()
            opt.step()
            total = total + loss.detach()
        return g_loss, total / 2

    def _mixed(self, side: str, fakes: Tensor) -> Tensor:
        pool, mixed = self.old[side], []
        for one in fakes:
            if len(pool) < POOL:
                pool.append(one)
            elif self.random.random() > 0.5:
                at = self.random.randrange(POOL)
                one, pool[at] = pool[at].clone(), one
            mixed.append(one)
        return torch.stack(mixed)


def inputs_of(peer: Peer, device: str) -> Tensor:
    """Prepare the inputs of one call of translating."""
    (x,) = ready_batches(peer.shape, peer.samples, device, count=1)
    return x


def squares(logits: Tensor, target: float) -> Tensor:
    """Compute the mean squared distance of logits from 1 (real) or 0 (fake)."""
    return F.mse_loss(logits, torch.full_like(logits, target))
