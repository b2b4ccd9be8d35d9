"""A history of fakes that D is shown beside the newest (Shrivastava et al. 2016, arXiv:1612.07828, sec. 2.3), as buffers."""

import torch
from torch import Tensor, nn


class Pool(nn.Module):
    """The last ``size`` fakes or so: while it fills, each fake is kept and shown; then half of them go in for an old one.

    ``push`` what G made in its phase, ``pull`` it in D's. What waits between the two is gone at the end of a step, so a
    run's state is the buffers alone.
    """

    bits: Tensor
    count: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size
        # Kept as the bits of float32: float buffers are averaged over processes, and a mean of images is none.
        self.register_buffer("bits", torch.zeros(size, *shape, dtype=torch.int32))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self._waiting: list[Tensor] = []

    def clear(self) -> None:
        """Forget what waits: a new step begins."""
        self._waiting = []

    def push(self, fake: Tensor) -> None:
        """Fakes (n, C, H, W) that D's phase of this step is to see."""
        self._waiting.extend(fake.detach().float().unbind())

    def pull(self, n: int) -> Tensor | None:
        """The first n that wait, (n, C, H, W), in order; None where fewer do."""
        if len(self._waiting) < n:
            return None
        taken, self._waiting = self._waiting[:n], self._waiting[n:]
        return torch.stack(taken)

    @torch.no_grad()
    def mix(self, fake: Tensor, chance: Tensor) -> Tensor:
        """Fakes (n, C, H, W) with some exchanged for old ones; ``chance`` (n, 2) in [0, 1) decides which."""
        if not self.size:
            return fake
        shown, kept, filled = [], self.bits.view(torch.float32), int(self.count)
        for one, (swap, place) in zip(fake.detach().float(), chance.tolist(), strict=True):
            if filled < self.size:
                kept[filled] = one
                filled += 1
                shown.append(one)
            elif swap > 0.5:
                at = int(place * self.size)
                shown.append(kept[at].clone())
                kept[at] = one
            else:
                shown.append(one)
        self.count.fill_(filled)
        return torch.stack(shown)
