"""Running means of training statistics: stored on the device each step, summed and read once per tick."""

import torch
from torch import Tensor

MOST = 4096
"""Most values stored per name before they are summed; it limits memory and is far above the steps of a tick."""


class Stats:
    """Weighted means of named scalars between two ticks.

    ``add`` stores a scalar and never waits for the device. ``collect`` copies all scalars at once, returns the means and
    resets them. Sums are in double precision and in the order of the steps, and they are saved in a checkpoint, so a
    resumed run writes the same rows as an uninterrupted one.
    """

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._weights: dict[str, float] = {}
        self._new: dict[str, list[tuple[Tensor, float]]] = {}

    def add(self, name: str, value: Tensor, weight: float = 1.0) -> None:
        """Add one scalar.

        Args:
            name: Name of the statistic.
            value: Scalar (0-d tensor, any float dtype).
            weight: Its weight in the mean; below 1 for a part of a batch.
        """
        values = self._new.setdefault(name, [])
        values.append((value.detach().clone(), weight))  # a copy: the value may be a buffer that changes later
        if len(values) == MOST:
            self._sum()

    def collect(self, keep: bool = False) -> dict[str, float]:
        """Return the means since the last call. This waits for the device.

        Args:
            keep: Do not reset the sums.

        Returns:
            Name -> mean.
        """
        self._sum()
        means = {name: total / self._weights[name] for name, total in self._sums.items()}
        if not keep:
            self._sums, self._weights = {}, {}
        return means

    def state(self) -> dict[str, tuple[float, float]]:
        """Return name -> (sum, weight), for a checkpoint."""
        self._sum()
        return {name: (total, self._weights[name]) for name, total in self._sums.items()}

    def restore(self, state: dict[str, tuple[float, float]]) -> None:
        """Continue from the sums of a checkpoint, as returned by ``state``."""
        self._new = {}
        self._sums = {name: total for name, (total, _) in state.items()}
        self._weights = {name: weight for name, (_, weight) in state.items()}

    def _sum(self) -> None:
        """Add the new values one by one, so that the sum does not depend on where the run was interrupted."""
        new = [(name, value, weight) for name, values in self._new.items() for value, weight in values]
        self._new = {}
        if not new:
            return
        device = new[0][1].device
        values = torch.stack([value.float().to(device) for _, value, _ in new]).tolist()
        for (name, _, weight), value in zip(new, values, strict=True):
            self._sums[name] = self._sums.get(name, 0.0) + value * weight
            self._weights[name] = self._weights.get(name, 0.0) + weight
