"""Differential privacy of networks for tables: the noise for a given (epsilon, delta), and the sentence that states them.

The guarantee is for adding or removing one row, and for everything that is computed from the networks, given the schema: names,
types, bounds, decimals, sets of values and missing cells of the columns, and the number of rows. The schema is read from the
data and is not covered. No other figure of the data is used: there are no constraints, no mixtures, no frequencies.
"""

import math
import secrets
import warnings
from dataclasses import asdict, dataclass
from typing import Any

from ganloom.core.errors import BadInput, need
from ganloom.training.private_gradients import sampling_rate

EXTRA = "dp"
"""The extra of the package that brings Opacus."""
METHODS = ("ctgan", "tvae")
"""Methods that can be trained with differential privacy."""
STEPS, BATCH, CLIP = 2_000, 256, 1.0
"""Steps, expected rows in a batch, and longest gradient of a row, unless the user gives others."""
MOST_NOISE = 1e4


@dataclass(frozen=True)
class Target:
    """The privacy that a user asks for.

    Attributes:
        epsilon: Largest epsilon.
        delta: Delta. None: 1e-5, or a tenth of 1 / rows where that is less.
    """

    epsilon: float
    delta: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < math.inf:
            raise BadInput(f"--epsilon must be a number above 0, got {self.epsilon}")
        if self.delta is not None and not 0 < self.delta < 1:
            raise BadInput(f"--delta must be between 0 and 1, got {self.delta}")


@dataclass(frozen=True)
class Plan:
    """How a network is trained with DP-SGD, and the (epsilon, delta) of that.

    Attributes:
        epsilon: By the accountant, for all steps.
        delta: Delta.
        noise: Standard deviation of the noise in units of ``clip``.
        clip: Longest gradient of a row.
        rate: The probability that a row is in a batch.
        steps: Number of steps.
    """

    epsilon: float
    delta: float
    noise: float
    clip: float
    rate: float
    steps: int

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return asdict(self)


def target_of(method: str, epsilon: float | None, delta: float | None, minutes: float | None) -> Target | None:
    """The differential privacy that is asked for. Raises BadInput if the arguments do not fit each other."""
    if epsilon is None:
        if delta is not None:
            raise BadInput("--delta belongs to --epsilon: give both, or neither")
        return None
    if method not in METHODS:
        raise BadInput(f"--epsilon needs --method ctgan or tvae: {method} has no differential privacy")
    if minutes is not None:
        raise BadInput("--minutes cannot be used with --epsilon: the steps must be known before. Use --steps")
    return Target(epsilon, delta)


def check_extra() -> None:
    """Raise MissingExtra if Opacus is not installed."""
    need("opacus.accountants", EXTRA)


def plan(target: Target, rows: int, batch: int, steps: int, clip: float) -> Plan:
    """Find the least noise that keeps a target.

    Args:
        target: What the user asks for.
        rows: Rows that are learned.
        batch: Expected rows in a batch.
        steps: Steps of the training.
        clip: Longest gradient of a row.

    Raises:
        BadInput: The delta says nothing, or no noise is enough.
        MissingExtra: Opacus is not installed.
    """
    delta = min(1e-5, 0.1 / rows) if target.delta is None else target.delta
    if delta >= 1 / rows:
        raise BadInput(f"--delta {delta:g} must be below 1 / rows ({1 / rows:.2g}), or a row could simply be published")
    rate = sampling_rate(rows, batch)
    low, high = 0.0, 1.0
    while epsilon_of(high, rate, steps, delta) > target.epsilon:
        low, high = high, 2 * high
        if high > MOST_NOISE:
            raise BadInput(f"--epsilon {target.epsilon:g} cannot be reached with --delta {delta:g}: give a larger one")
    while high - low > 0.001 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if epsilon_of(middle, rate, steps, delta) <= target.epsilon else (middle, high)
    return Plan(epsilon_of(high, rate, steps, delta), delta, high, clip, rate, steps)


def epsilon_of(noise: float, rate: float, steps: int, delta: float) -> float:
    """The epsilon of DP-SGD by the accountant of Opacus, which uses Renyi differential privacy.

    Args:
        noise: Noise multiplier, above 0.
        rate: The probability that a row is in a batch.
        steps: Number of steps.
        delta: Delta.
    """
    accountant = need("opacus.accountants", EXTRA).RDPAccountant()
    accountant.history = [(noise, rate, steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that another order would give a smaller epsilon: the bound holds
        return float(accountant.get_epsilon(delta))


def secret_seed() -> int:
    """Return a seed that cannot be guessed. With a known seed, the noise could be computed and subtracted."""
    return secrets.randbits(62)


def sentence(found: dict[str, Any] | None) -> str:
    """Say which privacy a method has; ``found`` is a plan as JSON values, or None for a method without any."""
    if found is None:
        return "This is no differential privacy: no (epsilon, delta) is claimed."
    how = (
        f"noise {found['noise']:.3g}, gradients of a row up to {found['clip']:g}, rows sampled with probability "
        f"{found['rate']:.3g}, {found['steps']} steps"
    )
    return (
        f"Differential privacy: epsilon {found['epsilon']:.3g}, delta {found['delta']:.2g}, by DP-SGD ({how}). It holds for the "
        "rows that the network draws, given the schema: types, bounds, decimals, sets of values and patterns of texts were read "
        "from the data and are not covered."
    )
