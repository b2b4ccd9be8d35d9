"""What GANs with a mapping and a synthesis share: mixed styles in training, truncation, cutoff and noise in sampling.

``mapping`` and ``synthesis`` are what tools for the latent space stand on (``ganloom latent``).
"""

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.gan import Batch, Phase, SampleOptions
from ganloom.recipes.base.augmented import Augmented

NOISES = ("const", "random", "none")


class Styled(Augmented):
    """``G`` is a ``networks.style_generator.StyleGenerator``; the config has ``mixing``, the probability of style mixing."""

    sample_options = SampleOptions(truncation=True, noise=True, cutoff=True)

    def labels(self, n: int, batch: Batch) -> Tensor | None:
        """The batch's own."""
        return batch.c[:n] if self.cfg.n_classes and batch.c is not None else None

    def mixed(self, n: int, layers: int) -> tuple[Tensor, Tensor] | None:
        """Other latents, and for each sample the layer of ``layers`` from which on they count (the last: nowhere)."""
        if not self.cfg.mixing:
            return None
        start = 1 + (self.rand(n) * (layers - 1)).long()
        return self.z(n), torch.where(self.rand(n) < self.cfg.mixing, start, layers)

    def after_update(self, phase: Phase) -> None:
        """w's mean, and the augmentation's strength where there is one."""
        super().after_update(phase)
        self.G.mapping.move_mean()

    def mapping(self, z: Tensor, c: Tensor | None = None, truncation: float = 1.0, cutoff: int | None = None) -> Tensor:
        """Latents (N, z_dim) and labels (N,) to ws (N, layers, w_dim), truncated in the first ``cutoff`` layers."""
        if cutoff is not None and not 0 <= cutoff <= self.G.synthesis.n_layers:
            raise BadInput(f"cutoff counts layers, 0 to {self.G.synthesis.n_layers}, got {cutoff}")
        ws: Tensor = self.G.ws(z, c, truncation, cutoff, self.cfg.centre)
        return ws

    def synthesis(self, ws: Tensor, noise: str = "const") -> Tensor:
        """ws (N, layers, w_dim) to images (N, C, H, W), about [-1, 1] but not clipped."""
        self.check_noise(noise)
        x: Tensor = self.G.synthesis(ws, noise)
        return x

    @staticmethod
    def check_noise(noise: str) -> None:
        """BadInput where it is none of ``NOISES``."""
        if noise not in NOISES:
            raise BadInput(f"noise must be one of {', '.join(NOISES)}, got {noise!r}")

    def sample(
        self,
        z: Tensor,
        c: Tensor | None = None,
        truncation: float = 1.0,
        noise: str = "const",
        cutoff: int | None = None,
    ) -> Tensor:
        """Latents (N, z_dim) and labels (N,) to images (N, C, H, W) in [-1, 1]."""
        return self.synthesis(self.mapping(z, c, truncation, cutoff), noise).clamp(-1, 1)
