"""Statistics that stay on the device: kept each step, summed and read once a tick."""

import torch
from torch import Tensor

MOST = 4096
"""Values kept of one name before they are summed: a bound on memory, far more than the steps of a tick."""


class Stats:
    """Running means of named scalars between two ticks.

    ``add`` computes nothing and never waits for the device; ``collect`` copies once, returns the means and starts anew.
    Sums are taken in double precision in the order of the steps, and are part of a checkpoint: a resumed run writes the
    rows that the uninterrupted run writes.
    """

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._weights: dict[str, float] = {}
        self._new: dict[str, list[tuple[Tensor, float]]] = {}

    def add(self, name: str, value: Tensor, weight: float = 1.0) -> None:
        """Add one scalar (0-d tensor, any float dtype); ``weight`` below 1 for a part of a batch."""
        kept = self._new.setdefault(name, [])
        kept.append((value.detach().clone(), weight))  # a copy: the term may be a buffer that moves on
        if len(kept) == MOST:
            self._sum()

    def collect(self, keep: bool = False) -> dict[str, float]:
        """Means since the last call, by name; the one place where the device is waited for. ``keep``: go on summing."""
        self._sum()
        means = {name: total / self._weights[name] for name, total in self._sums.items()}
        if not keep:
            self._sums, self._weights = {}, {}
        return means

    def state(self) -> dict[str, tuple[float, float]]:
        """Sums and weights, for a checkpoint."""
        self._sum()
        return {name: (total, self._weights[name]) for name, total in self._sums.items()}

    def restore(self, state: dict[str, tuple[float, float]]) -> None:
        """Go on from a checkpoint's sums."""
        self._new = {}
        self._sums = {name: total for name, (total, _) in state.items()}
        self._weights = {name: weight for name, (_, weight) in state.items()}

    def _sum(self) -> None:
        """Take in what is new, one after the other: the sum is the same wherever the run was cut."""
        new = [(name, value, weight) for name, kept in self._new.items() for value, weight in kept]
        self._new = {}
        if not new:
            return
        device = new[0][1].device
        values = torch.stack([value.float().to(device) for _, value, _ in new]).tolist()
        for (name, _, weight), value in zip(new, values, strict=True):
            self._sums[name] = self._sums.get(name, 0.0) + value * weight
            self._weights[name] = self._weights.get(name, 0.0) + weight
