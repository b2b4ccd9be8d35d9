"""Base class of GANs with a mapping and a synthesis network: style mixing in training, truncation and noise in sampling.

The latent-space tools (``ganloom latent``) use ``mapping`` and ``synthesis``.
"""

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.gan import Batch, Phase, SampleOptions
from ganloom.recipes.base.augmented import Augmented

NOISES = ("const", "random", "none")


class Styled(Augmented):
    """A GAN with a ``networks.style_generator.StyleGenerator`` as G; ``mixing`` of its config is the probability of
    style mixing.
    """

    sample_options = SampleOptions(truncation=True, noise=True, cutoff=True)

    def labels(self, n: int, batch: Batch) -> Tensor | None:
        """Return the labels of the batch."""
        return batch.c[:n] if self.cfg.n_classes and batch.c is not None else None

    def mixed(self, n: int, layers: int) -> tuple[Tensor, Tensor] | None:
        """Draw what style mixing needs.

        Args:
            n: Number of samples.
            layers: Number of layers of w.

        Returns:
            Second latents, and for each sample the first layer that uses them (``layers``: none); None without mixing.
        """
        if not self.cfg.mixing:
            return None
        start = 1 + (self.rand(n) * (layers - 1)).long()
        return self.z(n), torch.where(self.rand(n) < self.cfg.mixing, start, layers)

    def after_update(self, phase: Phase) -> None:
        """Update the running mean of w, and the strength of the augmentation if there is one."""
        super().after_update(phase)
        self.G.mapping.move_mean()

    def mapping(self, z: Tensor, c: Tensor | None = None, truncation: float = 1.0, cutoff: int | None = None) -> Tensor:
        """Map latents to one w per layer.

        Args:
            z: Latents (N, z_dim).
            c: Labels (N,).
            truncation: Factor of the distance of w from its mean.
            cutoff: Truncate the first ``cutoff`` layers only; None: all.

        Returns:
            ws (N, layers, w_dim).

        Raises:
            BadInput: If ``cutoff`` is not a number of layers.
        """
        if cutoff is not None and not 0 <= cutoff <= self.G.synthesis.n_layers:
            raise BadInput(f"cutoff (a number of layers) must be in 0..{self.G.synthesis.n_layers}, got {cutoff}")
        ws: Tensor = self.G.ws(z, c, truncation, cutoff, self.cfg.centre)
        return ws

    def synthesis(self, ws: Tensor, noise: str = "const") -> Tensor:
        """Map ws (N, layers, w_dim) to images (N, C, H, W), about [-1, 1] but not clipped."""
        self.check_noise(noise)
        x: Tensor = self.G.synthesis(ws, noise)
        return x

    @staticmethod
    def check_noise(noise: str) -> None:
        """Raise BadInput if ``noise`` is not one of ``NOISES``."""
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
        """Map latents (N, z_dim) and labels (N,) to images (N, C, H, W) in [-1, 1]."""
        return self.synthesis(self.mapping(z, c, truncation, cutoff), noise).clamp(-1, 1)
