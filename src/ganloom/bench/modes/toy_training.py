"""The training loop of the toy GANs: one method, many seeds in parallel."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ganloom.bench.modes.cures import SCALED, Cure
from ganloom.bench.modes.toy_gans import PLAN, Critic, Layers, Mixture, Plan, Z, latents
from ganloom.core.randomness import key, seed_all
from ganloom.losses import LOSSES
from ganloom.penalties import PENALTIES

LOOKS, BETWEEN = 11, 50
"""Number of snapshots of G's samples at the end of the run, a 50th of the run apart."""
SAMPLES = 2500
"""Number of samples of each seed for the figures."""
NEAR, NEAR_Z, KEPT = 0.02, 0.05, 0.99
"""Noise of the consistency terms: on samples, in root mean squares of the data, and on z; decay of LeCam's running means."""


@dataclass
class Trained:
    """The networks of S seeds after training."""

    G: Layers
    D: Critic
    seconds: float
    looks: list[Tensor] = field(default_factory=list)
    """Snapshots: samples (S, SAMPLES, d) with equal z, late in the run and at its end."""
    signs: int = 0
    """``Plan.signs``."""

    @torch.no_grad()
    def sample(self, n: int, seed: int = 0, cut: float = math.inf) -> Tensor:
        """Draw samples.

        Args:
            n: Number of samples of each seed.
            seed: Seed of the latents.
            cut: Truncate z at +-cut (Brock et al. 2018).

        Returns:
            (S, n, d).
        """
        z = latents(self.G.seeds * n, self.signs, torch.Generator().manual_seed(key(seed, "sample")))
        if cut < math.inf:
            outside = float(torch.special.ndtr(torch.tensor(-cut)))
            z[:, :Z] = torch.special.ndtri(outside + (1 - 2 * outside) * torch.special.ndtr(z[:, :Z]))
        x: Tensor = self.G(z)
        return x.view(self.G.seeds, n, -1)

    @torch.no_grad()
    def field(self, index: int, extent: float, side: int, batch: int) -> Tensor:
        """Compute D's logits on a raster of [-extent, extent]^2; all samples of a pack are the same point.

        Args:
            index: Which network.
            extent: Half of the side of the square.
            side: Number of points on a side.
            batch: Batch size.

        Returns:
            (side, side), the top row first.
        """
        line = torch.linspace(-extent, extent, side)
        y, x = torch.meshgrid(line.flip(0), line, indexing="ij")
        points = torch.stack([x, y], 2).view(-1, 2)
        logits = torch.empty(len(points))
        # In random order: a D that uses the whole batch must not get one line of the raster as a batch.
        for places in torch.randperm(len(points), generator=torch.Generator().manual_seed(0)).split(batch):
            packed = points[places].repeat_interleave(self.D.pack, 0)
            logits[places] = self.D(packed.repeat(self.G.seeds, 1)).view(self.G.seeds, -1)[index]
        return logits.view(side, side)


def train(
    cure: Cure,
    mixture: Mixture,
    seeds: int,
    steps: int,
    seed: int = 0,
    at: Callable[[int], None] = lambda step: None,
    plan: Plan = PLAN,
) -> Trained:
    """Train many GANs at once.

    Args:
        cure: How to train.
        mixture: The data.
        seeds: Number of GANs.
        steps: Steps of G.
        seed: The first seed; it determines all random numbers.
        at: Called with the number of each step.
        plan: How the data set is trained.

    Returns:
        The networks.
    """
    seed_all(key(seed, seeds, "toys"))
    dim, hidden = mixture.modes.shape[1], (plan.width,) * 3
    G = Layers(seeds, (Z + plan.signs, *hidden, dim))
    D = Critic(seeds, (dim, *hidden, 1), 0.2, cure.spectral, cure.pack, cure.batch)
    mixture.begin(seeds)
    loop = Loop(cure, mixture, G, D, plan)
    trained = Trained(G, D, 0.0, signs=plan.signs)
    late = {round(steps * (1 - i / BETWEEN)) for i in range(LOOKS)}
    start = time.perf_counter()
    for _ in range(plan.ahead):
        loop.lead()
    for step in range(steps):
        loop.step(step / steps, 1 / steps)
        at(step + 1)
        if step + 1 in late:
            with loop.averaged():
                trained.looks.append(trained.sample(SAMPLES, seed))
    trained.seconds = time.perf_counter() - start
    loop.exchange()
    return trained


class Loop:
    """The steps of a cure. Losses are multiplied by S, so that a mean over all samples is the sum of the means of the seeds.

    Args:
        cure: How to train.
        mixture: The data.
        G: Generators of S seeds.
        D: Discriminators of S seeds.
        plan: How the data set is trained.
    """

    def __init__(self, cure: Cure, mixture: Mixture, G: Layers, D: Critic, plan: Plan = PLAN) -> None:
        self.cure, self.mixture, self.G, self.D, self.plan = cure, mixture, G, D, plan
        self.rates = [plan.rates * lr for lr in cure.lr]
        self.turns = max(cure.n_critic, plan.critic)
        self.loss = LOSSES[cure.loss]
        self.of = {"G": list(G.parameters()), "D": list(D.parameters())}
        self.opt: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(p, lr=lr, betas=(cure.betas[0], plan.beta or cure.betas[1]), fused=True)
            for (name, p), lr in zip(self.of.items(), self.rates, strict=True)
        }
        if plan.descent:
            self.rates[0] = plan.descent
            self.opt["G"] = torch.optim.SGD(self.of["G"], lr=plan.descent)
        self.ema = cure.ema or plan.ema
        self.average = [p.detach().clone() for p in G.parameters()] if self.ema else None
        self.past = {net: [p.detach().clone() for p in ps] for net, ps in self.of.items()} if cure.history else {}
        self.anchors = torch.zeros(2, G.seeds, 1)
        self.rms = math.sqrt(mixture.mean_square)
        self.weights = {
            name: weight * plan.penalties * (mixture.mean_square if name in SCALED else 1)
            for name, weight in cure.penalties
        }

    def step(self, done: float, share: float) -> None:
        """Make one step of G and the steps of D before it.

        Args:
            done: Part of the run that is over, in [0, 1).
            share: Part of the run that one step is.
        """
        cure = self.cure
        pace = 1.0 if self.plan.steady else min(1.0, (1 - done) / (1 - cure.decay_from))
        for opt, lr in zip(self.opt.values(), self.rates, strict=True):
            opt.param_groups[0]["lr"] = lr * pace
        for turn in range(self.turns):
            z = latents(self.G.seeds * self.plan.batch, self.plan.signs)
            # The fakes of D's last step are used for G too, so that G's forward pass runs once.
            with torch.set_grad_enabled(turn == self.turns - 1):
                fake = self.G(z)
            real = self.mixture.draw(len(fake))
            self._descend("D", self.d_loss(real, fake.detach(), done, z))
        with self._unrolled(done):
            grads = torch.autograd.grad(self.g_loss(real, fake, done, z) * self.G.seeds, self.of["G"])
        self._update("G", grads)
        if self.past:
            self._remember(round(done / share) + 1)
        if self.average is not None:
            # A short half-life at first, so that the first weights do not stay in the mean.
            half = min(self.ema, done / 4 + share) / share
            with torch.no_grad():
                for mean, p in zip(self.average, self.of["G"], strict=True):
                    mean.lerp_(p, 1 - 0.5 ** (1 / half))

    def lead(self, done: float = 0.0) -> None:
        """Make a step of D alone."""
        with torch.no_grad():
            z = latents(self.G.seeds * self.plan.batch, self.plan.signs)
            fake = self.G(z)
        self._descend("D", self.d_loss(self.mixture.draw(len(fake)), fake, done, z))

    @torch.no_grad()
    def exchange(self) -> None:
        """Exchange the weights of G and their EMA, if there is one."""
        for mean, p in zip(self.average or (), self.of["G"] if self.average else (), strict=True):
            weights = p.clone()
            p.copy_(mean)
            mean.copy_(weights)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Use the EMA weights of G inside the ``with`` block."""
        self.exchange()
        yield
        self.exchange()

    def d_loss(self, real: Tensor, fake: Tensor, done: float, z: Tensor | None = None) -> Tensor:
        """Compute D's loss with the weighted penalties.

        Args:
            real: Real samples (S x N, d).
            fake: Fakes (S x N, d).
            done: Part of the run that is over.
            z: The latents of the fakes.

        Returns:
            A scalar, the mean over seeds.
        """
        cure = self.cure
        self.D.turn()
        real, fake = self._blur(real, done), self._blur(fake, done)
        of_real, of_fake = self._judge(real, fake)
        loss = self.loss.d(of_real, of_fake)
        if cure.smooth:
            # Cross-entropy against 1 - s: (1 - s) softplus(-l) + s softplus(l) = softplus(-l) + s l.
            loss = loss + cure.smooth * of_real.mean()
        for name, weight in self.weights.items():
            loss = loss + weight * cure.anneal**done * PENALTIES[name](self._packed, self._pack(real), self._pack(fake))
        for weight, x, logits in zip(cure.consistency, (real, fake), (of_real, of_fake), strict=True):
            if weight:
                near = self.D(x + NEAR * self.rms * torch.randn_like(x))
                loss = loss + weight * (logits - near).square().mean()
        if cure.latent[0] and z is not None:
            loss = loss + cure.latent[0] * (of_fake - self.D(self._near(z).detach())).square().mean()
        if cure.lecam:
            loss = loss + cure.lecam * self._lecam(of_real, of_fake)
        return loss

    def _judge(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """D's logits on both: in one pass, or in two if D uses the whole batch."""
        if self.D.batch:
            return self.D(real), self.D(fake)
        seeds = self.G.seeds
        both = torch.cat([x.view(seeds, -1, x.shape[1]) for x in (real, fake)], 1)
        logits: Tensor = self.D(both.flatten(0, 1)).view(seeds, 2, -1)
        return logits[:, 0].flatten(), logits[:, 1].flatten()

    def g_loss(self, real: Tensor, fake: Tensor, done: float, z: Tensor) -> Tensor:
        """Compute G's loss; see ``d_loss``."""
        cure, seeds = self.cure, self.G.seeds
        if cure.matching:
            of_real, of_fake = (self.D.features(self._blur(x, done)).mean(1) for x in (real, fake))
            return (of_real.detach() - of_fake).square().sum(1).mean()
        others = self.D(self._blur(real, done)) if self.loss.needs_real_in_g else None
        logits: Tensor = self.D(self._blur(fake, done))
        if cure.top < 1:
            part = round((1 - (1 - cure.top) * done) * len(logits) / seeds)
            logits = logits.view(seeds, -1).topk(part, dim=1).values.flatten()
        g = self.loss.g(others, logits)
        if cure.latent[1]:  # for data with mean square 1, as images have about
            g = g - cure.latent[1] * ((fake - self._near(z)) / self.rms).square().mean()
        return g

    def _near(self, z: Tensor) -> Tensor:
        x: Tensor = self.G(z + NEAR_Z * torch.randn_like(z))
        return x

    def _lecam(self, of_real: Tensor, of_fake: Tensor) -> Tensor:
        """``penalties.lecam`` with running means of each seed, which are updated first."""
        real, fake = (x.view(self.G.seeds, -1) for x in (of_real, of_fake))
        self.anchors.lerp_(torch.stack([x.detach().mean(1, keepdim=True) for x in (real, fake)]), 1 - KEPT)
        return (real - self.anchors[1]).square().mean() + (fake - self.anchors[0]).square().mean()

    def _pack(self, x: Tensor) -> Tensor:
        """Join the samples that D judges as one: (S x N / pack, pack x d)."""
        return x.reshape(-1, x.shape[1] * self.cure.pack)

    def _packed(self, x: Tensor) -> Tensor:
        logits: Tensor = self.D(x.reshape(-1, x.shape[1] // self.cure.pack))
        return logits

    def _blur(self, x: Tensor, done: float) -> Tensor:
        sd = self.cure.noise * self.rms * max(0.0, 1 - done / self.cure.noise_until)
        return x + sd * torch.randn_like(x) if sd else x

    def _descend(self, net: str, loss: Tensor) -> None:
        self._update(net, torch.autograd.grad(loss * self.G.seeds, self.of[net]))

    def _update(self, net: str, grads: tuple[Tensor, ...]) -> None:
        for i, (p, grad) in enumerate(zip(self.of[net], grads, strict=True)):
            # A double backward may return a transposed layout, but fused Adam needs the layout of the weight.
            pull = self._pull(net, i, p.detach())
            p.grad = (grad if pull is None else grad + pull).contiguous()
        self.opt[net].step()
        if net == "D" and self.cure.clip is not None:
            with torch.no_grad():
                for p in self.of["D"]:
                    p.clamp_(-self.cure.clip, self.cure.clip)

    def _pull(self, net: str, i: int, p: Tensor) -> Tensor | None:
        """Gradient of the penalties on the i-th weights (S, in, out), or None."""
        cure, matrix, pulls = self.cure, p.shape[1] > 1, []
        if self.past:
            pulls.append(2 * cure.history * (p - self.past[net][i]))
        if net == "D" and matrix and cure.weight_decay:
            pulls.append(cure.weight_decay * p)
        if net == "G" and matrix and cure.orthogonal:
            gram = p.mT @ p
            pulls.append(4 * cure.orthogonal * (p @ (gram - torch.diag_embed(gram.diagonal(dim1=1, dim2=2)))))
        return sum(pulls[1:], pulls[0]) if pulls else None

    @torch.no_grad()
    def _remember(self, step: int) -> None:
        for net, past in self.past.items():
            for mean, p in zip(past, self.of[net], strict=True):
                mean.lerp_(p, 1 / (step + 1))

    @contextlib.contextmanager
    def _unrolled(self, done: float) -> Iterator[None]:
        """D some steps later inside the ``with`` block (Metz et al. 2016, without the gradient through D's steps)."""
        if not self.cure.unroll:
            yield
            return
        opt = self.opt["D"]
        saved = [(t, t.clone()) for p in self.of["D"] for t in (p.detach(), *opt.state[p].values())]
        for _ in range(self.cure.unroll):
            self.lead(done)
        yield
        with torch.no_grad():
            for live, old in saved:
                live.copy_(old)
