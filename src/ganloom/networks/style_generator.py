"""Base class of the generators of StyleGAN and StyleGAN2: z to one w per layer, truncation, style mixing, synthesis."""

import torch
from torch import Tensor, nn

from ganloom.networks.equalised import Dense
from ganloom.networks.mapping import Mapping
from ganloom.nn.layers import one_hot


class StyleGenerator(nn.Module):
    """A mapping network from z to w and a synthesis network from one w per layer to images."""

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
        """Map latents to one w per layer, truncated: mean + truncation * (w - mean).

        Args:
            z: Latents (N, z_dim).
            c: Labels (N,).
            truncation: Factor of the distance to the mean; 1: no truncation.
            cutoff: Truncate the first ``cutoff`` layers only; None: all.
            centre: Which mean: of "all" w, or with labels of each sample's own "class".

        Returns:
            ws (N, layers, w_dim).
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
        """Map latents to images.

        Args:
            z: Latents (N, z_dim).
            c: Labels (N,).
            noise: const (a fixed field per layer), random, or none; None: random in training mode, else const.
            mixed: For style mixing: second latents, and for each sample the first layer that uses them.
            kwargs: Passed to the synthesis network.
        """
        ws = self.ws(z, c) if mixed is None else self.mixed_ws(z, c, mixed)
        out: Tensor = self.synthesis(ws, noise or ("random" if self.training else "const"), **kwargs)
        return out

    def affines(self) -> list[list[Dense]]:
        """Return for each layer of ws the affine layers that scale feature maps (without those of the output images)."""
        raise NotImplementedError

    def mixed_ws(self, z: Tensor, c: Tensor | None, mixed: tuple[Tensor, Tensor]) -> Tensor:
        """Return (N, layers, w_dim): w of z before each sample's layer, and of the second latents from it on."""
        other, start = mixed
        ws, w = self.ws(z, c), self.mapping(other, c, track=False)
        own = torch.arange(ws.shape[1], device=ws.device) < start[:, None]
        return torch.where(own[:, :, None], ws, w[:, None])
