"""The training loop of the toys: one cure, many seeds at once."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.bench.cures import Cure
from ganloom.bench.toys import Critic, Layers, Mixture
from ganloom.losses import LOSSES
from ganloom.penalties import PENALTIES
from ganloom.randomness import key, seed_all

Z, WIDTH, DEPTH, BATCH = 2, 128, 3, 128
"""Noise of 2 numbers; G and D of three hidden layers of 128; 128 real samples a step."""


@dataclass
class Trained:
    """Networks of S seeds after training."""

    G: Layers
    D: Critic
    seconds: float

    @torch.no_grad()
    def sample(self, n: int, seed: int = 0) -> Tensor:
        """n samples of each seed, (S, n, d)."""
        z = torch.randn(self.G.seeds * n, Z, generator=torch.Generator().manual_seed(key(seed, "sample")))
        x: Tensor = self.G(z)
        return x.view(self.G.seeds, n, -1)

    @torch.no_grad()
    def field(self, index: int, extent: float, side: int, batch: int) -> Tensor:
        """D's logits of one seed on a side x side raster of [-extent, extent]^2, top row first; packs hold one point."""
        line = torch.linspace(-extent, extent, side)
        y, x = torch.meshgrid(line.flip(0), line, indexing="ij")
        points = torch.stack([x, y], 2).view(-1, 2)
        logits = torch.empty(len(points))
        # In a mixed order, or a D that looks at the whole batch would see one line of the raster at a time.
        for places in torch.randperm(len(points), generator=torch.Generator().manual_seed(0)).split(batch):
            packed = points[places].repeat_interleave(self.D.pack, 0)
            logits[places] = self.D(packed.repeat(self.G.seeds, 1)).view(self.G.seeds, -1)[index]
        return logits.view(side, side)


def train(
    cure: Cure, mixture: Mixture, seeds: int, steps: int, seed: int = 0, at: Callable[[int], None] = lambda step: None
) -> Trained:
    """Train ``seeds`` GANs side by side; ``seed`` is the first one's number and keys all. ``at`` hears of each step."""
    seed_all(key(seed, seeds, "toys"))
    dim, hidden = mixture.modes.shape[1], (WIDTH,) * DEPTH
    G = Layers(seeds, (Z, *hidden, dim))
    D = Critic(seeds, (dim, *hidden, 1), 0.2, cure.spectral, cure.pack, cure.batch)
    loop = Loop(cure, mixture, G, D)
    begun = time.perf_counter()
    for step in range(steps):
        loop.step(step / steps, 1 / steps)
        at(step + 1)
    if loop.average is not None:
        with torch.no_grad():
            for p, mean in zip(G.parameters(), loop.average, strict=True):
                p.copy_(mean)
    return Trained(G, D, time.perf_counter() - begun)


class Loop:
    """One step of a cure. Losses are times S: a mean over all seeds' samples becomes the sum of the seeds' means."""

    def __init__(self, cure: Cure, mixture: Mixture, G: Layers, D: Critic) -> None:
        self.cure, self.mixture, self.G, self.D = cure, mixture, G, D
        self.loss = LOSSES[cure.loss]
        self.of = {"G": list(G.parameters()), "D": list(D.parameters())}
        self.opt = {
            name: torch.optim.Adam(p, lr=lr, betas=cure.betas, fused=True)
            for (name, p), lr in zip(self.of.items(), cure.lr, strict=True)
        }
        self.average = [p.detach().clone() for p in G.parameters()] if cure.ema else None

    def step(self, done: float, share: float) -> None:
        """``done``: part of the run that is over; ``share``: a step's part of it."""
        cure = self.cure
        pace = min(1.0, (1 - done) / (1 - cure.decay_from))
        for opt, lr in zip(self.opt.values(), cure.lr, strict=True):
            opt.param_groups[0]["lr"] = lr * pace
        for turn in range(cure.n_critic):
            # The fakes of D's last step serve G too: G's forward pass is run once.
            with torch.set_grad_enabled(turn == cure.n_critic - 1):
                fake = self.G(torch.randn(self.G.seeds * BATCH, Z))
            real = self.mixture.draw(len(fake))
            self._descend("D", self.d_loss(real, fake.detach(), done))
        with self._looking_ahead(done):
            g = self.loss.g(self.D(self._blur(real, done)) if self.loss.needs_real_in_g else None,
                            self.D(self._blur(fake, done)))  # fmt: skip
            grads = torch.autograd.grad(g * self.G.seeds, self.of["G"])
        self._update("G", grads)
        if self.average is not None:
            half = (
                min(cure.ema, done / 4 + share) / share
            )  # short at first, or the first weights would stay in the mean
            with torch.no_grad():
                for mean, p in zip(self.average, self.of["G"], strict=True):
                    mean.lerp_(p, 1 - 0.5 ** (1 / half))

    def d_loss(self, real: Tensor, fake: Tensor, done: float) -> Tensor:
        """What D descends: its loss and the weighted penalties."""
        cure = self.cure
        self.D.turn()
        real, fake = self._blur(real, done), self._blur(fake, done)
        of_real = self.D(real)
        loss = self.loss.d(of_real, self.D(fake))
        if cure.smooth:
            # Cross-entropy against 1 - s: (1 - s) softplus(-l) + s softplus(l) = softplus(-l) + s l.
            loss = loss + cure.smooth * of_real.mean()
        for name, weight in cure.penalties:
            loss = loss + weight * cure.anneal**done * PENALTIES[name](self._packed, self._pack(real), self._pack(fake))
        return loss

    def _pack(self, x: Tensor) -> Tensor:
        """What D judges as one sample: (S x N / pack, pack x d)."""
        return x.reshape(-1, x.shape[1] * self.cure.pack)

    def _packed(self, x: Tensor) -> Tensor:
        logits: Tensor = self.D(x.reshape(-1, x.shape[1] // self.cure.pack))
        return logits

    def _blur(self, x: Tensor, done: float) -> Tensor:
        sd = self.cure.noise * max(0.0, 1 - done / self.cure.noise_until)
        return x + sd * torch.randn_like(x) if sd else x

    def _descend(self, net: str, loss: Tensor) -> None:
        self._update(net, torch.autograd.grad(loss * self.G.seeds, self.of[net]))

    def _update(self, net: str, grads: tuple[Tensor, ...]) -> None:
        for p, grad in zip(self.of[net], grads, strict=True):
            # A double backward may leave a transposed layout, and fused Adam reads memory in the weight's own order.
            p.grad = grad.contiguous()
        self.opt[net].step()
        if net == "D" and self.cure.clip is not None:
            with torch.no_grad():
                for p in self.of["D"]:
                    p.clamp_(-self.cure.clip, self.cure.clip)

    @contextlib.contextmanager
    def _looking_ahead(self, done: float) -> Iterator[None]:
        """D some steps later, put back afterwards (Metz et al. 2016, without the gradient through D's steps)."""
        if not self.cure.unroll:
            yield
            return
        opt = self.opt["D"]
        kept = [(t, t.clone()) for p in self.of["D"] for t in (p.detach(), *opt.state[p].values())]
        for _ in range(self.cure.unroll):
            with torch.no_grad():
                fake = self.G(torch.randn(self.G.seeds * BATCH, Z))
            self._descend("D", self.d_loss(self.mixture.draw(len(fake)), fake, done))
        yield
        with torch.no_grad():
            for live, old in kept:
                live.copy_(old)
