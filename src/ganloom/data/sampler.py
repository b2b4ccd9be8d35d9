"""Which images a batch holds: a function of (seed, position), so a run that is resumed carries no sampler state."""

import hashlib

import torch
from torch import Tensor


class Order:
    """Epochs of ``size`` items, each in an order of its own.

    The batch of ``n`` at position ``p`` (items drawn before it) is ``perm(seed, epoch)[p:p + n]``, running on into the
    next epoch's order where it ends, as often as need be.
    """

    def __init__(self, size: int, what: str = "perm") -> None:
        self.size, self.what = size, what  # two sets of other names are drawn apart
        self._recent: dict[tuple[int, int], Tensor] = {}  # two epochs: a batch on the border needs both

    def epoch(self, seed: int, epoch: int) -> Tensor:
        """The order of one epoch: a permutation (size,) int64."""
        found = self._recent.get((seed, epoch))
        if found is None:
            digest = hashlib.blake2b(repr((seed, self.what, epoch)).encode(), digest_size=8).digest()
            generator = torch.Generator()
            generator.manual_seed(int.from_bytes(digest, "little") >> 1)
            found = self._shuffled(generator)
            while len(self._recent) >= 2:
                del self._recent[next(iter(self._recent))]
            self._recent[seed, epoch] = found
        return found

    def _shuffled(self, generator: torch.Generator) -> Tensor:
        return torch.randperm(self.size, generator=generator)

    def batch(self, n: int, rng: torch.Generator) -> Tensor:
        """Indices (n,) int64 of the global batch; a plain generator, which knows no position, draws them at random."""
        position: int | None = getattr(rng, "position", None)
        if position is None:
            return torch.randint(self.size, (n,), generator=rng)
        seed: int = getattr(rng, "run_seed", 0)
        epoch, start = divmod(position, self.size)
        if start + n <= self.size:
            return self.epoch(seed, epoch)[start : start + n]
        parts = []
        while n:
            part = self.epoch(seed, epoch)[start : start + n]
            parts.append(part)
            n, epoch, start = n - len(part), epoch + 1, 0
        return torch.cat(parts)


class Alike(Order):
    """Epochs in which ``group`` items in a row share a label: a class that is no multiple of it repeats a few of its items.

    A batch of n is n / group such groups, strided (rows [i::n / group]) as ``layers.MinibatchStddev`` forms its own.
    """

    def __init__(self, labels: Tensor, group: int) -> None:
        self.group = group
        classes = [torch.nonzero(labels == c).flatten() for c in labels.unique().tolist()]
        self.classes = [rows.repeat(1 + (group - 1) // len(rows)) if len(rows) < group else rows for rows in classes]
        super().__init__(sum(-(-len(rows) // group) * group for rows in self.classes), "alike")

    def _shuffled(self, generator: torch.Generator) -> Tensor:
        groups = []
        for rows in self.classes:
            order = rows[torch.randperm(len(rows), generator=generator)]
            groups.append(torch.cat([order, order[: -len(rows) % self.group]]).view(-1, self.group))
        every = torch.cat(groups)
        return every[torch.randperm(len(every), generator=generator)].flatten()

    def batch(self, n: int, rng: torch.Generator) -> Tensor:
        """Indices (n,) int64; n must be a multiple of ``group``."""
        if getattr(rng, "position", None) is None:
            every = self._shuffled(rng).view(-1, self.group)
            picks = every[torch.randint(len(every), (n // self.group,), generator=rng)].flatten()
        else:
            picks = super().batch(n, rng)
        return picks.view(-1, self.group).t().flatten()
