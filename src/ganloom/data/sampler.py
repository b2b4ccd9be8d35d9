"""Which rows a batch holds: a function of (seed, position), so that a resumed run needs no sampler state."""

import hashlib

import torch
from torch import Tensor


class EpochSampler:
    """Visit ``size`` rows once per epoch, each epoch in another random order.

    The batch of ``n`` at position ``p`` (the number of rows drawn before it) is ``perm(seed, epoch)[p:p + n]``. It
    continues with the orders of the next epochs if this one ends.

    Args:
        size: number of rows.
        name: part of the seed: samplers of different names draw independently.
    """

    def __init__(self, size: int, name: str = "perm") -> None:
        self.size, self.name = size, name
        self._recent: dict[tuple[int, int], Tensor] = {}  # two epochs: a batch may span both

    def epoch(self, seed: int, epoch: int) -> Tensor:
        """Return the order of one epoch: a permutation, int64 (size,)."""
        order = self._recent.get((seed, epoch))
        if order is None:
            digest = hashlib.blake2b(repr((seed, self.name, epoch)).encode(), digest_size=8).digest()
            generator = torch.Generator()
            generator.manual_seed(int.from_bytes(digest, "little") >> 1)
            order = self._shuffled(generator)
            while len(self._recent) >= 2:
                del self._recent[next(iter(self._recent))]
            self._recent[seed, epoch] = order
        return order

    def _shuffled(self, generator: torch.Generator) -> Tensor:
        return torch.randperm(self.size, generator=generator)

    def batch(self, n: int, rng: torch.Generator) -> Tensor:
        """Return the indices of the global batch.

        Args:
            n: batch size.
            rng: its ``run_seed`` and ``position`` decide the batch. A plain generator has no position; with it, rows
                are drawn at random with replacement.

        Returns:
            int64 (n,) in [0, size).
        """
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


class SameLabelSampler(EpochSampler):
    """Form groups of ``group`` rows that share a label. A class whose size is not a multiple repeats a few rows.

    A batch of n holds n / group groups, strided: group i is rows [i::n / group], as ``layers.MinibatchStddev`` forms
    its groups.

    Args:
        labels: int64 (N,).
        group: rows per group.
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
        all_groups = torch.cat(groups)
        return all_groups[torch.randperm(len(all_groups), generator=generator)].flatten()

    def batch(self, n: int, rng: torch.Generator) -> Tensor:
        """Return the indices of the global batch, int64 (n,), see `EpochSampler.batch`; ``n`` is a multiple of ``group``."""
        if getattr(rng, "position", None) is None:
            groups = self._shuffled(rng).view(-1, self.group)
            picks = groups[torch.randint(len(groups), (n // self.group,), generator=rng)].flatten()
        else:
            picks = super().batch(n, rng)
        return picks.view(-1, self.group).t().flatten()
