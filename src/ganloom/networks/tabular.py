"""Fully connected networks for encoded table rows: CTGAN's generator and critic, and the activations of a row's parts."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.data.encoded_table import Layout


class Heads(nn.Module):
    """Activate the parts of a row: tanh for numbers; softmax, Gumbel softmax or a hard choice for modes and categories.

    Args:
        layout: The parts of a row.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        values, sizes = [], []
        start = 0
        self.parts: list[tuple[int, int]] = []
        for kind, size in layout:
            if kind == "value":
                values.append(start)
                start += 1
            self.parts.append((start, size))
            sizes.append(size)
            start += size
        self.width, self.soft = start, sum(sizes)
        owner = torch.tensor([column for column, size in enumerate(sizes) for _ in range(size)], dtype=torch.long)
        columns = torch.tensor([i for first, size in self.parts for i in range(first, first + size)], dtype=torch.long)
        self.register_buffer("values", torch.tensor(values, dtype=torch.long), persistent=False)
        self.register_buffer("columns", columns, persistent=False)
        self.register_buffer("owner", owner, persistent=False)
        self.values: Tensor
        self.columns: Tensor
        self.owner: Tensor
        """Part of each one-hot number."""

    def log_softmax(self, logits: Tensor) -> Tensor:
        """Log probabilities (n, soft) of all one-hot numbers from logits (n, soft), each part normalised for itself."""
        count, parts = len(logits), len(self.parts)
        owner = self.owner.expand(count, -1)
        highest = logits.new_full((count, parts), -torch.inf).scatter_reduce(1, owner, logits.detach(), "amax")
        shifted = logits - highest.gather(1, owner)
        sums = logits.new_zeros(count, parts).scatter_add(1, owner, shifted.exp())
        return shifted - sums.log().gather(1, owner)

    def forward(self, raw: Tensor, noise: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """Activate raw outputs.

        Args:
            raw: (n, width).
            noise: Gumbel noise (n, soft). None: plain softmax.
            temperature: Of the softmax. 0: a hard choice.

        Returns:
            Rows (n, width).
        """
        logits = raw[:, self.columns]
        logits = logits if noise is None else logits + noise
        if temperature == 0:
            soft = torch.cat([_hard(part) for part in logits.split([size for _, size in self.parts], 1)], 1)
        else:
            soft = self.log_softmax(logits / temperature).exp()
        out = raw.new_zeros(raw.shape).index_copy(1, self.columns, soft)
        return out.index_copy(1, self.values, raw[:, self.values].tanh()) if len(self.values) else out


def _hard(logits: Tensor) -> Tensor:
    return F.one_hot(logits.argmax(1), logits.shape[1]).to(logits.dtype)


def gumbel(u: Tensor) -> Tensor:
    """Gumbel noise from uniform numbers in [0, 1)."""
    noise: Tensor = -(-u.clamp(1e-7, 1 - 1e-7).log()).log()
    return noise


class Residual(nn.Module):
    """Linear, BatchNorm and ReLU, joined with the input: (n, d) -> (n, width + d)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(inputs, width), nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, d) -> (n, width + d)."""
        return torch.cat([self.norm(self.linear(x)).relu(), x], 1)


class Generator(nn.Module):
    """Map z (n, z_dim) and one-hot conditions c (n, conditions) to raw rows (n, width); ``heads`` activates them.

    Args:
        layout: The parts of a row.
        z_dim: Length of z.
        conditions: Length of the conditional vector; 0: none.
        widths: Widths of the residual layers.
    """

    bf16 = False

    def __init__(self, layout: Layout, z_dim: int, conditions: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.heads = Heads(layout)
        inputs = z_dim + conditions
        layers = []
        for width in widths:
            layers.append(Residual(inputs, width))
            inputs += width
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(inputs, self.heads.width)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map z (n, z_dim) and c (n, conditions) to raw rows (n, width)."""
        raw: Tensor = self.out(self.body(z if c is None else torch.cat([z, c], 1)))
        return raw


class Critic(nn.Module):
    """Map packs of rows x (n, pac * width) and conditions c (n, pac * conditions) to scores (n,).

    Args:
        inputs: Numbers of a pack, conditions included.
        widths: Widths of the hidden layers.
        dropout: Rate of dropout after each hidden layer.
    """

    bf16 = False

    def __init__(self, inputs: int, widths: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Linear(inputs, width), nn.LeakyReLU(0.2), nn.Dropout(dropout)]
            inputs = width
        self.body, self.out = nn.Sequential(*layers), nn.Linear(inputs, 1)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map packs of rows to scores (n,)."""
        scores: Tensor = self.out(self.body(x if c is None else torch.cat([x, c], 1))).flatten()
        return scores
