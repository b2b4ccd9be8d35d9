"""Read upscalers in ncnn's format: a graph as text (.param) and flat weights (.bin). ncnn is not needed.

The reader knows the layers of RRDBNet and SRVGGNetCompact. It runs the graph on a small image and compares the result with
ganloom's network, so a graph that is only similar is refused. Weights are float32, or float16 behind the flag word
0x01306B47; quantised weights are refused.
"""

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.weights import basicsr
from ganloom.weights.tensor_reader import Network

MAGIC = "7767517"
FLOAT16, FLOAT32 = 0x01306B47, (0, 0x0002C056)
"""Flag words before the weights of a convolution."""
MAX_LAYERS, MAX_BYTES = 5000, 512 * 2**20
TOLERANCE = 1e-3
"""Largest difference between the graph and ganloom's network, for images in [0, 1]."""
ARRAY = -23300
"""Parameter -23300 - k is parameter k as an array: its length, then its values."""


@dataclass
class Layer:
    """A layer of the graph: its type, its names, the blobs that it reads and writes, its parameters and its weights."""

    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    settings: dict[int, Any]
    weights: dict[str, Tensor] = field(default_factory=dict)

    def get(self, key: int, default: float = 0) -> Any:
        """Return a parameter."""
        return self.settings.get(key, default)


def read(path: Path) -> tuple[Network, float]:
    """Read an upscaler.

    Args:
        path: The .param or the .bin file. The other one has the same name and is beside it.

    Returns:
        (the network, the factor of a resize after it, which is 1 for most files).

    Raises:
        BadInput: A file is missing or damaged, or the graph is not an upscaler that ganloom knows.
    """
    param, binary = path.with_suffix(".param"), path.with_suffix(".bin")
    for file, other in ((param, binary), (binary, param)):
        if not file.is_file():
            raise BadInput(
                f"{other} needs {file.name} beside it: ncnn keeps the graph in .param and the weights in .bin"
            )
    if binary.stat().st_size > MAX_BYTES or param.stat().st_size > MAX_BYTES // 100:
        raise BadInput(f"{path} is larger than any upscaler")
    try:
        layers = layers_of(param.read_text(encoding="ascii"), binary.read_bytes())
        network, factor = _network_of(layers)
        _compare(layers, network, factor)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    except Exception as error:  # numbers and names in the text can be anything
        message = " ".join(str(error).split())[:150]
        raise BadInput(f"{path}: not an ncnn graph that ganloom knows ({message or type(error).__name__})") from error
    return network, factor


def layers_of(text: str, weights: bytes) -> list[Layer]:
    """Read the layers of a graph and their weights.

    Raises:
        BadInput: The text is not a graph, a layer is unknown, or the weights have another size than the graph says.
    """
    lines = text.split("\n")
    if lines[0].strip() != MAGIC:
        raise BadInput(f"the first line of .param is not {MAGIC}: it is no text graph of ncnn")
    rows = [line.split() for line in lines[2:] if line.split()]
    if len(rows) > MAX_LAYERS or len(rows) != int(lines[1].split()[0]):
        raise BadInput(f"the graph has {len(rows)} layers and announces {lines[1].split()[0]}")
    source, layers = _Weights(weights), []
    for row in rows:
        layer = _layer(row)
        if layer.kind not in _RUN:
            raise BadInput(f"the layer {layer.kind} is not one of {', '.join(_RUN)}")
        if layer.kind == "Convolution":
            _read_convolution(layer, source)
        elif layer.kind == "PReLU":
            layer.weights["slope"] = source.plain(int(layer.get(0)))
        layers.append(layer)
    if source.position != len(weights):
        raise BadInput(
            f".bin has {len(weights)} bytes, and the graph uses {source.position}: the files do not belong together"
        )
    return layers


def _layer(row: list[str]) -> Layer:
    kind, name, inputs, outputs = row[0], row[1], int(row[2]), int(row[3])
    settings: dict[int, Any] = {}
    for word in row[4 + inputs + outputs :]:
        key, _, value = word.partition("=")
        if int(key) <= ARRAY:
            settings[ARRAY - int(key)] = [_number(part) for part in value.split(",")][1:]
        else:
            settings[int(key)] = _number(value)
    return Layer(kind, name, row[4 : 4 + inputs], row[4 + inputs : 4 + inputs + outputs], settings)


def _number(text: str) -> float | int:
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)


class _Weights:
    """The flat file of weights."""

    def __init__(self, content: bytes) -> None:
        self.content, self.position = memoryview(content), 0

    def _take(self, count: int, kind: str) -> Tensor:
        size = count * np.dtype(kind).itemsize
        if count < 1 or self.position + size > len(self.content):
            raise BadInput(f".bin ends at {len(self.content)} bytes, before the weights that the graph needs")
        values = np.frombuffer(self.content, kind, count, self.position).astype("f4")
        self.position += (size + 3) // 4 * 4
        if not np.isfinite(values).all():
            raise BadInput("a weight is NaN or infinity")
        return torch.from_numpy(values)

    def plain(self, count: int) -> Tensor:
        """Return float32 numbers without a flag word."""
        return self._take(count, "<f4")

    def flagged(self, count: int, name: str) -> Tensor:
        """Return numbers behind a flag word."""
        if self.position + 4 > len(self.content):
            raise BadInput(f".bin ends at {len(self.content)} bytes, before the weights that the graph needs")
        (flag,) = struct.unpack_from("<I", self.content, self.position)
        self.position += 4
        if flag != FLOAT16 and flag not in FLOAT32:
            raise BadInput(
                f"the weights of {name} have the flag {flag:#x}: int8 and other quantised weights are not read"
            )
        return self._take(count, "<f2" if flag == FLOAT16 else "<f4")


def _read_convolution(layer: Layer, source: _Weights) -> None:
    outputs, size, count = int(layer.get(0)), int(layer.get(1)), int(layer.get(6))
    usual = layer.get(11, size) == size and layer.get(2, 1) == 1 and layer.get(3, 1) == 1 and layer.get(8) == 0
    if not usual or size != 3 or layer.get(4) != 1 or outputs < 1 or count % (outputs * 9):
        raise BadInput(f"{layer.name} is not a 3 x 3 convolution that keeps the size")
    layer.weights["weight"] = source.flagged(count, layer.name).view(outputs, -1, 3, 3)
    if layer.get(5):
        layer.weights["bias"] = source.plain(outputs)


# ------------------------------------------------------------------------------------------------- the graph as it is


def run(layers: list[Layer], x: Tensor) -> Tensor:
    """Run a graph on images (N, C, H, W) in [0, 1], layer by layer."""
    blobs: dict[str, Tensor] = {}
    out = x
    for layer in layers:
        inputs = [x] if layer.kind == "Input" else [blobs[name] for name in layer.inputs]
        out = _RUN[layer.kind](layer, inputs)
        blobs |= dict.fromkeys(layer.outputs, out)
    return out


def _convolution(layer: Layer, inputs: list[Tensor]) -> Tensor:
    y = F.conv2d(inputs[0], layer.weights["weight"], layer.weights.get("bias"), padding=1)
    if layer.get(9) == 0:
        return y
    if layer.get(9) == 1:
        return F.relu(y)
    if layer.get(9) == 2:
        return F.leaky_relu(y, float(layer.get(10, [0.0])[0]))  # type: ignore[call-overload, arg-type, index]
    raise BadInput(f"{layer.name} has the activation {layer.get(9)}, which is not read")


def _sum(layer: Layer, inputs: list[Tensor]) -> Tensor:
    if layer.get(0) != 1:
        raise BadInput(f"{layer.name} is not a sum")
    factors = layer.settings.get(1) or [1.0] * len(inputs)
    return torch.stack([x * factor for x, factor in zip(inputs, factors, strict=True)]).sum(0)


def _binary(layer: Layer, inputs: list[Tensor]) -> Tensor:
    if layer.get(0) != 0 or layer.get(1) or len(inputs) != 2:
        raise BadInput(f"{layer.name} is not a sum of two")
    return inputs[0] + inputs[1]


def _interp(layer: Layer, inputs: list[Tensor]) -> Tensor:
    mode = {1: "nearest", 2: "bilinear", 3: "bicubic"}.get(layer.get(0))
    if mode is None or layer.get(1) != layer.get(2) or layer.get(6):
        raise BadInput(f"{layer.name} is a resize that is not read")
    options = {} if mode == "nearest" else {"align_corners": False}
    return F.interpolate(inputs[0], scale_factor=float(layer.get(1)), mode=mode, **options)


_RUN: dict[str, Any] = {
    "Input": lambda layer, inputs: inputs[0],
    "Split": lambda layer, inputs: inputs[0],
    "Convolution": _convolution,
    "PReLU": lambda layer, inputs: F.prelu(inputs[0], layer.weights["slope"]),
    "Concat": lambda layer, inputs: torch.cat(inputs, 1),
    "Eltwise": _sum,
    "BinaryOp": _binary,
    "PixelShuffle": lambda layer, inputs: F.pixel_shuffle(inputs[0], int(layer.get(0))),
    "Interp": _interp,
}


# ------------------------------------------------------------------------------------------------ as ganloom's network


def _network_of(layers: list[Layer]) -> tuple[Network, float]:
    """Name the weights as BasicSR does, by their order in the graph."""
    convs = [layer for layer in layers if layer.kind == "Convolution"]
    state: dict[str, Tensor] = {}
    if any(layer.kind == "PReLU" for layer in layers):
        weighted = [layer for layer in layers if layer.kind in ("Convolution", "PReLU")]
        for i, layer in enumerate(weighted):
            parts = {"weight": layer.weights["slope"]} if layer.kind == "PReLU" else layer.weights
            state |= {f"body.{i}.{name}": tensor for name, tensor in parts.items()}
    else:
        blocks, rest = divmod(len(convs) - 6, 15)
        if blocks < 1 or rest:
            raise BadInput(f"{len(convs)} convolutions: RRDBNet has 6, and 15 for each block")
        dense = [f"body.{i}.rdb{j}.conv{k}" for i in range(blocks) for j in (1, 2, 3) for k in range(1, 6)]
        names = ["conv_first", *dense, "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]
        for name, layer in zip(names, convs, strict=True):
            state |= {f"{name}.{part}": tensor for part, tensor in layer.weights.items()}
    last = [layer for layer in layers if layer.kind == "Interp"][-1:]
    factor = float(last[0].get(1)) if last and last[0].get(0) == 3 and last[0] is layers[-1] else 1.0
    return basicsr.build(state, None), factor


class Resized(nn.Module):
    """An upscaler with a bicubic resize after it, as in the files for other factors than the network's own.

    Args:
        net: The upscaler.
        factor: The resize; the product with the scale of ``net`` is a whole number.
    """

    def __init__(self, net: nn.Module, factor: float) -> None:
        super().__init__()
        self.net, self.factor = net, factor
        self.scale = round(int(net.scale) * factor)  # type: ignore[arg-type]
        self.reach = int(net.reach) + 2  # type: ignore[arg-type]
        if self.scale < 1 or abs(self.scale - int(net.scale) * factor) > 1e-6:  # type: ignore[arg-type]
            raise BadInput(f"a resize by {factor:g} after a network that enlarges by {net.scale}")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, scale x H, scale x W)."""
        return F.interpolate(self.net(x), scale_factor=self.factor, mode="bicubic", align_corners=False)


def upscaler_of(path: Path) -> nn.Module:
    """Return the network in a .param and .bin file; see `read`."""
    network, factor = read(path)
    net = basicsr.upscaler_of(network)
    return net if factor == 1 else Resized(net, factor)


@torch.no_grad()
def _compare(layers: list[Layer], network: Network, factor: float) -> None:
    """Compare ganloom's network with the graph on a small image. Raises BadInput if they differ."""
    x = torch.rand(1, int(network.config["shape"][0]), 12, 12, generator=torch.Generator().manual_seed(0))
    net = basicsr.upscaler_of(network)
    ours, theirs = (net if factor == 1 else Resized(net, factor))(x), run(layers, x)
    difference = float((ours - theirs).abs().max()) if ours.shape == theirs.shape else float("inf")
    if not difference <= TOLERANCE:
        raise BadInput(f"the graph is not {network.config['net']}: its result differs by {difference:.2g}")
