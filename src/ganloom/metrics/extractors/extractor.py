"""The wrapper around a feature net: eval mode, a value range, a size, and a digest of the weights."""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.metrics.extractors.inputs import to_channels, to_size
from ganloom.metrics.images import Images, check_images

Progress = Callable[[str, int, int], None] | None
"""Called with (what, done, total) during long work."""


class Extractor:
    """Compute features of images, in the same way each time.

    The net runs in eval mode, without gradients and without autocast. The training flags of each submodule are restored
    afterwards. (A batch norm in train mode removes the differences to be measured: x and 5x + 3 would be equal.) Features
    do not depend on ``batch``.

    Args:
        net: a module or a function from (N, ``channels``, ``size``, ``size``) float32 in ``value_range`` to features
            (N, d), to maps (N, d, h, w), which are averaged, or to a pair (features, logits (N, classes)).
        name: part of the metric names. Default: the name of the class or function.
        size: input size in pixels. None: the images are not resized.
        channels: 1 (grey) or 3 (RGB).
        value_range: of the input.
        batch: images at a time.
        device: of the net.
        note: a sentence for reports.
        accuracy: of its classifier on held-out images, if known.
        resizer: how images are resized, for the protocol.
        standard: these are the features of FID (see `inception`).

    Attributes:
        digest: SHA-256 of the weights, 64 hex digits; ``sha8``: the first eight.

    Raises:
        BadInput: an argument out of range, or the reserved name of the standard features.
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
        resizer: str = "antialiased",
        standard: bool = False,
    ) -> None:
        if channels not in (1, 3):
            raise BadInput(f"channels: {channels}; a feature net takes 1 (grey) or 3 (RGB)")
        if batch < 1 or (size is not None and size < 1) or not value_range[0] < value_range[1]:
            raise BadInput(f"batch {batch}, size {size}, value_range {value_range}: sizes must be positive, low < high")
        self.device = torch.device(device)
        self.net = net.to(self.device) if isinstance(net, nn.Module) else net
        own_name = getattr(net, "__name__", type(net).__name__).lower()
        self.name = name or "".join(ch for ch in own_name if ch.isalnum()) or "custom"
        self.size, self.channels, self.value_range = size, channels, value_range
        self.batch, self.note, self.accuracy = batch, note, accuracy
        self.resizer, self.standard = resizer, standard
        if not standard and re.fullmatch(r"inception(clean|halfpixel)?", self.name):
            raise BadInput(f"name: {self.name!r} is reserved for the standard Inception features; choose another")
        self.digest = digest_of(net)
        self.sha8 = self.digest[:8]
        self._shape: tuple[int, int] | None = None

    def __call__(self, images: Images) -> Tensor:
        """Compute features.

        Args:
            images: (N, C, H, W) float in [-1, 1], C from 1 to 4.

        Returns:
            (N, d) float32 on the CPU.

        Raises:
            BadInput: unusable images, or an unusable output of the net.
        """
        return self.run(images)[0]

    def logits(self, images: Images) -> Tensor:
        """Compute class logits.

        Args:
            images: as for the features.

        Returns:
            (N, classes) float32 on the CPU.

        Raises:
            BadInput: unusable images, or a net without a classifier.
        """
        logits = self.run(images)[1]
        if logits is None:
            raise BadInput(f"extractor {self.name} has no logits; use a classifier such as 'fashion' or 'task'")
        return logits

    def run(self, images: Images) -> tuple[Tensor, Tensor | None]:
        """Compute features and logits (None without a classifier) in one pass; arguments and errors as for the features."""
        x = check_images(images, "images")
        low, high = self.value_range
        features, logits = [], []
        with _measuring(self.net, self.device):
            for part in x.split(self.batch):
                part = to_channels(part.to(self.device), self.channels)
                part = part if self.size is None else to_size(part, self.size)
                f, scores = self._split(self.net((part + 1) * ((high - low) / 2) + low), len(part))
                features.append(f)
                logits.append(scores)
        all_logits = [scores for scores in logits if scores is not None]
        result = torch.cat(features), torch.cat(all_logits) if all_logits else None
        self._shape = (result[0].shape[1], 0 if result[1] is None else result[1].shape[1])
        return result

    def stream(
        self, parts: Iterable[Images], *, total: int = 0, what: str = "images", progress: Progress = None
    ) -> tuple[Tensor, Tensor | None]:
        """Compute features and logits of images that arrive in parts. Only features stay in memory.

        Args:
            parts: tensors of images.
            total: number of images, for ``progress``.
            what: what they are, for ``progress`` and messages.
            progress: see `Progress`.

        Returns:
            Features (N, d), and logits (N, classes) or None.

        Raises:
            BadInput: as `run`, and for no images.
        """
        features, logits, done = [], [], 0
        for part in parts:
            f, scores = self.run(part)
            features.append(f)
            logits.append(scores)
            done += len(f)
            if progress:
                progress(f"{self.name}: {what}", done, max(done, total))
        if not features:
            raise BadInput(f"{what}: no images")
        all_logits = [scores for scores in logits if scores is not None]
        return torch.cat(features), torch.cat(all_logits) if all_logits else None

    @property
    def n_features(self) -> int:
        """Length d of a feature vector. The first call runs the net on a blank image."""
        return self._probe()[0]

    @property
    def n_classes(self) -> int:
        """Number of logits, 0 without a classifier."""
        return self._probe()[1]

    def _probe(self) -> tuple[int, int]:
        """(features, logits) of the last run, or of a blank image."""
        if self._shape is None:
            self.run(torch.zeros(1, self.channels, self.size or 32, self.size or 32))
        assert self._shape is not None
        return self._shape

    def _split(self, output: Any, n: int) -> tuple[Tensor, Tensor | None]:
        """The net's output as float32 features and logits on the CPU, or `BadInput`."""
        features, logits = output if isinstance(output, tuple) and len(output) == 2 else (output, None)
        if isinstance(features, Tensor) and features.ndim == 4:
            features = features.mean((2, 3))
        if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != n:
            output_shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise BadInput(
                f"extractor {self.name}: the net returned {output_shape} for {n} images; it must return ({n}, d)"
            )
        return features.float().cpu(), None if logits is None else logits.float().cpu()


def _exact(device: torch.device) -> AbstractContextManager[Any]:
    """Full float32 for convolutions on CUDA: TF32 would change features in the third digit."""
    return torch.backends.cudnn.flags(allow_tf32=False) if device.type == "cuda" else nullcontext()


@contextmanager
def _measuring(net: object, device: torch.device) -> Iterator[None]:
    """Eval mode, no gradients, no autocast. The training flags are restored, also after an error."""
    flags = {m: m.training for m in net.modules()} if isinstance(net, nn.Module) else {}
    for module in flags:
        module.training = False
    try:
        with torch.no_grad(), torch.autocast(device.type, enabled=False), _exact(device):
            yield
    finally:
        for module, training in flags.items():
            module.training = training


def digest_of(net: object) -> str:
    """Compute the SHA-256 (64 hex digits) of the names and float values of the weights.

    Args:
        net: a module, or a function, whose name is used instead.

    Returns:
        The digest.
    """
    digest = hashlib.sha256()
    if isinstance(net, nn.Module):
        for key, value in sorted(net.state_dict().items()):
            digest.update(f"{key} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().float().numpy().tobytes())
    else:
        digest.update(getattr(net, "__qualname__", type(net).__qualname__).encode())
    return digest.hexdigest()


class Clock:
    """A `Progress` that writes a line with the progress and the time left.

    Args:
        write: receives each line.
        every: seconds between two lines.
    """

    def __init__(self, write: Callable[[str], None], *, every: float = 5.0) -> None:
        self.write, self.every = write, every
        self._what, self._start, self._next = "", 0.0, 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.perf_counter()
        if what != self._what:
            self._what, self._start, self._next = what, now, now + self.every
        if now >= self._next and done < total:
            left = (now - self._start) * (total - done) / max(1, done)
            self.write(f"{what}: {done} of {total}, about {left:.0f} s left")
            self._next = now + self.every
