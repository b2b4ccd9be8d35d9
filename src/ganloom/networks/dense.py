"""Fully connected networks for images (as flat vectors) and for points."""

import math

import torch
from torch import Tensor, nn

from ganloom.nn.layers import one_hot


class Generator(nn.Module):
    """Map z (N, z_dim) and labels c (N,) to samples (N, *shape): in [-1, 1] for images, unbounded for points.

    Args:
        shape: Shape of a sample; one entry for points.
        z_dim: Length of z.
        widths: Widths of the hidden layers.
        norm: Use BatchNorm after each hidden layer. The "0.8" of the well-known Keras architecture is Keras' momentum, which is
            0.2 in torch's convention.
        n_classes: Number of classes; 0: without labels.
        slope: Negative slope of LeakyReLU; 0: ReLU.
        sigmoid: Use a sigmoid instead of tanh for images.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        z_dim: int = 100,
        widths: tuple[int, ...] = (256, 512, 1024),
        *,
        norm: bool = True,
        n_classes: int = 0,
        slope: float = 0.2,
        sigmoid: bool = False,
    ) -> None:
        super().__init__()
        self.bf16 = len(shape) == 3  # bf16 is too coarse for points
        self.shape, self.n_classes, self.sigmoid = shape, n_classes, sigmoid
        layers: list[nn.Module] = []
        inputs = z_dim + n_classes
        for width in widths:
            layers.append(nn.Linear(inputs, width, bias=not norm))
            layers += [nn.BatchNorm1d(width, momentum=0.2)] if norm else []
            layers.append(nn.LeakyReLU(slope) if slope else nn.ReLU())
            inputs = width
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(inputs, math.prod(shape))

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map z (N, z_dim) and labels (N,) to samples (N, *shape)."""
        if self.n_classes and c is not None:
            z = torch.cat([z, one_hot(c, self.n_classes)], 1)
        x: Tensor = self.out(self.body(z)).unflatten(1, self.shape)
        if len(self.shape) == 1:
            return x
        return x.sigmoid() * 2 - 1 if self.sigmoid else x.tanh()


class Discriminator(nn.Module):
    """Map samples x (N, *shape) and labels c (N,) to logits (N,).

    Args:
        shape: Shape of a sample.
        widths: Widths of the hidden layers.
        n_classes: Number of classes; 0: without labels.
        slope: Negative slope of LeakyReLU.
        pieces: Pieces of maxout; 1: LeakyReLU instead.
        dropout: Dropout rates of the input and of the hidden layers.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        widths: tuple[int, ...] = (512, 256),
        *,
        n_classes: int = 0,
        slope: float = 0.2,
        pieces: int = 1,
        dropout: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        super().__init__()
        self.bf16 = len(shape) == 3
        self.n_classes = n_classes
        layers: list[nn.Module] = [nn.Dropout(dropout[0])] if dropout[0] else []
        inputs = math.prod(shape) + n_classes
        for width in widths:
            layers.append(nn.Linear(inputs, width * pieces))
            layers.append(Maxout(pieces) if pieces > 1 else nn.LeakyReLU(slope))
            layers += [nn.Dropout(dropout[1])] if dropout[1] else []
            inputs = width
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(inputs, 1)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map samples (N, *shape) and labels (N,) to logits (N,)."""
        x = x.flatten(1)
        if self.n_classes and c is not None:
            x = torch.cat([x, one_hot(c, self.n_classes)], 1)
        logits: Tensor = self.out(self.body(x)).flatten()
        return logits


class Maxout(nn.Module):
    """Maximum over groups of ``pieces`` neighbours: (N, F x pieces) -> (N, F) (Goodfellow et al. 2013, arXiv:1302.4389)."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """(N, F x pieces) -> (N, F)."""
        pieces: Tensor = x.unflatten(1, (-1, self.pieces))
        return pieces.amax(2)
