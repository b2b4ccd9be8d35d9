"""Modules that change what a discriminator receives: ADA, DiffAugment, instance noise, packing."""

from torch import Tensor, nn

from ganloom.augment.ada import Ada
from ganloom.augment.diffaugment import diff_augment
from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.stabilisers.config import Stabilise, packed


class DiffAugment(nn.Module):
    """T(x) of DiffAugment (Zhao et al. 2020, arXiv:2006.10738).

    Args:
        policy: Names of transformations; empty: none.
    """

    def __init__(self, policy: tuple[str, ...]) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return diff_augment(x, self.policy)


class InstanceNoise(nn.Module):
    """x + s n with normal n (Sønderby et al. 2016, arXiv:1610.04490); s falls linearly to 0.

    Args:
        settings: ``instance_noise`` is s at the start, ``noise_kimg`` the end.
    """

    def __init__(self, settings: Stabilise) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, x: Tensor, kimg: float) -> Tensor:
        """(N, ...) -> (N, ...) at ``kimg`` thousand images."""
        sd = self.settings.noise(kimg)
        return x + sd * randomness.randn(*x.shape, device=x.device).to(x.dtype) if sd else x


class Pack(nn.Module):
    """Joins several samples along the channels (PacGAN, Lin et al. 2017, arXiv:1712.04086).

    Args:
        size: Number of samples to join.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> (N / size, size * C, ...)."""
        return packed(x, self.size) if self.size > 1 else x


class DiscriminatorInput(nn.Module):
    """All changes to a discriminator's input, in order: ADA, DiffAugment, instance noise, packing.

    Args:
        settings: The stabilisers' settings.
    """

    def __init__(self, settings: Stabilise) -> None:
        super().__init__()
        self.augment = DiffAugment(settings.diff_augment)
        self.noise = InstanceNoise(settings)
        self.pack = Pack(settings.pack)
        self.adaptive = settings.adaptive > 0

    def forward(self, x: Tensor, kimg: float, ada: Ada | None) -> Tensor:
        """Change a batch (N, ...) at ``kimg`` thousand images; ``ada`` is the model's own augmentation state."""
        if ada is not None:
            if x.dim() != 4:
                raise BadInput("--adaptive moves and tints images, and these data are points: leave it out")
            x = ada(x)
        out: Tensor = self.pack(self.noise(self.augment(x), kimg))
        return out
