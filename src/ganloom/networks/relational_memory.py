"""Relational memory as a generator of token sequences, for RelGAN."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.networks.sequence import SequenceNetwork, State


class RelationalMemory(SequenceNetwork):
    """Relational memory core (Santoro et al. 2018, arXiv:1806.01822), with gates of one for each unit.

    The slots attend to themselves and to the input, then each unit is gated as in an LSTM.

    Args:
        slots: Number of memory slots.
        heads: Number of attention heads.
        head_size: Width of a head; a slot has heads * head_size numbers.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        classes: int,
        embedding: int,
        slots: int,
        heads: int,
        head_size: int,
        fixed_length: bool,
    ) -> None:
        super().__init__(vocabulary, length, classes, embedding, fixed_length)
        width = heads * head_size
        self.slots, self.heads, self.width = slots, heads, width
        self.read = nn.Linear(embedding, width)
        self.qkv = nn.Linear(width, 3 * width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.after_attention, self.after_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.gates_of_input, self.gates_of_memory = nn.Linear(width, 2 * width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(slots * width, vocabulary)
        nn.init.normal_(self.embed.weight, 0.0, 0.1)

    def begin(self, n: int) -> State:
        """The unit vectors, one for each slot."""
        return (torch.eye(self.slots, self.width, device=self.embed.weight.device).expand(n, -1, -1),)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one vector; see the base class."""
        (memory,) = state
        read = self.read(x)[:, None]
        both = torch.cat([memory, read], 1)
        n, t, _ = both.shape
        q, k, v = self.qkv(both).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, self.width)
        both = self.after_attention(both + attended)
        proposed = self.after_mlp(both + self.mlp(both))[:, : self.slots]
        enter, keep = (self.gates_of_input(read) + self.gates_of_memory(memory.tanh())).chunk(2, 2)
        memory = enter.sigmoid() * proposed.tanh() + (keep + 1).sigmoid() * memory
        return self.allowed(self.out(memory.flatten(1))), (memory,)
