"""The mapping network of StyleGAN and StyleGAN2 (Karras et al. 2018, arXiv:1812.04948, sec. 2), and the means of w."""

from typing import Any

import torch
from torch import Tensor, nn

from ganloom.networks.equalised import Dense, exact
from ganloom.nn.layers import one_hot


def normed(x: Tensor) -> Tensor:
    """Divide (N, F) by the root mean square of each row."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class Mapping(nn.Module):
    """Map z (N, z_dim) and labels to w (N, w_dim), and keep the mean of w, towards which truncation pulls.

    In training mode each pass only adds to sums; ``move_mean`` is called once per update.
    """

    w_mean: Tensor
    w_sums: Tensor
    seen: Tensor

    def __init__(self, z_dim: int, w_dim: int, layers: int = 8, n_classes: int = 0, lr_mul: float = 0.01) -> None:
        super().__init__()
        self.n_classes = n_classes
        self._means: tuple[Any, Tensor] = None, torch.empty(0)
        if n_classes:
            self.embed = Dense(n_classes, w_dim)
        inputs = [z_dim + (w_dim if n_classes else 0), *[w_dim] * (layers - 1)][:layers]
        self.layers = nn.Sequential(*(Dense(n, w_dim, lr_mul=lr_mul, active=True) for n in inputs))
        if z_dim:
            self.register_buffer("w_mean", torch.zeros(w_dim))
            self.register_buffer("w_sums", torch.zeros(w_dim))
            self.register_buffer("seen", torch.zeros(()))

    def forward(self, z: Tensor | None, c: Tensor | None = None, track: bool = True) -> Tensor:
        """Map z (N, z_dim), or None for labels alone, and labels c (N,) to w (N, w_dim)."""
        parts = [] if z is None else [normed(z.float())]
        if self.n_classes:
            assert c is not None
            with exact(c):
                parts.append(normed(self.embed(one_hot(c, self.n_classes))))
        x = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
        with exact(x):
            w: Tensor = self.layers(x)
        if self.training and track and z is not None:
            with torch.no_grad():
                self.w_sums.add_(w.sum(0))
                self.seen.add_(len(w))
        return w

    @torch.no_grad()
    def class_means(self) -> Tensor:
        """Return the mean of w of each class, (classes, w_dim), over the same latents for all; cached until a weight
        changes.
        """
        weights = [*self.layers.parameters(), *self.embed.parameters()]
        key = weights[0].device, [float(p.double().sum()) for p in weights]
        if self._means[0] != key:
            n = max(min(4096, 65536 // self.n_classes), 16)
            first: Any = self.layers[0]
            z = torch.randn(n, first.in_features - len(self.w_mean), generator=torch.Generator().manual_seed(0))
            z = z.to(self.w_mean.device)
            every = torch.arange(self.n_classes, device=z.device)
            means = torch.stack([self(z, c.expand(n), track=False).mean(0) for c in every])
            self._means = key, means
        return self._means[1]

    def move_mean(self, rate: float = 0.005) -> None:
        """Move the mean of w by ``rate`` towards the mean since the last call."""
        any_new = (self.seen > 0).to(self.w_mean.dtype)  # no value is read back, so no device synchronisation
        self.w_mean.lerp_(self.w_sums / self.seen.clamp_min(1), rate * any_new)
        self.w_sums.zero_()
        self.seen.zero_()
