"""An image through a translator layer by layer, in bands of rows: what the whole gives, in the memory of a band.

A layer's output is made a band at a time from those rows of its input that the band sees, and lies in a file until it has
been read. So no margin is guessed and nothing is blended. Norms of the whole image are taken from all rows before one is
divided, and the levels that a U-Net joins wait in their files: it may see as far as it likes.
"""

import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.networks.translators import Blur, InstanceNorm, ResidualBlock, ResNet
from ganloom.networks.unet import UNet
from ganloom.networks.unit import ImageNorm, Part

PADS = {nn.ReflectionPad2d: "reflect", nn.ZeroPad2d: "constant"}
SINGLE = (nn.BatchNorm2d, nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Dropout, nn.Identity)
"""Layers that look at a pixel by itself (BatchNorm in eval mode)."""
KNOWN = (
    *SINGLE, *PADS, Blur, InstanceNorm, ImageNorm, ResidualBlock, ResNet, UNet, nn.Conv2d, nn.ConvTranspose2d,
    nn.Upsample, nn.Sequential, nn.ModuleList, Part,
)  # fmt: skip
COPIES = 6
"""How often a band's input and output lie in memory while a convolution runs, about: read, bordered, laid out, written."""


def knows(net: nn.Module) -> bool:
    """Whether ``net`` is made of layers that can be computed in bands."""
    return all(type(module) in KNOWN and _usual(module) for module in net.modules())


def _usual(layer: Any) -> bool:
    """Whether a layer is the same along both axes and has nothing that is not looked at here."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        square = all(len(set(pair)) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding))
        return square and layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    if isinstance(layer, nn.Upsample):
        return (layer.scale_factor, layer.mode) == (2.0, "nearest")
    return type(layer) not in PADS or len(set(layer.padding)) == 1


@torch.no_grad()
def in_bands(net: nn.Module, x: Tensor, memory: float) -> Tensor:
    """``net`` on x (1, C, H, W), of a size that it takes, with about ``memory`` bytes of features at a time."""
    bands = _Bands(memory)
    made = bands.run(net, Sheet((int(x.shape[1]), int(x.shape[2]), int(x.shape[3])), lambda a, b: x[:, :, a:b]))
    out = torch.empty(1, *made.shape, device=x.device)
    for a, b in bands.parts(made):
        out[:, :, a:b] = made.read(a, b)
    return out


class Sheet(NamedTuple):
    """Features (C, H, W), wherever they lie; ``read(a, b)`` gives rows a to b of them, (1, C, b - a, W)."""

    shape: tuple[int, int, int]
    read: Callable[[int, int], Tensor]


class _File:
    """Features (C, H, W) on the disk, row after row; the file goes when nothing refers to it any more."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.channels, _, self.width = shape
        self.file = tempfile.TemporaryFile(prefix="ganloom-bands-", buffering=0)
        self.device = torch.device("cpu")

    def __del__(self) -> None:
        self.file.close()

    def write(self, rows: Tensor) -> None:
        """The next rows (1, C, n, W)."""
        self.device = rows.device
        rows[0].transpose(0, 1).float().contiguous().cpu().numpy().tofile(self.file)

    def read(self, a: int, b: int) -> Tensor:
        """Rows a to b, (1, C, b - a, W)."""
        self.file.seek(4 * a * self.channels * self.width)
        numbers = np.fromfile(self.file, np.float32, (b - a) * self.channels * self.width)
        rows = torch.from_numpy(numbers).view(b - a, self.channels, self.width)
        return rows.transpose(0, 1).contiguous()[None].to(self.device)


class _Bands:
    """Layers of known kinds on sheets, within a number of bytes."""

    def __init__(self, memory: float) -> None:
        self.memory = memory

    def run(self, layer: Any, x: Sheet) -> Sheet:
        """The layer on all rows of x: computed at once where it looks beyond a pixel, else when it is read."""
        if isinstance(layer, nn.Sequential):
            for inner in layer:
                x = self.run(inner, x)
            return x
        if isinstance(layer, ResNet):
            return self.run(layer.body, x)
        if isinstance(layer, UNet):
            return self._unet(layer, x)
        if isinstance(layer, ResidualBlock):
            more = self.run(layer.body, x)
            return self.kept(Sheet(x.shape, lambda a, b: x.read(a, b) + more.read(a, b)))
        if type(layer) in PADS:
            return padded(x, int(layer.padding[0]), PADS[type(layer)])
        if isinstance(layer, nn.Conv2d):
            return self._conv(x, layer.weight, layer.bias, layer.stride[0], int(layer.padding[0]))
        if isinstance(layer, nn.ConvTranspose2d):
            sizes = layer.stride[0], int(layer.padding[0]), int(layer.output_padding[0])
            return self._transposed(x, layer.weight, layer.bias, *sizes)
        if isinstance(layer, Blur):
            return self._blurred(layer, x)
        if isinstance(layer, nn.Upsample):
            return doubled(x)
        if isinstance(layer, InstanceNorm | ImageNorm) or (isinstance(layer, nn.BatchNorm2d) and layer.training):
            return self._normed(layer, x)
        made = Sheet(x.shape, lambda a, b: layer(x.read(a, b)))
        drawn = isinstance(layer, nn.Dropout) and layer.training  # what is drawn stays so, however often it is read
        return self.kept(made) if drawn else made

    def _unet(self, net: UNet, x: Sheet) -> Sheet:
        levels = []
        for down in net.down:
            x = self.run(down, x)
            levels.append(x)
        y = levels.pop()
        for up in reversed(net.up):
            y = self.run(up, y)
            y = joined(levels.pop(), y) if levels else y
        return y

    # ---------------------------------------------------------------------------------------------------- in and out
    def parts(self, x: Sheet, cost: int = 0) -> Iterator[tuple[int, int]]:
        """(first row, end) of bands of x that fit; ``cost``: numbers beside x's own that a row of it asks for."""
        channels, height, width = x.shape
        step = max(1, int(self.memory / (4 * COPIES * (channels * width + cost))))
        return ((a, min(a + step, height)) for a in range(0, height, step))

    def kept(self, x: Sheet, cost: int = 0) -> Sheet:
        """The same, computed and in a file."""
        file = _File(x.shape)
        for a, b in self.parts(x, cost):
            file.write(x.read(a, b))
        return Sheet(x.shape, file.read)

    # ------------------------------------------------------------------------------------------------------- layers
    def _conv(self, x: Sheet, weight: Tensor, bias: Tensor | None, stride: int, padding: int, groups: int = 1) -> Sheet:
        (outputs, _, size, _), (channels, height, width) = weight.shape, x.shape
        shape = (outputs, (height + 2 * padding - size) // stride + 1, (width + 2 * padding - size) // stride + 1)
        bordered = padded(x, padding, "constant")

        def rows(a: int, b: int) -> Tensor:
            seen = bordered.read(a * stride, (b - 1) * stride + size)
            return F.conv2d(seen, weight, bias, stride, groups=groups)

        return self.kept(Sheet(shape, rows), stride * channels * width)

    def _transposed(
        self, x: Sheet, weight: Tensor, bias: Tensor | None, stride: int, padding: int, more: int = 0, groups: int = 1
    ) -> Sheet:
        (_, outputs, size, _), (channels, height, width) = weight.shape, x.shape
        shape = (
            outputs * groups,
            (height - 1) * stride - 2 * padding + size + more,
            (width - 1) * stride - 2 * padding + size + more,
        )
        border = size  # zeros beyond the edges add nothing, and no row is then a special case
        bordered = padded(x, border, "constant", across=0)

        def rows(a: int, b: int) -> Tensor:
            first, last = -((size - 1 - padding - a) // stride), (b - 1 + padding) // stride
            seen = bordered.read(first + border, last + 1 + border)
            y = F.conv_transpose2d(seen, weight, bias, stride, (0, padding), (0, more), groups)
            start = a + padding - first * stride
            return y[:, :, start : start + b - a]

        return self.kept(Sheet(shape, rows), channels * width // stride + 1)

    def _blurred(self, layer: Blur, x: Sheet) -> Sheet:
        channels = x.shape[0]
        if not layer.up:
            return self._conv(padded(x, 1, "reflect"), layer.filt, None, 2, 0, channels)
        y = self._transposed(padded(x, 1, "replicate"), layer.filt, None, 2, 2, groups=channels)
        shape = channels, y.shape[1] - 2, y.shape[2] - 2
        return Sheet(shape, lambda a, b: y.read(a + 1, b + 1)[..., 1:-1])

    def _normed(self, layer: nn.Module, x: Sheet) -> Sheet:
        """(x - mean) / deviation by all rows: of each channel, or for ImageNorm of all of them."""
        total, squares = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        for a, b in self.parts(x):
            band = x.read(a, b).double()
            total, squares = total + band.sum((2, 3)).cpu(), squares + band.square().sum((2, 3)).cpu()
        count = x.shape[1] * x.shape[2]
        if isinstance(layer, ImageNorm):
            total, squares, count = total.sum(1, keepdim=True), squares.sum(1, keepdim=True), count * x.shape[0]
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0)
        if isinstance(layer, ImageNorm):
            deviation = (variance * count / (count - 1)).sqrt() + 1e-5
        else:
            deviation = (variance + 1e-5).sqrt()
        gain, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
        middle, scale = mean.float()[..., None, None], (1 / deviation).float()[..., None, None]

        def rows(a: int, b: int) -> Tensor:
            found = x.read(a, b)
            y = (found - middle.to(found.device)) * scale.to(found.device)
            return y if gain is None or bias is None else y * gain[:, None, None] + bias[:, None, None]

        return Sheet(x.shape, rows)


# -------------------------------------------------------------------------------------------- sheets made of sheets


def padded(x: Sheet, by: int, mode: str, across: int | None = None) -> Sheet:
    """x with ``by`` rows more above and below and as many columns (or ``across``): reflect, replicate or constant 0."""
    channels, height, width = x.shape
    across = by if across is None else across
    if not by and not across:
        return x

    def read(a: int, b: int) -> Tensor:
        places = torch.arange(a - by, b - by)
        inside = places.abs() if mode == "reflect" else places.clamp_min(0)
        inside = inside.minimum(2 * (height - 1) - inside) if mode == "reflect" else inside.clamp_max(height - 1)
        first = int(inside.min())
        rows = x.read(first, int(inside.max()) + 1)
        if bool((places != inside).any()):
            rows = rows.index_select(2, (inside - first).to(rows.device))
            if mode == "constant":
                rows = rows * (places == inside).to(rows)[:, None]
        return F.pad(rows, (across, across, 0, 0), mode)

    return Sheet((channels, height + 2 * by, width + 2 * across), read)


def doubled(x: Sheet) -> Sheet:
    """Each pixel as 2 x 2 of them."""
    channels, height, width = x.shape

    def read(a: int, b: int) -> Tensor:
        rows = x.read(a // 2, -(-b // 2)).repeat_interleave(2, 2).repeat_interleave(2, 3)
        return rows[:, :, a % 2 : a % 2 + b - a]

    return Sheet((channels, 2 * height, 2 * width), read)


def joined(x: Sheet, y: Sheet) -> Sheet:
    """The channels of x, then those of y."""
    return Sheet((x.shape[0] + y.shape[0], *x.shape[1:]), lambda a, b: torch.cat([x.read(a, b), y.read(a, b)], 1))
