"""Toy GANs of many seeds trained at once: each weight has a leading seed axis, a layer is one batched product.

Samples of all seeds share one axis, seed after seed: (S x N, d). Losses and penalties are then the library's own, since
they are means over samples; times S, each seed's gradient is what it would be alone, and Adam works on each number
apart. So no seed knows of another, but for the random numbers, which one generator draws for all.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Z, BATCH = 2, 128
"""Noise of 2 numbers; 128 real samples a step."""


@dataclass(frozen=True)
class Plan:
    """What a data set asks of the training, the same for every cure."""

    width: int = 128
    """Of the three hidden layers of G and D."""
    beta: float = 0.0
    """Adam's second beta in place of the cure's; 0: the cure's."""
    penalties: float = 1.0
    """Times the weights of the cure's penalties."""
    rates: float = 1.0
    """Times the cure's rates."""
    steady: bool = False
    """The rates do not fall."""
    ahead: int = 0
    """D's steps before G's first."""
    descent: float = 0.0
    """G takes steps of this times its gradient, and not Adam's, which scale a vanishing one up; 0: Adam's."""
    critic: int = 1
    """D's steps for each of G's, where the cure does not ask for more."""
    batch: int = BATCH
    """Real samples a step."""
    ema: float = 0.0
    """Half-life of G's averaged weights, which are then measured, in parts of the run, where the cure has none of its own."""
    signs: int = 0
    """Numbers of z that are -1 or 1, beside the normal ones. Of a connected latent a continuous G lays bridges of samples
    from mode to mode (Khayatkhoei et al. 2018, arXiv:1806.00880); a latent in pieces spares them."""


PLAN = Plan()


def latents(n: int, signs: int = 0, generator: torch.Generator | None = None) -> Tensor:
    """(n, Z + ``signs``): normal numbers, and signs at even odds."""
    z = torch.randn(n, Z, generator=generator)
    if not signs:
        return z
    coins = torch.randint(2, (n, signs), generator=generator)
    return torch.cat([z, 2.0 * coins - 1], 1)


class Layers(nn.Module):
    """Dense layers of S networks: (S x N, sizes[0]) -> (S x N, sizes[-1]); torch's own initialisation of ``Linear``.

    ``slope`` of the leaky ReLU between layers, 0 for ReLU. ``spectral`` divides each weight by
    its largest singular value (Miyato et al. 2018, arXiv:1802.05957), estimated by one turn of the power iteration at each
    call of ``turn``.
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
        """One turn of the power iteration for each weight (S, in, out); nothing without ``spectral``."""
        for i, w in enumerate(self.weights if self.spectral else ()):
            u, v = getattr(self, f"u{i}"), getattr(self, f"v{i}")
            v.copy_(F.normalize(torch.bmm(w.transpose(1, 2), u), dim=1))
            u.copy_(F.normalize(torch.bmm(w, v), dim=1))

    def weight(self, i: int) -> Tensor:
        """The i-th weight as used, (S, in, out)."""
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
        """ReLU or leaky ReLU, the latter as a product with a constant: its second derivative has no zeros to carry back."""
        return x * F.leaky_relu(x.detach().sign(), self.slope).abs_() if self.slope else F.relu(x)

    def run(self, x: Tensor, start: int, end: int) -> Tensor:
        """(S, N, in) through layers start to end; an activation follows each but the last layer of all."""
        for i in range(start, end):
            x = torch.baddbmm(self.biases[i], x, self.weight(i))
            if i < len(self.weights) - 1:
                x = self.bend(x)
        return x


class Critic(Layers):
    """D of S seeds: (S x N, d) -> logits (S x N / pack,).

    ``pack``: so many samples of a seed are judged as one (PacGAN, Lin et al. 2018, arXiv:1712.04086).
    ``batch``: what the last layer sees of the other samples: "" nothing; "stddev" their mean standard deviation over groups
    of 4 (Karras et al. 2017, arXiv:1710.10196, sec. 3); "discrimination" the sums of exp(-L1) over the batch in 16
    learned kernels of 4 dimensions (Salimans et al. 2016, arXiv:1606.03498, sec. 3.2).
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
    """An even mixture of Gaussians at ``modes`` (K, d), each of standard deviation ``sd``: drawn anew, without end."""

    def __init__(self, modes: Tensor, sd: float) -> None:
        self.modes, self.sd = modes, sd

    @property
    def mean_square(self) -> float:
        """Of a coordinate: 0.5 on a circle of radius 1, 8 on the grid of 25, 33 on that of 100."""
        return float(self.modes.square().mean()) + self.sd**2

    def begin(self, seeds: int) -> None:
        """So many seeds are about to be trained."""

    def draw(self, n: int) -> Tensor:
        """(n, d)."""
        picks = torch.randint(len(self.modes), (n,))
        return torch.randn(n, self.modes.shape[1]).mul_(self.sd).add_(self.modes[picks])


class Few(Mixture):
    """A mixture of which each seed has a few points only, drawn once, as many of each mode as of another."""

    def __init__(self, modes: Tensor, sd: float, points: int) -> None:
        super().__init__(modes, sd)
        self.count = points
        self.points = torch.empty(0)
        """(S, count, d)."""

    def begin(self, seeds: int) -> None:
        """Draw the points of each seed."""
        each = self.modes.repeat(-(-self.count // len(self.modes)), 1)[: self.count]
        self.points = each + self.sd * torch.randn(seeds, *each.shape)

    def draw(self, n: int) -> Tensor:
        """(n, d): n / S of each seed's points."""
        seeds = len(self.points)
        picks = torch.randint(self.count, (seeds, n // seeds, 1)).expand(-1, -1, self.modes.shape[1])
        return self.points.gather(1, picks).flatten(0, 1)

    def fresh(self, n: int) -> Tensor:
        """(n, d) that no seed was shown."""
        return super().draw(n)
