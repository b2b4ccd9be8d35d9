"""Train one toy GAN with many seeds in parallel: each weight has a leading seed axis, and a layer is one batched product.

The samples of all seeds are on one axis, seed after seed: (S x N, d). So the losses and penalties of ganloom can be used,
which are means over samples. Multiplied by S, the gradient of each seed is the same as alone, and Adam treats each number
separately. So the seeds are independent, except that one generator draws the random numbers for all.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Z, BATCH = 2, 128
"""Size of the normal part of z; real samples in a step."""


@dataclass(frozen=True)
class Plan:
    """How a data set is trained; equal for every cure."""

    width: int = 128
    """Width of the three hidden layers of G and D."""
    beta: float = 0.0
    """Adam's second beta. 0: the one of the cure."""
    penalties: float = 1.0
    """Factor for the weights of the cure's penalties."""
    rates: float = 1.0
    """Factor for the cure's learning rates."""
    steady: bool = False
    """Constant learning rates."""
    ahead: int = 0
    """Steps of D before the first step of G."""
    descent: float = 0.0
    """Step size of plain gradient descent for G, because Adam scales vanishing gradients up. 0: Adam."""
    critic: int = 1
    """Steps of D for each step of G, if the cure does not have more."""
    batch: int = BATCH
    """Real samples in a step."""
    ema: float = 0.0
    """Half-life of the EMA of G as a part of the run, if the cure has none. The EMA is measured."""
    signs: int = 0
    """How many more numbers of z are -1 or 1. With a connected latent space, a continuous G makes bridges of samples
    between the modes (Khayatkhoei et al. 2018, arXiv:1806.00880); a disconnected one avoids them."""


PLAN = Plan()


def latents(n: int, signs: int = 0, generator: torch.Generator | None = None) -> Tensor:
    """Draw latents (n, Z + signs): normal numbers, and signs with equal probability."""
    z = torch.randn(n, Z, generator=generator)
    if not signs:
        return z
    bits = torch.randint(2, (n, signs), generator=generator)
    return torch.cat([z, 2.0 * bits - 1], 1)


class Layers(nn.Module):
    """Dense layers of S networks, (S x N, sizes[0]) -> (S x N, sizes[-1]), initialized like ``torch.nn.Linear``.

    Args:
        seeds: Number of networks S.
        sizes: Sizes of the layers, from the input to the output.
        slope: Slope of the leaky ReLU between layers; 0 for ReLU.
        spectral: Divide each weight by its largest singular value (Miyato et al. 2018, arXiv:1802.05957). Each call of
            ``turn`` is one step of the power iteration.
    """

    def __init__(self, seeds: int, sizes: tuple[int, ...], slope: float = 0.0, spectral: bool = False) -> None:
        super().__init__()
        self.seeds, self.slope, self.spectral = seeds, slope, spectral
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for inputs, outputs in zip(sizes, sizes[1:], strict=False):
            bound = 1 / math.sqrt(inputs)
            self.weights.append(nn.Parameter(torch.empty(seeds, inputs, outputs).uniform_(-bound, bound)))
            self.biases.append(nn.Parameter(torch.empty(seeds, 1, outputs).uniform_(-bound, bound)))
        if spectral:
            for i, w in enumerate(self.weights):
                self.register_buffer(f"u{i}", F.normalize(torch.randn(seeds, w.shape[1], 1), dim=1))
                self.register_buffer(f"v{i}", F.normalize(torch.randn(seeds, w.shape[2], 1), dim=1))
            for _ in range(15):
                self.turn()

    @torch.no_grad()
    def turn(self) -> None:
        """Make one step of the power iteration for each weight (S, in, out), with ``spectral``."""
        for i, w in enumerate(self.weights if self.spectral else ()):
            u, v = getattr(self, f"u{i}"), getattr(self, f"v{i}")
            v.copy_(F.normalize(torch.bmm(w.transpose(1, 2), u), dim=1))
            u.copy_(F.normalize(torch.bmm(w, v), dim=1))

    def weight(self, i: int) -> Tensor:
        """The i-th weight (S, in, out), after spectral normalization."""
        w: Tensor = self.weights[i]
        if not self.spectral:
            return w
        sigma: Tensor = (getattr(self, f"u{i}") * torch.bmm(w, getattr(self, f"v{i}"))).sum(1, keepdim=True)
        return w / sigma

    def forward(self, x: Tensor) -> Tensor:
        """(S x N, in) -> (S x N, out)."""
        y: Tensor = x.unflatten(0, (self.seeds, -1))
        return self.run(y, 0, len(self.weights)).flatten(0, 1)

    def bend(self, x: Tensor) -> Tensor:
        """ReLU or leaky ReLU. The latter is a product with a constant, so that double backward passes no zeros."""
        return x * F.leaky_relu(x.detach().sign(), self.slope).abs_() if self.slope else F.relu(x)

    def run(self, x: Tensor, start: int, end: int) -> Tensor:
        """Apply layers start to end to (S, N, in); each but the last layer of the network has an activation."""
        for i in range(start, end):
            x = torch.baddbmm(self.biases[i], x, self.weight(i))
            if i < len(self.weights) - 1:
                x = self.bend(x)
        return x


class Critic(Layers):
    """Discriminators of S seeds, (S x N, d) -> logits (S x N / pack,).

    Args:
        seeds: Number of networks S.
        sizes: Sizes of the layers.
        slope: Slope of the leaky ReLU.
        spectral: Use spectral normalization.
        pack: Number of samples that are judged as one (PacGAN, Lin et al. 2018, arXiv:1712.04086).
        batch: What the last layer gets from the other samples. "": nothing. "stddev": the mean standard deviation over
            groups of 4 (Karras et al. 2017, arXiv:1710.10196, sec. 3). "discrimination": the sums of exp(-L1) over the
            batch in 16 learned kernels of 4 dimensions (Salimans et al. 2016, arXiv:1606.03498, sec. 3.2).
    """

    KERNELS, DIMENSIONS, GROUP = 16, 4, 4

    def __init__(
        self, seeds: int, sizes: tuple[int, ...], slope: float, spectral: bool = False, pack: int = 1, batch: str = ""
    ) -> None:
        extra = {"": 0, "stddev": 1, "discrimination": self.KERNELS}[batch]
        super().__init__(seeds, (sizes[0] * pack, *sizes[1:]), slope, spectral)
        self.pack, self.batch = pack, batch
        self.extra: nn.Parameter | None = None
        self.kernel: nn.Parameter | None = None
        if extra:
            self.extra = nn.Parameter(torch.randn(seeds, extra, 1) / math.sqrt(extra))
        if batch == "discrimination":
            wide = self.KERNELS * self.DIMENSIONS
            self.kernel = nn.Parameter(torch.randn(seeds, sizes[-2], wide) / math.sqrt(sizes[-2]))

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer: (S x N, d) -> (S, N / pack, width)."""
        return self.run(x.view(self.seeds, -1, x.shape[1] * self.pack), 0, len(self.weights) - 1)

    def forward(self, x: Tensor) -> Tensor:
        """(S x N, d) -> (S x N / pack,)."""
        last, h = len(self.weights) - 1, self.features(x)
        logits = self.run(h, last, last + 1)
        if self.extra is not None:
            logits = logits + torch.bmm(self._deviation(h) if self.kernel is None else self._likeness(h), self.extra)
        return logits.flatten()

    def _deviation(self, h: Tensor) -> Tensor:
        group = math.gcd(h.shape[1], self.GROUP)
        y: Tensor = h.unflatten(1, (group, -1))
        sd = ((y - y.mean(1, keepdim=True)).square().mean(1) + 1e-8).sqrt().mean(2, keepdim=True)
        return sd.repeat(1, group, 1)

    def _likeness(self, h: Tensor) -> Tensor:
        assert self.kernel is not None
        m: Tensor = torch.bmm(h, self.kernel).unflatten(2, (self.KERNELS, self.DIMENSIONS))
        apart = (m[:, :, None] - m[:, None]).abs().sum(4)
        likeness: Tensor = (-apart).exp().sum(2) - 1
        return likeness


class Mixture:
    """A mixture of Gaussians with equal weights; every sample is new.

    Args:
        modes: Centres (K, d).
        sd: Standard deviation of each Gaussian.
    """

    def __init__(self, modes: Tensor, sd: float) -> None:
        self.modes, self.sd = modes, sd

    @property
    def mean_square(self) -> float:
        """Mean square of a coordinate: 0.5 for a circle of radius 1, 8 for the grid of 25, 33 for the grid of 100."""
        return float(self.modes.square().mean()) + self.sd**2

    def begin(self, seeds: int) -> None:
        """Prepare for the training of this many seeds."""

    def draw(self, n: int) -> Tensor:
        """Draw samples (n, d)."""
        picks = torch.randint(len(self.modes), (n,))
        return torch.randn(n, self.modes.shape[1]).mul_(self.sd).add_(self.modes[picks])


class Few(Mixture):
    """A mixture of which each seed has only a few points, drawn once, with equal numbers for each mode.

    Args:
        modes: Centres (K, d).
        sd: Standard deviation of each Gaussian.
        points: Number of points of each seed.
    """

    def __init__(self, modes: Tensor, sd: float, points: int) -> None:
        super().__init__(modes, sd)
        self.count = points
        self.points = torch.empty(0)
        """The points of each seed, (S, count, d)."""

    def begin(self, seeds: int) -> None:
        """Draw the points of each seed."""
        each = self.modes.repeat(-(-self.count // len(self.modes)), 1)[: self.count]
        self.points = each + self.sd * torch.randn(seeds, *each.shape)

    def draw(self, n: int) -> Tensor:
        """Draw samples (n, d), n / S from the points of each seed."""
        seeds = len(self.points)
        picks = torch.randint(self.count, (seeds, n // seeds, 1)).expand(-1, -1, self.modes.shape[1])
        return self.points.gather(1, picks).flatten(0, 1)

    def fresh(self, n: int) -> Tensor:
        """Draw new samples (n, d), which are not training points."""
        return super().draw(n)
