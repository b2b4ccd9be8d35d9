"""A classifier of views of known objects, which reads the class of a generated view. It never sees a generated image."""

from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.output_files import replace_file
from ganloom.data import solid_objects
from ganloom.report.progress import Report, part_of
from ganloom.volumes.cameras import Cameras

OBJECTS = 600
"""Objects that it learns from."""
FIRST = 500_000
"""Number of the first of them: they are in no training set and not among the held-out ones."""
ANY = Cameras(elevation=(-60.0, 85.0))
"""The views that it learns from, beside those of the set."""
_EPOCHS = 5


class Reader(nn.Module):
    """Map views (N, C, 32, 32) to logits of the classes (N, classes)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for outputs in (24, 48, 96):
            layers += [nn.Conv2d(channels, outputs, 3, 2, 1), nn.ReLU()]
            channels = outputs
        self.net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(96 * 16, 64), nn.ReLU(), nn.Linear(64, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Map views (N, C, H, W) in [-1, 1] to logits (N, classes)."""
        x = x if x.shape[2:] == (32, 32) else F.interpolate(x, (32, 32), mode="area")
        logits: Tensor = self.net(x)
        return logits

    @torch.no_grad()
    def classes(self, x: Tensor) -> Tensor:
        """Return the most likely class of each view, (N,)."""
        return torch.cat([self(part).argmax(1) for part in x.split(256)])


def known_views(
    name: str, first: int, count: int, seed: int, cameras: Cameras, progress: Report = None
) -> tuple[Tensor, Tensor]:
    """Render 8 views of each of some objects, (8 * count, C, H, W), and return them with the classes."""
    one = solid_objects.SETS[name]
    generator = torch.Generator().manual_seed(seed)
    each = part_of(progress, "rendering known objects")
    images = []
    for i in range(count):
        azimuth, elevation = cameras.of_code(torch.rand(8, 2, generator=generator) * 2 - 1)
        images.append(solid_objects.views(name, first + i, azimuth, elevation, one.shape))
        if each is not None:
            each(i + 1, count)
    kinds = torch.arange(first, first + count) % len(one.classes)
    return torch.cat(images), kinds.repeat_interleave(8)


def trained(name: str, path: Path | None = None, progress: Report = None, objects: int = OBJECTS) -> Reader:
    """Train a reader of a set, or read it from a file.

    Args:
        name: "silhouettes" or "primitives3d".
        path: Where it is kept; None: nowhere.
        progress: Called with (what, done, total).
        objects: Objects that it learns from.
    """
    one = solid_objects.SETS[name]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        reader = Reader(one.shape[0], len(one.classes))
        if path is not None and path.is_file():
            reader.load_state_dict(safetensors.torch.load_file(path))
            return reader.eval()
        parts = [
            known_views(name, FIRST, objects, seed, views, progress) for seed, views in enumerate((ANY, one.cameras))
        ]
        _fit(reader, torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts]), progress)
    if path is not None:
        replace_file(path, safetensors.torch.save(reader.state_dict()))
    return reader.eval()


def _fit(reader: Reader, x: Tensor, y: Tensor, progress: Report) -> None:
    """Train with Adam for some epochs."""
    optimizer = torch.optim.Adam(reader.parameters(), 2e-3)
    each = part_of(progress, "training the reader of classes")
    for epoch in range(_EPOCHS):
        for rows in torch.randperm(len(x)).split(64):
            loss = F.cross_entropy(reader(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if each is not None:
            each(epoch + 1, _EPOCHS)


def accuracy(reader: Reader, name: str, first: int, objects: int, cameras: Cameras) -> float:
    """Return the share of views of other known objects whose class is read correctly."""
    x, y = known_views(name, first, objects, 9, cameras)
    return float((reader.classes(x) == y).float().mean())
