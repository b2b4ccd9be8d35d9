"""The Dirac-GAN: a GAN of two numbers, for which the effect of each loss and cure can be computed by hand.

Mescheder, Geiger, Nowozin, "Which Training Methods for GANs do actually Converge?", 2018, arXiv:1801.04406. The data is
one point at 0, G is one number theta, and D(x) = psi x. Both descend with step h from (theta, psi) = (1, 1). The only
equilibrium is (0, 0). Losses and penalties are those of ganloom. Near the equilibrium the update is linear,

    simultaneous   M = [[1 - h d, h a], [-h b, 1 - h c]]
    alternating    D first, then G with the new D:  M = [[1, h a], [0, 1]] [[1 - h d, 0], [-h b, 1 - h c]]

with a = -d2 L_G / dtheta dpsi, b = d2 L_D / dpsi dtheta, and the damping d of G and c of D that a cure adds. The largest
modulus of an eigenvalue decides: below 1 training converges linearly, above 1 it does not, at 1 the higher terms decide.
"""

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.losses import LOSSES
from ganloom.penalties import PENALTIES

STEP, START, STEPS = 0.1, (1.0, 1.0), 2000
QUANTILES = 32
"""Points that represent the normal noise, with equal weights, mean 0 and variance 1."""

Path = list[tuple[float, float]]


@dataclass(frozen=True)
class Setting:
    """One way to train the Dirac-GAN."""

    loss: str
    penalties: tuple[tuple[str, float], ...] = ()
    """Names of ``ganloom.penalties.PENALTIES`` with their weights."""
    noise: float = 0.0
    """Standard deviation of instance noise on real and fake (Sonderby et al. 2016, arXiv:1610.04490)."""
    consensus: float = 0.0
    """Weight of |gradient field|^2 / 2 in both losses (Mescheder et al. 2017, arXiv:1705.10461)."""
    clip: float | None = None
    """Largest |psi|."""
    unroll: int = 0
    """Steps of size h by which D is ahead in G's gradient (unrolling, Metz et al. 2016, arXiv:1611.02163)."""
    first_order: bool = False
    """No gradient of G goes through D's steps."""


SETTINGS: dict[str, Setting] = {
    "minimax": Setting("minimax"),
    "nonsaturating": Setting("nonsaturating"),
    "wgan": Setting("wasserstein"),
    "hinge": Setting("hinge"),
    "rpgan": Setting("relativistic"),
    "lsgan": Setting("least_squares"),
    "wgan-clip": Setting("wasserstein", clip=1.0),
    "wgan-gp": Setting("wasserstein", (("wgan_gp", 1.0),)),
    "dragan": Setting("nonsaturating", (("dragan", 1.0),)),
    "r1": Setting("nonsaturating", (("r1", 1.0),)),
    "r2": Setting("nonsaturating", (("r2", 1.0),)),
    "zero-centred": Setting("nonsaturating", (("zero_centred", 1.0),)),
    "minimax-r1": Setting("minimax", (("r1", 1.0),)),
    "wgan-r1": Setting("wasserstein", (("r1", 1.0),)),
    "rpgan-r1": Setting("relativistic", (("r1", 1.0),)),
    "rpgan-r1-r2": Setting("relativistic", (("r1", 0.5), ("r2", 0.5))),
    "instance-noise": Setting("nonsaturating", noise=0.5),
    "consensus": Setting("nonsaturating", consensus=1.0),
    "wgan-consensus": Setting("wasserstein", consensus=1.0),
    "unrolled": Setting("wasserstein", unroll=5),
    "unrolled-first-order": Setting("wasserstein", unroll=5, first_order=True),
}
"""By name: losses, penalties that do not help here, and penalties that help."""

_COUPLING = {"minimax": (0.5, 0.5), "nonsaturating": (0.5, 0.5), "relativistic": (0.5, 0.5), "hinge": (1.0, 1.0),
             "wasserstein": (1.0, 1.0), "least_squares": (2.0, 0.0)}  # fmt: skip
"""(a, b) of each loss, computed by hand. With least squares the target of D at the data is 1, but D(0) is always 0, so D
gets no gradient from it."""
_CENTRED = ("r1", "r2", "zero_centred")


def theory(setting: Setting, alternating: bool, step: float = STEP) -> Tensor | None:
    """Compute the linear update at the equilibrium, from formulas derived by hand.

    Args:
        setting: The setting.
        alternating: D is updated before G, else both at once.
        step: The step size h.

    Returns:
        M (2, 2) on (theta, psi). None for one-centred penalties, which are not differentiable at psi = 0.
    """
    a, b = _COUPLING[setting.loss]
    if any(name not in _CENTRED for name, _ in setting.penalties):
        return None
    # Each zero-centred penalty is psi^2 / 2. Noise of variance s^2 on real and fake: twice s^2 softplus''(0) = s^2 / 4.
    c = sum(weight for _, weight in setting.penalties) + setting.noise**2 / 2 + setting.consensus * a**2
    # In G's gradient, psi - k h b theta replaces psi. The gradient through D's steps adds the same once more.
    d = setting.consensus * b**2 + setting.unroll * step * a * b * (1 if setting.first_order else 2)
    field = torch.tensor([[d, -a], [b, c]], dtype=torch.float64)
    G, D = torch.eye(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    G[0] -= step * field[0]
    D[1] -= step * field[1]
    return G @ D if alternating else G + D - torch.eye(2, dtype=torch.float64)


def modulus(matrix: Tensor) -> float:
    """Compute the largest modulus of the eigenvalues of a matrix (n, n)."""
    return float(torch.linalg.eigvals(matrix).abs().max())


def trajectory(
    setting: Setting, alternating: bool, steps: int = STEPS, start: tuple[float, float] = START, step: float = STEP
) -> Path:
    """Train the Dirac-GAN in float64.

    Args:
        setting: The setting.
        alternating: D is updated before G, else both at once.
        steps: Number of steps.
        start: (theta, psi) at the start.
        step: The step size h.

    Returns:
        (theta, psi) at the start and after each step: steps + 1 points.
    """
    theta, psi = (torch.tensor([value], dtype=torch.float64) for value in start)
    path = [start]
    for _ in range(steps):
        new = psi - step * slope(setting, "D", theta, psi, step)
        if setting.clip is not None:
            new = new.clamp(-setting.clip, setting.clip)
        theta = theta - step * slope(setting, "G", theta, new if alternating else psi, step)
        psi = new
        path.append((float(theta), float(psi)))
    return path


def slope(setting: Setting, net: str, theta: Tensor, psi: Tensor, step: float = STEP) -> Tensor:
    """Compute a gradient, with consensus and unrolling.

    Args:
        setting: The setting.
        net: "G" or "D".
        theta: (1,).
        psi: (1,).
        step: The step size h, for unrolling.

    Returns:
        dL_G / dtheta for "G", dL_D / dpsi for "D", (1,).
    """
    theta, psi = theta.detach().requires_grad_(), psi.detach().requires_grad_()
    field = {}
    if net == "D" or setting.consensus:
        field["D"] = _slope(d_loss(setting, theta, psi), psi)
    if net == "G" or setting.consensus:
        field["G"] = _slope(g_loss(setting, theta, _ahead(setting, theta, psi, step)), theta)
    if setting.consensus:
        push = setting.consensus * (field["G"].square() + field["D"].square()).sum() / 2
        return (field[net] + _slope(push, theta if net == "G" else psi)).detach()
    return field[net].detach()


def _ahead(setting: Setting, theta: Tensor, psi: Tensor, step: float) -> Tensor:
    """psi after the unrolled steps; with gradient through the steps, unless first_order is set."""
    for _ in range(setting.unroll):
        psi = psi - step * _slope(d_loss(setting, theta, psi), psi)
    return psi.detach() if setting.first_order else psi


def _slope(loss: Tensor, at: Tensor) -> Tensor:
    (grad,) = torch.autograd.grad(loss, at, create_graph=True, allow_unused=True)
    return torch.zeros_like(at) if grad is None else grad


def d_loss(setting: Setting, theta: Tensor, psi: Tensor) -> Tensor:
    """D's loss, a scalar, from theta and psi (1,)."""
    real, fake = _samples(setting, theta)
    loss = LOSSES[setting.loss].d(_judge(real, psi), _judge(fake, psi))
    for name, weight in setting.penalties:
        loss = loss + weight * PENALTIES[name](lambda x: _judge(x, psi), real, fake)
    return loss


def g_loss(setting: Setting, theta: Tensor, psi: Tensor) -> Tensor:
    """G's loss, a scalar, from theta and psi (1,)."""
    real, fake = _samples(setting, theta)
    return LOSSES[setting.loss].g(_judge(real, psi), _judge(fake, psi))


def _judge(x: Tensor, psi: Tensor) -> Tensor:
    """D(x) = psi x: (N, 1) -> (N,)."""
    return x[:, 0] * psi


def _samples(setting: Setting, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Real and fake samples (N, 1): two copies of a point, or the quantiles of the noise around it."""
    spread = torch.zeros(2, dtype=torch.float64)
    if setting.noise:
        levels = (torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES
        spread = torch.special.ndtri(levels)
        spread = setting.noise * spread / spread.square().mean().sqrt()
    return spread[:, None], (theta + spread)[:, None]


def distance(point: tuple[float, float]) -> float:
    """The distance of (theta, psi) from the equilibrium."""
    return math.hypot(*point)


@dataclass(frozen=True)
class Row:
    """The result of one setting with one order of updates."""

    setting: str
    alternating: bool
    modulus: float | None
    """The largest modulus of an eigenvalue by the theory. None: there is no linear theory."""
    rate: float
    """The measured factor per step: the mean over the last fifth of the steps above 1e-150."""
    at_100: float
    at_500: float
    at_2000: float
    """Distance from the equilibrium after 2000 steps."""
    verdict: str


def measure(name: str, alternating: bool) -> tuple[Row, Path]:
    """Train one setting for 2,000 steps from (1, 1).

    Args:
        name: A key of ``SETTINGS``.
        alternating: D is updated before G, else both at once.

    Returns:
        (the result, the points).
    """
    setting = SETTINGS[name]
    path = trajectory(setting, alternating)
    matrix = theory(setting, alternating)
    far = [distance(point) for point in path]
    end = next((i for i, r in enumerate(far) if r < 1e-150), STEPS)
    from_ = end - end // 5
    rate = (far[end] / far[from_]) ** (1 / (end - from_))
    verdict = "converges" if far[STEPS] < 1e-3 else "slowly" if far[STEPS] < 0.5 * far[0] else "does not converge"
    top = None if matrix is None else modulus(matrix)
    return Row(name, alternating, top, rate, far[100], far[500], far[STEPS], verdict), path


def to_dict(row: Row) -> dict[str, object]:
    """The row as plain data."""
    return dataclasses.asdict(row)
