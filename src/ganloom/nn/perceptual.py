"""Perceptual distance of images in the features of a frozen network, with gradients, for use as a loss term."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.metrics.extractors import by_name
from ganloom.metrics.extractors.inputs import to_channels, to_size

SMALLEST = 16
"""Smallest side of the images that a network gets which takes any size, in pixels."""


class Perceptual:
    """Distances in the feature maps of a network (Johnson et al. 2016, arXiv:1603.08155), at the last map of each resolution.

    Images keep their size if the network takes any size and its name has none (``effnet:size=64`` has one); otherwise they are
    resized. Images below ``SMALLEST`` pixels are enlarged. The network is not trained, and is not part of any model's weights.

    Args:
        name: Name for `metrics.extractors.by_name`: random, fashion, effnet (an extra), mobilenet (a package), or a file.
        device: Where the network runs.

    Raises:
        BadInput: If the network has no suitable features.
    """

    def __init__(self, name: str, device: str | torch.device = "cpu") -> None:
        if name in ("task", "inception"):
            raise BadInput(
                f"the network {name} cannot be used for a distance of features: use random, fashion, effnet, mobilenet or a "
                ".pt2 file that returns features"
            )
        extractor = by_name.get(name, device=device)
        self.device, self.channels, self.range = torch.device(device), extractor.channels, extractor.value_range
        self.size = None if name in ("random", "effnet", "efficientnet") else extractor.size
        self.net = extractor.net
        if isinstance(self.net, nn.Module):
            self.net.requires_grad_(False).eval()

    def maps(self, x: Tensor) -> list[Tensor]:
        """Compute feature maps.

        Args:
            x: Images (N, C, H, W) in [-1, 1].

        Returns:
            Maps (N, c, h, w), finest first; for a network without maps its features as one map.
        """
        low, high = self.range
        x = to_channels(x.float(), self.channels)
        x = _large_enough(x) if self.size is None else to_size(x, self.size)
        x = (x + 1) * ((high - low) / 2) + low
        with torch.autocast(x.device.type, enabled=False):
            net_maps = getattr(self.net, "maps", None)
            if net_maps is not None:
                maps: list[Tensor] = net_maps(x)
                return maps
            last_maps: dict[int, Tensor] = {}  # keyed by the octave of the height: padding may turn 32 into 33

            def store(module: nn.Module, args: object, output: object) -> None:
                if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
                    last_maps[output.shape[2].bit_length()] = output

            hooks = [leaf.register_forward_hook(store) for leaf in _leaves(self.net)]
            try:
                out = self.net(x)
            finally:
                for hook in hooks:
                    hook.remove()
        if last_maps:
            return [last_maps[octave] for octave in sorted(last_maps, reverse=True)]
        out = out[0] if isinstance(out, tuple) else out
        return [out if out.ndim == 4 else out[:, :, None, None]]

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean squared difference of the maps, with the features of each position scaled to length 1.

        0 for equal images, at most 4 (Zhang et al. 2018, arXiv:1801.03924, without their learned weights).
        """
        pairs = zip(self.maps(output), self.maps(target), strict=True)
        return torch.stack([_distance(a, b) for a, b in pairs]).mean()

    def content(self, output: Tensor, source: Tensor) -> Tensor:
        """Return the same with each channel first normalised to mean 0 and variance 1, so that changes of colour cost less.

        For images of two domains (Huang et al. 2018, arXiv:1804.04732, section 5.1); uses only the coarser half of the maps.
        """
        pairs = list(zip(self.maps(output), self.maps(source), strict=True))
        distances = []
        for a, b in pairs[len(pairs) // 2 :]:
            one_pixel = a[0, 0].numel() == 1  # no variance
            distances.append(
                _distance(a, b) if one_pixel else (F.instance_norm(a) - F.instance_norm(b)).square().mean()
            )
        return torch.stack(distances).mean()


SIZES = 0.75, 1.35
"""Range of the factor by which `moved` resizes."""


def moved(*images: Tensor) -> list[Tensor]:
    """Resize, shift and mirror images at random, all in the same way, with numbers of the default generator.

    A model that is trained with a distance of features learns patterns that only this network, at these positions, takes for
    detail. Changing positions are meant to make that harder. They did not keep super-resolution from a regular pattern (see
    ``--pattern`` of esrgan); how much they help inpainting was not measured.

    Args:
        images: (N, C, H, W) of one height and width.
    """
    size, down, right, side = torch.rand(4).tolist()
    height, width = images[0].shape[2:]
    factor = SIZES[0] + size * (SIZES[1] - SIZES[0])
    to = max(round(height * factor), 1), max(round(width * factor), 1)
    shift = int(down * to[0]), int(right * to[1])
    result = []
    for image in images:
        y = F.interpolate(image, to, mode="bilinear", antialias=True, align_corners=False)
        y = torch.roll(y, shift, (2, 3))
        result.append(y.flip(3) if side < 0.5 else y)
    return result


def _large_enough(x: Tensor) -> Tensor:
    """Enlarge images (N, C, H, W) so that no side is below ``SMALLEST``."""
    height, width = (max(int(n), SMALLEST) for n in x.shape[2:])
    if (height, width) == tuple(x.shape[2:]):
        return x
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean squared distance of two maps (N, c, h, w), features scaled to length 1."""
    return (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean()


def _leaves(net: object) -> list[nn.Module]:
    """Return the layers whose outputs are features, without padding layers and compiled modules."""
    leaves = [m for m in net.modules() if not any(m.children())] if isinstance(net, nn.Module) else []
    return [m for m in leaves if "Pad" not in type(m).__name__ and not isinstance(m, torch.jit.ScriptModule)]
