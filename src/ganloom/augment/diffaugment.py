"""DiffAugment: the same differentiable augmentation of real and fake images (Zhao et al. 2020, arXiv:2006.10738).

D sees T(x) and T(G(z)) in its step, and T(G(z)) in G's step, with a random T for each image. So few images last longer, and
G does not learn T. All random numbers are keyed (``ganloom.core.randomness``).
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.core import randomness
from ganloom.core.errors import BadInput, did_you_mean


def _uniform(x: Tensor) -> Tensor:
    """Draw one number in [0, 1) per image, (N, 1, 1, 1)."""
    return randomness.rand(len(x), 1, 1, 1, device=x.device)


def colour(x: Tensor) -> Tensor:
    """Change brightness by +-0.5, saturation by 0 to 2, contrast by 0.5 to 1.5; x (N, C, H, W) in about [-1, 1]."""
    x = x + _uniform(x) - 0.5
    grey = x.mean(1, keepdim=True)
    x = torch.lerp(grey, x, 2 * _uniform(x))
    mean = x.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, x, 0.5 + _uniform(x))


def _places(x: Tensor, axis: int) -> Tensor:
    """Return 0, 1, ... along an axis of (N, C, H, W), with a shape that broadcasts."""
    shape = [1] * 4
    shape[axis] = x.shape[axis]
    return torch.arange(x.shape[axis], device=x.device).view(shape)


def translation(x: Tensor, ratio: float = 0.125) -> Tensor:
    """Shift images by whole pixels, up to ``ratio`` of the side in each direction, and fill with 0."""
    for axis in (2, 3):
        most = int(x.shape[axis] * ratio + 0.5)
        shift = (_uniform(x) * (2 * most + 1)).long() - most
        source = _places(x, axis) - shift
        inside = (source >= 0) & (source < x.shape[axis])
        size = [-1, x.shape[1], *x.shape[2:]]
        x = torch.gather(x, axis, source.clamp(0, x.shape[axis] - 1).expand(*size)) * inside
    return x


def cutout(x: Tensor, ratio: float = 0.5) -> Tensor:
    """Set a box with ``ratio`` of each side, centred at a random position, to 0."""
    box = torch.ones((), dtype=torch.bool, device=x.device)
    for axis in (2, 3):
        side = int(x.shape[axis] * ratio + 0.5)
        start = (_uniform(x) * (x.shape[axis] + 1 - side % 2)).long() - side // 2
        box = box & (_places(x, axis) >= start) & (_places(x, axis) < start + side)
    return x * ~box


def flip(x: Tensor) -> Tensor:
    """Mirror images left to right with probability 1/2."""
    return torch.where(_uniform(x) < 0.5, x, x.flip(3))


AUGMENTS: dict[str, Callable[[Tensor], Tensor]] = {
    "colour": colour,
    "translation": translation,
    "cutout": cutout,
    "flip": flip,
}


def check_policy(policy: Sequence[str], flag: str = "--augment") -> None:
    """Raise BadInput if a name of the policy is unknown; ``flag`` is the option named in the message."""
    for name in policy:
        if name not in AUGMENTS:
            raise BadInput(f'{flag} has no "{name}"{did_you_mean(name, AUGMENTS)}: choose from {", ".join(AUGMENTS)}')


def diff_augment(x: Tensor, policy: Sequence[str] = ("colour", "translation", "cutout")) -> Tensor:
    """Apply the augmentations of a policy in order.

    Args:
        x: Images (N, C, H, W) in about [-1, 1].
        policy: Names out of ``AUGMENTS``.

    Returns:
        Augmented images (N, C, H, W).
    """
    for name in policy:
        x = AUGMENTS[name](x)
    return x


def resize(x: Tensor, height: int, width: int) -> Tensor:
    """Resize images (N, C, H, W) to (N, C, height, width) by averaging areas."""
    return x if x.shape[2:] == (height, width) else F.interpolate(x, (height, width), mode="area")
