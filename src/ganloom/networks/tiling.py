"""Run a translator on an image layer by layer in bands of rows, with the memory of a band and the result of the whole image.

A layer's output is computed one band at a time from the rows of its input that the band depends on, and is stored in a file
until it has been read. So no margin is guessed and nothing is blended. Norms over the whole image take their statistics from
all rows before they are applied, and the levels that a U-Net joins wait in their files, so its receptive field may be as
large as the image.
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
"""Layers that treat each pixel separately (BatchNorm in eval mode)."""
KNOWN = (
    *SINGLE, *PADS, Blur, InstanceNorm, ImageNorm, ResidualBlock, ResNet, UNet, nn.Conv2d, nn.ConvTranspose2d,
    nn.Upsample, nn.Sequential, nn.ModuleList, Part,
)  # fmt: skip
COPIES = 6
"""Approximate number of copies of a band's input and output in memory during a convolution."""


def supported(net: nn.Module) -> bool:
    """Return whether ``net`` consists of layers that can be computed in bands."""
    return all(type(module) in KNOWN and _usual(module) for module in net.modules())


def _usual(layer: Any) -> bool:
    """Return whether a layer is the same along both axes and has no options that are not supported here."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        square = all(len(set(pair)) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding))
        return square and layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    if isinstance(layer, nn.Upsample):
        return (layer.scale_factor, layer.mode) == (2.0, "nearest")
    return type(layer) not in PADS or len(set(layer.padding)) == 1


@torch.no_grad()
def in_bands(net: nn.Module, x: Tensor, memory: float) -> Tensor:
    """Run ``net`` in bands of rows.

    Args:
        net: A network for which ``supported`` is true.
        x: An image (1, C, H, W) of a size that the network accepts.
        memory: Approximate bytes of features at a time.

    Returns:
        The output of ``net`` for the whole image.
    """
    bands = _Bands(memory)
    sheet = bands.run(net, Sheet((int(x.shape[1]), int(x.shape[2]), int(x.shape[3])), lambda a, b: x[:, :, a:b]))
    out = torch.empty(1, *sheet.shape, device=x.device)
    for a, b in bands.parts(sheet):
        out[:, :, a:b] = sheet.read(a, b)
    return out


class Sheet(NamedTuple):
    """Features (C, H, W) in memory or in a file; ``read(a, b)`` returns rows a to b of them, (1, C, b - a, W)."""

    shape: tuple[int, int, int]
    read: Callable[[int, int], Tensor]


class _File:
    """Features (C, H, W) on disk, row by row; the file is deleted when nothing refers to it."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.channels, _, self.width = shape
        self.file = tempfile.TemporaryFile(prefix="ganloom-bands-", buffering=0)
        self.device = torch.device("cpu")

    def __del__(self) -> None:
        self.file.close()

    def write(self, rows: Tensor) -> None:
        """Append rows (1, C, n, W)."""
        self.device = rows.device
        rows[0].transpose(0, 1).float().contiguous().cpu().numpy().tofile(self.file)

    def read(self, a: int, b: int) -> Tensor:
        """Return rows a to b, (1, C, b - a, W)."""
        self.file.seek(4 * a * self.channels * self.width)
        numbers = np.fromfile(self.file, np.float32, (b - a) * self.channels * self.width)
        rows = torch.from_numpy(numbers).view(b - a, self.channels, self.width)
        return rows.transpose(0, 1).contiguous()[None].to(self.device)


class _Bands:
    """Applies layers of known types to sheets within a memory limit in bytes."""

    def __init__(self, memory: float) -> None:
        self.memory = memory

    def run(self, layer: Any, x: Sheet) -> Sheet:
        """Apply a layer to all rows of x: at once if it depends on more than one pixel, otherwise when it is read."""
        if isinstance(layer, nn.Sequential):
            for inner in layer:
                x = self.run(inner, x)
            return x
        if isinstance(layer, ResNet):
            return self.run(layer.body, x)
        if isinstance(layer, UNet):
            return self._unet(layer, x)
        if isinstance(layer, ResidualBlock):
            residual = self.run(layer.body, x)
            return self.stored(Sheet(x.shape, lambda a, b: x.read(a, b) + residual.read(a, b)))
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
        output = Sheet(x.shape, lambda a, b: layer(x.read(a, b)))
        random = isinstance(layer, nn.Dropout) and layer.training  # draw the mask once, however often the rows are read
        return self.stored(output) if random else output

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
        """Yield (first row, end) of bands of x that fit; ``cost``: further numbers needed per row, besides x's own."""
        channels, height, width = x.shape
        step = max(1, int(self.memory / (4 * COPIES * (channels * width + cost))))
        return ((a, min(a + step, height)) for a in range(0, height, step))

    def stored(self, x: Sheet, cost: int = 0) -> Sheet:
        """Compute a sheet and store it in a file."""
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
            source = bordered.read(a * stride, (b - 1) * stride + size)
            return F.conv2d(source, weight, bias, stride, groups=groups)

        return self.stored(Sheet(shape, rows), stride * channels * width)

    def _transposed(
        self,
        x: Sheet,
        weight: Tensor,
        bias: Tensor | None,
        stride: int,
        padding: int,
        output_padding: int = 0,
        groups: int = 1,
    ) -> Sheet:
        (_, outputs, size, _), (channels, height, width) = weight.shape, x.shape
        shape = (
            outputs * groups,
            (height - 1) * stride - 2 * padding + size + output_padding,
            (width - 1) * stride - 2 * padding + size + output_padding,
        )
        border = size  # zeros outside the image add nothing, and no row needs special treatment
        bordered = padded(x, border, "constant", across=0)

        def rows(a: int, b: int) -> Tensor:
            first, last = -((size - 1 - padding - a) // stride), (b - 1 + padding) // stride
            source = bordered.read(first + border, last + 1 + border)
            y = F.conv_transpose2d(source, weight, bias, stride, (0, padding), (0, output_padding), groups)
            start = a + padding - first * stride
            return y[:, :, start : start + b - a]

        return self.stored(Sheet(shape, rows), channels * width // stride + 1)

    def _blurred(self, layer: Blur, x: Sheet) -> Sheet:
        channels = x.shape[0]
        if not layer.up:
            return self._conv(padded(x, 1, "reflect"), layer.filt, None, 2, 0, channels)
        y = self._transposed(padded(x, 1, "replicate"), layer.filt, None, 2, 2, groups=channels)
        shape = channels, y.shape[1] - 2, y.shape[2] - 2
        return Sheet(shape, lambda a, b: y.read(a + 1, b + 1)[..., 1:-1])

    def _normed(self, layer: nn.Module, x: Sheet) -> Sheet:
        """Compute (x - mean) / deviation over all rows: per channel, or for ImageNorm over all channels."""
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
            source = x.read(a, b)
            y = (source - middle.to(source.device)) * scale.to(source.device)
            return y if gain is None or bias is None else y * gain[:, None, None] + bias[:, None, None]

        return Sheet(x.shape, rows)


# ------------------------------------------------------------------------------------------- functions of sheets


def padded(x: Sheet, by: int, mode: str, across: int | None = None) -> Sheet:
    """Pad x by ``by`` rows above and below and as many columns (or ``across``): reflect, replicate or constant 0."""
    channels, height, width = x.shape
    across = by if across is None else across
    if not by and not across:
        return x

    def read(a: int, b: int) -> Tensor:
        positions = torch.arange(a - by, b - by)
        inside = positions.abs() if mode == "reflect" else positions.clamp_min(0)
        inside = inside.minimum(2 * (height - 1) - inside) if mode == "reflect" else inside.clamp_max(height - 1)
        first = int(inside.min())
        rows = x.read(first, int(inside.max()) + 1)
        if bool((positions != inside).any()):
            rows = rows.index_select(2, (inside - first).to(rows.device))
            if mode == "constant":
                rows = rows * (positions == inside).to(rows)[:, None]
        return F.pad(rows, (across, across, 0, 0), mode)

    return Sheet((channels, height + 2 * by, width + 2 * across), read)


def doubled(x: Sheet) -> Sheet:
    """Repeat each pixel 2 x 2 times."""
    channels, height, width = x.shape

    def read(a: int, b: int) -> Tensor:
        rows = x.read(a // 2, -(-b // 2)).repeat_interleave(2, 2).repeat_interleave(2, 3)
        return rows[:, :, a % 2 : a % 2 + b - a]

    return Sheet((channels, 2 * height, 2 * width), read)


def joined(x: Sheet, y: Sheet) -> Sheet:
    """Concatenate the channels of x and y."""
    return Sheet((x.shape[0] + y.shape[0], *x.shape[1:]), lambda a, b: torch.cat([x.read(a, b), y.read(a, b)], 1))
