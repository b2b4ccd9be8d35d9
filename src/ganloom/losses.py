"""Adversarial losses as functions of logits: ``d(real, fake)`` for the discriminator, ``g(real, fake)`` for the generator.

Each takes logits of any equal shape and returns a scalar mean. Relativistic losses need the real logits in ``g`` too; for the
others they may be None. D must not end in a sigmoid. Each loss states the values (d, g) at which neither side can improve as
``equilibrium``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor

from ganloom.core.errors import BadInput

Pair = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Loss:
    """A pair of losses for D and G.

    Args:
        d_formula: (real logits, fake logits) to D's loss.
        g_formula: (real logits or None, fake logits) to G's loss.
        equilibrium: Values (d, g) if D cannot distinguish real from fake, where neither side can improve.
        paper: Authors, year and arXiv id.
        needs_real_in_g: Whether G's loss uses the logits of real samples.
        smoothed: D's loss with the target for reals reduced by a share; None if D's loss has no target.
        signed: Whether D's best logits are above 0 for reals and below 0 for fakes.
    """

    d_formula: Pair
    g_formula: Callable[[Tensor | None, Tensor], Tensor]
    equilibrium: tuple[float, float]
    paper: str
    needs_real_in_g: bool = False
    smoothed: Callable[[Tensor, Tensor, float], Tensor] | None = None
    signed: bool = False

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """Compute D's loss, a scalar.

        Args:
            real: Logits of real samples, of any shape.
            fake: Logits of fakes, of the same shape.
        """
        return self.d_formula(real, fake)

    def g(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """Compute G's loss, a scalar.

        Args:
            real: Logits of real samples; may be None unless ``needs_real_in_g``.
            fake: Logits of fakes.
        """
        return self.g_formula(real, fake)

    def with_label_smoothing(self, share: float) -> "Loss":
        """Return this loss with D's target for reals reduced by a share (Salimans et al. 2016, arXiv:1606.03498, sec. 3.4).

        Args:
            share: 0 for no change.

        Raises:
            BadInput: If D's loss has no target (hinge, Wasserstein, relativistic).
        """
        if not share:
            return self
        smoothed = self.smoothed
        if smoothed is None:
            raise BadInput(
                "--label-smoothing needs a loss whose D aims at a target for reals (minimax, nonsaturating, "
                "least_squares). Hinge, Wasserstein and relativistic losses have no target. Omit --label-smoothing"
            )
        return replace(self, d_formula=lambda real, fake: smoothed(real, fake, share))

    def with_top_k(self, share: float) -> "Loss":
        """Return this loss with G's mean over the best fakes only (Sinha et al. 2020, arXiv:2002.06224).

        Args:
            share: Share of the fakes in (0, 1]; at least one fake is used.
        """
        if share >= 1:
            return self

        def g(real: Tensor | None, fake: Tensor) -> Tensor:
            rows = top_k(fake, share)
            return self.g_formula(real[rows] if self.needs_real_in_g and real is not None else real, fake[rows])

        return replace(self, g_formula=g)


def top_k(logits: Tensor, share: float) -> Tensor:
    """Return the rows with the largest logits.

    Args:
        logits: Logits (N, ...); those of a sample are averaged.
        share: Share of the rows.

    Returns:
        Row numbers, int64 (k,), with k = round(share x N), at least 1.
    """
    k = max(1, round(share * len(logits)))
    return logits.detach().float().reshape(len(logits), -1).mean(1).topk(k).indices


def _real(real: Tensor | None) -> Tensor:
    """Return the real logits, or raise ValueError if there are none."""
    if real is None:
        raise ValueError("a relativistic g(real, fake) needs the logits of real samples")
    return real


def _minimax_d(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))], D = sigmoid(logit)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def _minimax_smoothed(real: Tensor, fake: Tensor, share: float) -> Tensor:
    """Cross-entropy of reals against 1 - s: (1 - s) softplus(-l) + s softplus(l) = softplus(-l) + s l."""
    return _minimax_d(real, fake) + share * real.mean()


def _minimax_g(real: Tensor | None, fake: Tensor) -> Tensor:
    """E[log(1 - D(G(z)))]; saturates if D rejects all fakes with confidence."""
    return -F.softplus(fake).mean()


def _nonsaturating_g(real: Tensor | None, fake: Tensor) -> Tensor:
    """-E[log D(G(z))]."""
    return F.softplus(-fake).mean()


def _least_squares_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[(D(x) - 1)^2] + E[D(G(z))^2]."""
    return (real - 1).square().mean() + fake.square().mean()


def _least_squares_smoothed(real: Tensor, fake: Tensor, share: float) -> Tensor:
    """E[(D(x) - (1 - s))^2] + E[D(G(z))^2]."""
    return _least_squares_d(real + share, fake)


def _least_squares_g(real: Tensor | None, fake: Tensor) -> Tensor:
    """E[(D(G(z)) - 1)^2]."""
    return (fake - 1).square().mean()


def least_squares_coded(a: float, b: float, c: float) -> Loss:
    """Return the least squares loss with the codes and factors 1/2 of the paper (Mao et al. 2016, arXiv:1611.04076, eq. 2).

    D: E[(D(x) - b)^2] / 2 + E[(D(G(z)) - a)^2] / 2, G: E[(D(G(z)) - c)^2] / 2. If both densities are equal, D is (a + b) / 2.

    Args:
        a: D's target for fakes.
        b: D's target for reals.
        c: G's target for fakes.
    """

    def d(real: Tensor, fake: Tensor) -> Tensor:
        return (real - b).square().mean() / 2 + (fake - a).square().mean() / 2

    def g(real: Tensor | None, fake: Tensor) -> Tensor:
        return (fake - c).square().mean() / 2

    def smoothed(real: Tensor, fake: Tensor, share: float) -> Tensor:
        return d(real + share * (b - a), fake)

    level, paper = (a + b) / 2, "Mao et al. 2016, arXiv:1611.04076"
    return Loss(d, g, ((b - a) ** 2 / 4, (level - c) ** 2 / 2), paper, smoothed=smoothed)


def _hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def _wasserstein_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[D(G(z))] - E[D(x)]: minus the estimate of the Wasserstein distance."""
    return fake.mean() - real.mean()


def _minus_fake(real: Tensor | None, fake: Tensor) -> Tensor:
    """-E[D(G(z))]."""
    return -fake.mean()


def _relativistic_d(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log sigmoid(D(x) - D(G(z)))] over pairs."""
    return F.softplus(fake - real).mean()


def _relativistic_g(real: Tensor | None, fake: Tensor) -> Tensor:
    """-E[log sigmoid(D(G(z)) - D(x))] over pairs."""
    return F.softplus(_real(real) - fake).mean()


def _relativistic_average_d(real: Tensor, fake: Tensor) -> Tensor:
    """Compare each logit with the mean of the other side. That mean is over the batch, so micro-batches change the loss."""
    return F.softplus(-(real - fake.mean())).mean() + F.softplus(fake - real.mean()).mean()


def _relativistic_average_g(real: Tensor | None, fake: Tensor) -> Tensor:
    """``_relativistic_average_d`` with real and fake exchanged."""
    real = _real(real)
    return F.softplus(real - fake.mean()).mean() + F.softplus(-(fake - real.mean())).mean()


_LN2 = math.log(2.0)

_PAPER = "Goodfellow et al. 2014, arXiv:1406.2661"
minimax = Loss(_minimax_d, _minimax_g, (2 * _LN2, -_LN2), _PAPER, smoothed=_minimax_smoothed, signed=True)
nonsaturating = Loss(_minimax_d, _nonsaturating_g, (2 * _LN2, _LN2), _PAPER, smoothed=_minimax_smoothed, signed=True)
least_squares = Loss(
    _least_squares_d,
    _least_squares_g,
    (0.5, 0.25),
    "Mao et al. 2016, arXiv:1611.04076",
    smoothed=_least_squares_smoothed,
)
hinge = Loss(_hinge_d, _minus_fake, (2.0, 0.0), "Lim & Ye 2017, arXiv:1705.02894", signed=True)
wasserstein = Loss(_wasserstein_d, _minus_fake, (0.0, 0.0), "Arjovsky et al. 2017, arXiv:1701.07875")
relativistic = Loss(
    _relativistic_d, _relativistic_g, (_LN2, _LN2), "Jolicoeur-Martineau 2018, arXiv:1807.00734 (RpGAN)", True
)
relativistic_average = Loss(
    _relativistic_average_d,
    _relativistic_average_g,
    (2 * _LN2, 2 * _LN2),
    "Jolicoeur-Martineau 2018, arXiv:1807.00734 (RaGAN)",
    True,
)

LOSSES: dict[str, Loss] = {
    "minimax": minimax,
    "nonsaturating": nonsaturating,
    "least_squares": least_squares,
    "hinge": hinge,
    "wasserstein": wasserstein,
    "relativistic": relativistic,
    "relativistic_average": relativistic_average,
}
