"""Discriminators of texts: convolutions of several widths over the tokens, as in SeqGAN and in RelGAN."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def token_vectors(x: Tensor, weight: Tensor) -> Tensor:
    """The vectors (n, L, d) of tokens, int64 (n, L), or of distributions over the tokens, float (n, L, V)."""
    return x @ weight if x.is_floating_point() else F.embedding(x, weight)


class Highway(nn.Module):
    """A layer with a gate between its output and its input; the gate starts near the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.constant_(self.gate.bias, -2.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, width) to the same shape."""
        gate = self.gate(x).sigmoid()
        out: Tensor = gate * F.relu(self.change(x)) + (1 - gate) * x
        return out


class _Convolutions(nn.Module):
    """Convolutions, the maximum over the text, a highway layer and dropout, for each of several representations of a text.

    The embedding is split into ``views`` parts; each is a representation of its own, and all have the same convolutions.

    Args:
        embed: The vectors of the tokens (V, d).
        length: L; wider convolutions than L are left out.
        classes: Number of classes; 0: without. A class adds the product of its vector with the features.
        views: Number of representations.
        filters: (width, channels) of each convolution.
        hidden: Width of a hidden layer before the logit; 0: there is none.
        dropout: Rate of dropout before the last layer.
    """

    bf16 = False

    def __init__(
        self,
        embed: Tensor,
        length: int,
        classes: int,
        views: int,
        filters: Sequence[tuple[int, int]],
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.views, each = views, embed.shape[1] // views
        self.embed = nn.Parameter(embed)
        fitting = [(width, channels) for width, channels in filters if width <= length] or [(1, filters[0][1])]
        self.convs = nn.ModuleList([nn.Conv1d(each, channels, width) for width, channels in fitting])
        total = sum(channels for _, channels in fitting)
        self.highway = Highway(total)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Sequential(nn.Linear(total, hidden), nn.Linear(hidden, 1)) if hidden else nn.Linear(total, 1)
        self.label = nn.Embedding(classes, total) if classes else None

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map tokens (n, L), or distributions over them (n, L, V), to logits (n * views,)."""
        vectors = token_vectors(x, self.embed)
        n, length, width = vectors.shape
        parts = vectors.view(n, length, self.views, width // self.views).permute(0, 2, 3, 1).flatten(0, 1)
        features = torch.cat([F.relu(conv(parts)).amax(2) for conv in self.convs], 1)
        features = self.dropout(self.highway(features))
        logits: Tensor = self.out(features)[:, 0]
        if self.label is not None and c is not None:
            own = self.label(c).repeat_interleave(self.views, 0)
            logits = logits + (own * features).sum(1) / features.shape[1] ** 0.5
        return logits


class TextCNN(_Convolutions):
    """SeqGAN's discriminator: one representation (Kim 2014; Yu et al. 2017, appendix). See the base class."""

    def __init__(
        self,
        vocabulary: int,
        length: int,
        classes: int,
        embedding: int,
        filters: Sequence[tuple[int, int]],
        dropout: float,
    ) -> None:
        embed = torch.empty(vocabulary, embedding).uniform_(-1, 1)
        super().__init__(embed, length, classes, 1, filters, 0, dropout)


class ManyViews(_Convolutions):
    """RelGAN's discriminator: several representations, and a hidden layer before the logit. See the base class."""

    def __init__(
        self,
        vocabulary: int,
        length: int,
        classes: int,
        embedding: int,
        views: int,
        filters: Sequence[tuple[int, int]],
        hidden: int,
        dropout: float,
    ) -> None:
        embed = torch.empty(vocabulary, embedding).normal_(0, 0.1)
        super().__init__(embed, length, classes, views, filters, hidden, dropout)
