"""Data-parallel training: each process takes a slice of the global batch, and one all-reduce per phase averages the gradients.

Recipes do not use this module. In a single process (without ``torchrun``) every call returns at once.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ganloom.core import randomness


class Processes:
    """The processes of a run.

    With several processes, the caller must initialize torch.distributed first.

    Attributes:
        rank: Index of this process.
        world: Number of processes.
    """

    def __init__(self) -> None:
        several = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if several else 0
        self.world = dist.get_world_size() if several else 1
        randomness.set_shard(self.rank, self.world)

    def broadcast(self, module: nn.Module) -> None:
        """Copy the parameters and buffers of the first process to all others. Without this they would differ silently."""
        if self.world > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    def reduce(self, parameters: Sequence[nn.Parameter], gan: nn.Module) -> list[Tensor]:
        """Average gradients over the processes, in place, together with the model's float buffers.

        Args:
            parameters: Parameters whose gradients to average.
            gan: Model whose buffers to average.

        Returns:
            The gradients of the parameters that have one.
        """
        grads = [grad for p in parameters if (grad := p.grad) is not None]
        if self.world > 1:
            together = grads + [b for b in gan.buffers() if b.is_floating_point()]
            flat = torch.cat([t.flatten().double() for t in together])
            dist.all_reduce(flat)
            flat /= self.world
            for tensor, part in zip(together, flat.split([t.numel() for t in together]), strict=True):
                tensor.copy_(part.view_as(tensor))
        return grads

    def any(self, flag: bool) -> bool:
        """Return whether ``flag`` is true in any process."""
        if self.world == 1:
            return flag
        count = torch.tensor(float(flag))
        dist.all_reduce(count)
        return bool(count > 0)
