"""What the generators of StyleGAN and StyleGAN2 share: from z to one w a layer, truncated or mixed, and on to the synthesis."""

import torch
from torch import Tensor, nn

from ganloom.networks.equalised import Dense
from ganloom.networks.mapping import Mapping
from ganloom.nn.layers import one_hot


class StyleGenerator(nn.Module):
    """A mapping from z to w and a synthesis from one w a layer: truncation, mixed styles, noise."""

    mapping: Mapping
    synthesis: nn.Module

    def ws(
        self,
        z: Tensor,
        c: Tensor | None = None,
        truncation: float | Tensor = 1.0,
        cutoff: int | None = None,
        centre: str = "all",
    ) -> Tensor:
        """z (N, z_dim) to (N, layers, w_dim): the mean + truncation * (w - mean), in the first ``cutoff`` layers.

        ``centre``: the mean is that of "all" w, or with labels that of each sample's own "class".
        """
        layers = self.synthesis.n_layers
        w: Tensor = self.mapping(z, c)[:, None].expand(-1, layers, -1)
        if isinstance(truncation, float | int) and truncation == 1:
            return w
        mean = self.mapping.w_mean.expand_as(w)
        if centre == "class" and self.mapping.n_classes and c is not None:
            mean = (one_hot(c, self.mapping.n_classes) @ self.mapping.class_means())[:, None].expand_as(w)
        near = torch.lerp(mean, w, truncation)
        return near if cutoff is None else torch.cat([near[:, :cutoff], w[:, cutoff:]], 1)

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        *,
        noise: str | None = None,
        mixed: tuple[Tensor, Tensor] | None = None,
        **kwargs: float,
    ) -> Tensor:
        """``mixed``: latents whose w is taken from a layer on, and that layer for each sample (style mixing).

        ``noise``: const (each layer's own fixed field), random, or none; by default random in training, else const.
        Further keywords go to the synthesis.
        """
        ws = self.ws(z, c) if mixed is None else self.mixed_ws(z, c, mixed)
        out: Tensor = self.synthesis(ws, noise or ("random" if self.training else "const"), **kwargs)
        return out

    def affines(self) -> list[list[Dense]]:
        """For each layer of ws, the affine maps that make scales of maps of it (those of images left out)."""
        raise NotImplementedError

    def mixed_ws(self, z: Tensor, c: Tensor | None, mixed: tuple[Tensor, Tensor]) -> Tensor:
        """(N, layers, w_dim): w of z up to each sample's layer, and of ``mixed``'s latents from it on."""
        other, start = mixed
        ws, w = self.ws(z, c), self.mapping(other, c, track=False)
        own = torch.arange(ws.shape[1], device=ws.device) < start[:, None]
        return torch.where(own[:, :, None], ws, w[:, None])
