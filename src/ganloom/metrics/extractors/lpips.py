"""LPIPS, the learned perceptual distance of two images, from weights that the user has.

Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (arXiv:1801.03924): the maps of five
layers of AlexNet or VGG-16 are scaled to length 1 at each position; the squared differences are weighted by the learned linear
heads, averaged over positions and summed over layers.

    d(x, y) = sum over layers of mean over positions of sum over channels of w (f(x) / |f(x)| - f(y) / |f(y)|)^2
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.metrics.extractors.inputs import to_channels
from ganloom.metrics.images import Images, check_images

LEAST = 64
"""Smaller images are enlarged to this many pixels on the shorter side: AlexNet pools them away otherwise."""
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_EPSILON = 1e-10
_BACKBONE = re.compile(r"(?:module\.)?(?:net\.)?(?:features|slice\d)\.(\d+)\.(weight|bias)")
_HEAD = re.compile(r"(?:module\.)?lin(\d)\.model\.1\.weight")


@dataclass(frozen=True)
class _Layout:
    """A backbone: "pool", or a convolution (channels in, channels out, kernel, stride, padding), each followed by a ReLU."""

    layers: tuple[tuple[int, int, int, int, int] | None, ...]
    taps: tuple[int, ...]
    pool: tuple[int, int]


def _vgg() -> _Layout:
    layers: list[tuple[int, int, int, int, int] | None] = []
    channels = 3
    for i, (width, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        if i:
            layers.append(None)
        for _ in range(count):
            layers.append((channels, width, 3, 1, 1))
            channels = width
    return _Layout(tuple(layers), (3, 8, 15, 22, 29), (2, 2))


_LAYOUTS = {
    "alex": _Layout(
        ((3, 64, 11, 4, 2), None, (64, 192, 5, 1, 2), None, (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1)),
        (1, 4, 7, 9, 11), (3, 2),
    ),
    "vgg": _vgg(),
}  # fmt: skip


class LPIPS(nn.Module):
    """The distance: pairs of images (N, 3, H, W) in [-1, 1] -> (N,).

    Args:
        name: "alex" or "vgg".
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        layout = _LAYOUTS[name]
        self.name, self.taps = name, layout.taps
        layers: list[nn.Module] = []
        for layer in layout.layers:
            layers += [nn.MaxPool2d(*layout.pool)] if layer is None else [nn.Conv2d(*layer), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        widths = [
            conv.out_channels for i, conv in enumerate(layers, 1) if i in layout.taps and isinstance(conv, nn.Conv2d)
        ]
        self.heads = nn.ParameterList(torch.zeros(width) for width in widths)
        self.register_buffer("shift", torch.tensor(_SHIFT)[:, None, None])
        self.register_buffer("scale", torch.tensor(_SCALE)[:, None, None])

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], where: str = "the LPIPS weights") -> "LPIPS":
        """Build the distance from the tensors of a backbone and of the linear heads.

        Args:
            tensors: ``features.N.weight`` and ``features.N.bias`` of torchvision's AlexNet or VGG-16, and
                ``linK.model.1.weight`` of the LPIPS heads; or the state dict of a whole LPIPS module. Others are ignored.
            where: the file, for messages.

        Returns:
            The distance in eval mode, without gradients.

        Raises:
            BadInput: a tensor is missing or has another shape, or a head is negative.
        """
        found: dict[str, Tensor] = {}
        for key, value in tensors.items():
            if match := _BACKBONE.fullmatch(key):
                found[f"features.{match[1]}.{match[2]}"] = value
            elif match := _HEAD.fullmatch(key):
                found[f"heads.{match[1]}"] = value.reshape(-1)
        first = found.get("features.0.weight")
        if first is None:
            raise BadInput(f"{where}: features.0.weight is missing; give AlexNet or VGG-16 of torchvision")
        names: dict[tuple[int, ...], str] = {(64, 3, 11, 11): "alex", (64, 3, 3, 3): "vgg"}
        if tuple(first.shape) not in names:
            raise BadInput(
                f"{where}: features.0.weight has shape {tuple(first.shape)}, which is neither AlexNet nor VGG-16"
            )
        net = cls(names[tuple(first.shape)])
        expected = {k: v for k, v in net.state_dict().items() if k not in ("shift", "scale")}
        for key, value in expected.items():
            file_key = key if key.startswith("features") else f"lin{key[6:]}.model.1.weight"
            if key not in found:
                raise BadInput(
                    f"{where}: {file_key} is missing; give the backbone and the linear heads of LPIPS for {net.name}"
                )
            if found[key].shape != value.shape:
                raise BadInput(f"{where}: {file_key} has {found[key].numel()} values, {net.name} needs {value.numel()}")
            if not key.startswith("features") and bool((found[key] < 0).any()):
                raise BadInput(f"{where}: {file_key} is negative; the linear heads of LPIPS are not")
        net.load_state_dict({k: found[k].float() for k in expected} | {"shift": net.shift, "scale": net.scale})
        return net.eval().requires_grad_(False)

    def maps(self, x: Tensor) -> list[Tensor]:
        """The five maps of images (N, 3, H, W) in [-1, 1], each of length 1 at each position."""
        x, maps = (x - self.get_buffer("shift")) / self.get_buffer("scale"), []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self.taps:
                maps.append(x / (x.square().sum(1, keepdim=True).sqrt() + _EPSILON))
        return maps

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        pairs = zip(self.maps(x), self.maps(y), self.heads, strict=True)
        parts = [((a - b).square() * w[:, None, None]).sum(1).mean((1, 2)) for a, b, w in pairs]
        return torch.stack(parts).sum(0)


def lpips(x: Images, y: Images, net: LPIPS, *, batch: int = 32) -> Tensor:
    """Compute LPIPS of pairs of images. Images below `LEAST` pixels are enlarged.

    Args:
        x: (N, C, H, W) in [-1, 1]; grey images count as RGB.
        y: (N, C, H, W), compared row by row.
        net: from `LPIPS.from_tensors`.
        batch: pairs at a time.

    Returns:
        (N,) float32, 0 for equal images.

    Raises:
        BadInput: different shapes, or unusable images.
    """
    a, b = check_images(x, "x"), check_images(y, "y")
    if a.shape != b.shape:
        raise BadInput(f"images of shapes {tuple(a.shape)} and {tuple(b.shape)}; LPIPS needs equal shapes")
    device = next(net.parameters()).device
    values = []
    with torch.no_grad():
        for parts in zip(a.split(batch), b.split(batch), strict=True):
            values.append(net(*(_enlarged(to_channels(part.to(device).float(), 3)) for part in parts)).cpu())
    return torch.cat(values)


def _enlarged(x: Tensor) -> Tensor:
    scale = LEAST / min(x.shape[2:])
    if scale <= 1:
        return x
    size = [round(side * scale) for side in x.shape[2:]]
    return F.interpolate(x, size, mode="bilinear", align_corners=False)
