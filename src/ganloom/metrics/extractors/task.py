"""The task net: a small classifier trained on the user's labelled images, so its features know their meaning."""

import hashlib
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from ganloom.core.errors import BadInput
from ganloom.data import cache
from ganloom.metrics.extractors.inputs import to_channels, to_size
from ganloom.metrics.extractors.nets import SmallNet
from ganloom.metrics.images import Images, check_images

TASK_SIZE = 32
TASK_SAMPLES = 40_000
_FORMAT = "1"


@dataclass(frozen=True)
class TaskNet:
    """A trained net.

    Attributes:
        net: the classifier.
        accuracy: on a held-out tenth of the images.
        fingerprint: of the data and the settings.
        from_cache: whether it was trained earlier.
    """

    net: SmallNet
    accuracy: float
    fingerprint: str
    from_cache: bool


def fit(net: SmallNet, x: Tensor, y: Tensor, *, samples: int, seed: int = 0, batch: int = 128) -> SmallNet:
    """Train a classifier in place: AdamW, cosine decay after a short warm-up, cross-entropy.

    Each batch is shifted by up to two pixels. Images are not mirrored: such features would not detect a mirrored fake. The
    global random state is neither read nor changed.

    Args:
        net: the classifier.
        x: (N, C, S, S) float32 in [-1, 1].
        y: (N,) int64 classes.
        samples: number of images to train on, with repetition.
        seed: keys the order and the shifts.
        batch: batch size, at most N.

    Returns:
        ``net`` in eval mode.
    """
    rng = torch.Generator().manual_seed(seed)
    batch = min(batch, len(x))
    steps = max(1, samples // batch)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.02)
    order = torch.empty(0, dtype=torch.long)
    net.train()
    for step in range(steps):
        if len(order) < batch:
            order = torch.randperm(len(x), generator=rng)
        rows, order = order[:batch], order[batch:]
        warm_up = min(1.0, (step + 1) / (0.05 * steps))
        optimizer.param_groups[0]["lr"] = 1.5e-3 * warm_up * (1 + math.cos(math.pi * step / steps))
        down, right = torch.randint(0, 5, (2,), generator=rng).tolist()
        padded = F.pad(x[rows], (2, 2, 2, 2), mode="replicate")
        _, logits = net(padded[:, :, down : down + x.shape[2], right : right + x.shape[3]])
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits, y[rows]).backward()
        optimizer.step()
    return net.eval()


def cache_folder() -> Path:
    """The folder of trained nets: ``$GANLOOM_CACHE/nets``, else ``~/.cache/ganloom/nets``."""
    root = os.environ.get("GANLOOM_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "ganloom") / "nets"


def train_task_net(
    x: Images, labels: object, *, seed: int = 0, samples: int = TASK_SAMPLES, cache: bool = True
) -> TaskNet:
    """Train a `SmallNet` on labelled images, or read it from the cache. 10,000 images take 36 s on one busy core.

    Args:
        x: (N, C, H, W) float in [-1, 1] or uint8, or (N, H, W, C) uint8; C from 1 to 4.
        labels: N integers.
        seed: keys the weights, the held-out images and the training.
        samples: number of images to train on, with repetition.
        cache: whether to read and write the cache.

    Returns:
        The net and its accuracy.

    Raises:
        BadInput: the lengths differ, there is only one class, or a class has fewer than two images.
    """
    images = check_images(x, "x", allow_uint8=True)
    classes, y = _labels(labels, len(images))
    channels = 1 if images.shape[1] <= 2 else 3
    small = to_size(to_channels(images, channels), TASK_SIZE)
    fingerprint = _fingerprint(small, y, seed, samples)
    path = cache_folder() / f"{fingerprint}.safetensors"
    net = _new_net(channels, len(classes), seed)
    if cache and (accuracy := _read(path, net)) is not None:
        return TaskNet(net.eval(), accuracy, fingerprint, True)
    net = _new_net(channels, len(classes), seed)  # a broken file may have been read in part
    train, held_out = _split(y, seed)
    fit(net, small[train], y[train], samples=samples, seed=seed)
    with torch.no_grad():
        predicted = torch.cat([net(part)[1].argmax(1) for part in small[held_out].split(256)])
    accuracy = (predicted == y[held_out]).float().mean().item()
    if cache:
        _write(path, net, accuracy)
    return TaskNet(net, accuracy, fingerprint, False)


def _new_net(channels: int, classes: int, seed: int) -> SmallNet:
    """A net with weights from ``seed``. The caller's random state does not change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SmallNet(channels, classes, TASK_SIZE)


def _labels(labels: object, n: int) -> tuple[Tensor, Tensor]:
    """The sorted class values, and the class index of each image."""
    values = torch.as_tensor(np.asarray(labels)).reshape(-1)
    if len(values) != n:
        raise BadInput(f"labels: {len(values)} labels for {n} images; give one label for each image")
    classes, y, counts = values.unique(return_inverse=True, return_counts=True)
    if len(classes) < 2 or int(counts.min()) < 2:
        raise BadInput(
            f"labels: {len(classes)} classes, the smallest with {int(counts.min())} images. A task net needs two"
            " classes of two images or more; use features='random' instead"
        )
    return classes, y


def _split(y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Indices for training and a held-out tenth (at least one) of each class."""
    rng = torch.Generator().manual_seed(seed)
    train, held_out = [], []
    for label in y.unique():
        rows = (y == label).nonzero()[:, 0]
        rows = rows[torch.randperm(len(rows), generator=rng)]
        n_out = max(1, len(rows) // 10)
        held_out.append(rows[:n_out])
        train.append(rows[n_out:])
    return torch.cat(train), torch.cat(held_out)


def _fingerprint(x: Tensor, y: Tensor, seed: int, samples: int) -> str:
    """Digest of what the net is trained on: images rounded to 8 bits at the net's size, labels, seed, length."""
    digest = hashlib.sha256(f"{_FORMAT} {tuple(x.shape)} {seed} {samples}".encode())
    digest.update(((x + 1) * 127.5).round().to(torch.uint8).numpy().tobytes())
    digest.update(y.numpy().tobytes())
    return digest.hexdigest()[:32]


def _read(path: Path, net: SmallNet) -> float | None:
    """Load cached weights into ``net`` and return the stored accuracy; None if absent or unreadable."""
    try:
        with safe_open(path, "pt") as file:
            accuracy = float(file.metadata()["accuracy"])
            net.load_state_dict({k: file.get_tensor(k) for k in file.keys()})
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError):
        return None
    return accuracy


def _write(path: Path, net: SmallNet, accuracy: float) -> None:
    """Write the weights to the cache. Training does not fail if the cache cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        cache.sweep(path.parent)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".", suffix=".tmp") as folder:
            temporary = Path(folder) / path.name
            save_file(net.state_dict(), temporary, {"accuracy": repr(accuracy)})
            temporary.replace(path)
    except OSError:
        return
