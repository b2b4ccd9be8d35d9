"""Optimizer settings of a phase: Adam, RMSprop or SGD with schedules, clipping and per-parameter learning rates."""

import math
from dataclasses import dataclass

from ganloom.core.errors import BadInput
from ganloom.core.schedules import Knots, at

LARGEST_LR = 1e6
"""A larger learning rate is a typing error or a damaged file: every weight would overflow."""


@dataclass(frozen=True)
class _Optimizer:
    lr: float = 2e-4
    """Learning rate."""
    weight_decay: float = 0.0
    """L2 penalty on the weights, as part of the gradient (not decoupled as in AdamW)."""
    clip: float | None = None
    """Largest gradient norm of the phase, after the gain of lazy regularization."""
    groups: tuple[tuple[str, float], ...] = ()
    """Learning rate factor by prefix of the parameter's name, such as (("mapping", 0.01),)."""
    schedule: Knots = ()
    """Knots (kimg since the phase's window began, learning rate factor), linear in between. Empty: constant."""

    def __post_init__(self) -> None:
        if not 0 <= self.lr < math.inf:
            raise BadInput(f"lr must be finite and not negative, got {self.lr}")
        if self.lr > LARGEST_LR:
            raise BadInput(f"lr must be at most {LARGEST_LR:g}, got {self.lr}")
        if self.clip is not None and self.clip <= 0:
            raise BadInput(f"clip must be positive or none, got {self.clip}")
        for name in ("weight_decay", "eps", "momentum", "alpha"):
            value = getattr(self, name, 0.0)
            if not 0 <= value < math.inf:
                raise BadInput(f"{name} must be finite and not negative, got {value}")

    def factor(self, kimg: float) -> float:
        """The schedule's learning rate factor at ``kimg`` since the window began."""
        return at(self.schedule, kimg) if self.schedule else 1.0


@dataclass(frozen=True)
class Adam(_Optimizer):
    """Adam (Kingma & Ba 2014, arXiv:1412.6980)."""

    betas: tuple[float, float] = (0.5, 0.999)
    """Decay of the first and second moments; must be floats."""
    beta2: Knots = ()
    """Knots (kimg since the phase's window began, decay of the second moment), linear in between. Empty: as in betas."""
    eps: float = 1e-8
    """Added to the root of the second moment."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise BadInput(f"betas must be in [0, 1), got {self.betas}")


@dataclass(frozen=True)
class RMSprop(_Optimizer):
    """RMSprop (Hinton 2012), as WGAN uses it."""

    alpha: float = 0.99
    """Decay of the squared gradient."""
    eps: float = 1e-8
    """Added to the root."""
    momentum: float = 0.0
    """Momentum of the step."""


@dataclass(frozen=True)
class SGD(_Optimizer):
    """Stochastic gradient descent."""

    momentum: float = 0.0
    """Momentum of the step."""


Opt = Adam | RMSprop | SGD
