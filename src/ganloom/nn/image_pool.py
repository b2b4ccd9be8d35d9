"""A history of fakes that D sees in addition to the newest (Shrivastava et al. 2016, arXiv:1612.07828, sec. 2.3), as
buffers.
"""

import torch
from torch import Tensor, nn


class Pool(nn.Module):
    """A history of about the last ``size`` fakes.

    While the history fills, each fake is stored and shown. After that half of the fakes are exchanged for a stored one.

    ``push`` stores G's output in its phase, ``pull`` returns it in D's phase. What was pushed is gone at the end of a step, so
    the state of a run is in the buffers alone.
    """

    bits: Tensor
    count: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size
        # Stored as the bits of float32: float buffers are averaged over processes, which would mix images.
        self.register_buffer("bits", torch.zeros(size, *shape, dtype=torch.int32))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self._waiting: list[Tensor] = []

    def clear(self) -> None:
        """Forget the pushed fakes at the start of a new step."""
        self._waiting = []

    def push(self, fake: Tensor) -> None:
        """Store fakes (n, C, H, W) for D's phase of this step."""
        self._waiting.extend(fake.detach().float().unbind())

    def pull(self, n: int) -> Tensor | None:
        """Return the first n pushed fakes (n, C, H, W) in order; None if there are fewer."""
        if len(self._waiting) < n:
            return None
        fakes, self._waiting = self._waiting[:n], self._waiting[n:]
        return torch.stack(fakes)

    @torch.no_grad()
    def mix(self, fake: Tensor, chance: Tensor) -> Tensor:
        """Exchange some fakes (n, C, H, W) for old ones; ``chance`` (n, 2) in [0, 1) decides which."""
        if not self.size:
            return fake
        outputs, stored, filled = [], self.bits.view(torch.float32), int(self.count)
        for one, (swap, place) in zip(fake.detach().float(), chance.tolist(), strict=True):
            if filled < self.size:
                stored[filled] = one
                filled += 1
                outputs.append(one)
            elif swap > 0.5:
                at = int(place * self.size)
                outputs.append(stored[at].clone())
                stored[at] = one
            else:
                outputs.append(one)
        self.count.fill_(filled)
        return torch.stack(outputs)
