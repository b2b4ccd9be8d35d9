"""Spatial features: a part of an intermediate map, position by position, for a Frechet distance that sees where things are.

Nash et al. 2021, "Generating Images with Sparse Representations" (arXiv:2103.03841), section 4: sFID uses the first 7 channels of
a 17 x 17 map of Inception, 2023 numbers. Features that are averaged over the image do not change if its parts change places.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.metrics.extractors.extractor import Extractor

CHANNELS, MOST_SIDE = 7, 17
"""Channels of the map, and its largest side."""


class SpatialNet(nn.Module):
    """Images to the first 7 channels of an intermediate map, flattened.

    Args:
        net: a net with a method ``spatial_map`` from images to a map (N, c, h, w).
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        spatial_map: Tensor = self.net.spatial_map(x)  # type: ignore[operator]
        part = spatial_map[:, :CHANNELS]
        height, width = (min(side, MOST_SIDE) for side in part.shape[2:])
        part = part if part.shape[2:] == (height, width) else F.adaptive_avg_pool2d(part, (height, width))
        return part.flatten(1)


def spatial(extractor: Extractor) -> Extractor:
    """Get the spatial features of a feature net.

    Args:
        extractor: ``fashion``, ``task``, ``random``, ``mobilenet`` or ``inception``, or a net with a method ``spatial_map``.

    Returns:
        An extractor with the same input and name.

    Raises:
        BadInput: the net has no spatial map.
    """
    net = extractor.net
    if not isinstance(net, nn.Module) or not hasattr(net, "spatial_map"):
        raise BadInput(
            f"metrics: sfd needs a net with a spatial map (fashion, task, random, mobilenet, inception), not {extractor.name};"
            " leave sfd out, or name other --features"
        )
    return Extractor(
        SpatialNet(net), name=extractor.name, size=extractor.size, channels=extractor.channels,
        value_range=extractor.value_range, batch=extractor.batch, device=extractor.device, note=extractor.note,
        resizer=extractor.resizer, standard=extractor.standard,
    )  # fmt: skip
