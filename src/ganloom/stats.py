"""Statistics that stay on the device: summed each step, read once a tick."""

import torch
from torch import Tensor


class Stats:
    """Running means of named scalars between two ticks.

    ``add`` never waits for the device; ``collect`` copies once, returns the means and starts anew. The sums are part of
    a checkpoint, so a resumed run writes the rows that the uninterrupted run writes.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._weights: dict[str, float] = {}

    def add(self, name: str, value: Tensor, weight: float = 1.0) -> None:
        """Add one scalar (0-d tensor, any float dtype); ``weight`` below 1 for a part of a batch."""
        value = value.detach()
        wide = value.double() if value.device.type != "mps" else value.float()
        wide = wide if weight == 1.0 else wide * weight
        if name in self._sums:
            self._sums[name] += wide
            self._weights[name] += weight
        else:
            self._sums[name] = wide.clone()
            self._weights[name] = weight

    def collect(self, keep: bool = False) -> dict[str, float]:
        """Means since the last call, by name; the one place where the device is waited for. ``keep``: go on summing."""
        if not self._sums:
            return {}
        names = list(self._sums)
        values = torch.stack([self._sums[name] for name in names]).tolist()
        means = {name: value / self._weights[name] for name, value in zip(names, values, strict=True)}
        if not keep:
            self._sums, self._weights = {}, {}
        return means

    def state(self) -> dict[str, tuple[float, float]]:
        """Sums and weights, for a checkpoint."""
        return {name: (float(total), self._weights[name]) for name, total in self._sums.items()}

    def restore(self, state: dict[str, tuple[float, float]], device: torch.device) -> None:
        """Go on from a checkpoint's sums."""
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._sums = {name: torch.tensor(total, dtype=dtype, device=device) for name, (total, _) in state.items()}
        self._weights = {name: weight for name, (_, weight) in state.items()}
