"""Several processes as one: each takes a slice of the global batch, and one flat sum a phase joins their gradients.

Nothing here is used by a recipe. In one process (no ``torchrun``) every call returns at once.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ganloom.core import randomness


class Processes:
    """This process among ``world``; torch.distributed must be initialised by the caller when there are several."""

    def __init__(self) -> None:
        several = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if several else 0
        self.world = dist.get_world_size() if several else 1
        randomness.set_shard(self.rank, self.world)

    def broadcast(self, module: nn.Module) -> None:
        """Give every process the first one's parameters and buffers: without it ranks differ and nothing complains."""
        if self.world > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    def reduce(self, parameters: Sequence[nn.Parameter], gan: nn.Module) -> list[Tensor]:
        """The gradients that exist, averaged over the processes together with the model's float buffers."""
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
        """Whether any process says so."""
        if self.world == 1:
            return flag
        told = torch.tensor(float(flag))
        dist.all_reduce(told)
        return bool(told > 0)
