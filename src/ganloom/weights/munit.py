"""Read UNIT's generators and discriminators as saved by the code of MUNIT and UNIT (gen_00500000.pt, dis_00500000.pt).

Each file holds two networks, a and b. Width, blocks, downsamplings and scales are read from names and shapes. The activation
(ReLU, in D LeakyReLU 0.2) and the padding (reflection) are not in the file; all configs of that code use the same.
"""

import re
from typing import Any

from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.weights.tensor_reader import Network, Reading, Shapes

KNOWN = "UNIT as trained by the code of MUNIT (gen_00500000.pt, dis_00500000.pt)"
SIDES = ("a", "b")
SIZE = 256
"""Side of its training images in pixels, which limits the depth of D."""


def matches(shapes: Shapes) -> bool:
    """Return whether the names are those of that code's generators or discriminators."""
    first = ("a.enc.model.0.conv.weight", "a.enc_content.model.0.conv.weight", "a.cnns.0.0.conv.weight")
    return any(name in shapes for name in first)


def build(state: dict[str, Tensor], beside: Network | None) -> Network:
    """Read both networks of a file as the recipe unit, variant "released". ``beside`` is unused."""
    if "a.enc_content.model.0.conv.weight" in state:
        raise BadInput("these are generators of MUNIT: ganloom has no recipe with its styles, and reads only UNIT's")
    reading = Reading(state)
    read = _critic if "a.cnns.0.0.conv.weight" in state else _generator
    sides = {side: read(reading, side) for side in SIDES}
    channels = {side: fields.pop("channels") for side, fields in sides.items()}
    for name, value in sides["a"].items():
        if sides["b"][name] != value:
            raise BadInput(f"{name} is {value} in its part a and {sides['b'][name]} in b: in ganloom they are equal")
    config = {"variant": "released", "shape": (channels["b"], SIZE, SIZE), "in_channels": channels["a"], **sides["a"]}
    return Network("unit", config, reading.done("UNIT"))


def _generator(reading: Reading, side: str) -> dict[str, Any]:
    """Copy the layers of a generator. Ganloom has the same ones under other names."""
    width, channels = reading.state[f"{side}.enc.model.0.conv.weight"].shape[:2]
    count = _count(reading, rf"{side}\.enc\.model\.3\.model\.(\d+)\.")
    if count != _count(reading, rf"{side}\.dec\.model\.0\.model\.(\d+)\."):
        raise BadInput("encoder and decoder have different numbers of residual blocks: in ganloom they are equal")
    for i, place in enumerate((1, 5, 9)):
        _layer(reading, f"{side}.enc.model.{i}", f"G.encode.{side}.{place}")
    for i in range(count):
        for j, place in enumerate((1, 5)):
            _layer(reading, f"{side}.enc.model.3.model.{i}.model.{j}", f"G.encode.{side}.{12 + i}.body.{place}")
            _layer(reading, f"{side}.dec.model.0.model.{i}.model.{j}", f"G.decode.{side}.{i}.body.{place}")
    for i, place in ((2, count + 2), (4, count + 7), (5, count + 11)):
        _layer(reading, f"{side}.dec.model.{i}", f"G.decode.{side}.{place}")
        if i < 5:
            for theirs, ours in (("gamma", "weight"), ("beta", "bias")):
                reading.copy(f"{side}.dec.model.{i}.norm.{theirs}", f"G.decode.{side}.{place + 1}.{ours}")
    return {"channels": int(channels), "width": int(width), "blocks": count}


def _critic(reading: Reading, side: str) -> dict[str, Any]:
    width, channels = reading.state[f"{side}.cnns.0.0.conv.weight"].shape[:2]
    scales = _count(reading, rf"{side}\.cnns\.(\d+)\.")
    layers = _count(reading, rf"{side}\.cnns\.0\.(\d+)\.") - 1
    if not 1 <= layers <= 6 or SIZE >> (scales - 1) >> layers < 3:
        raise BadInput(f"a D of {layers} halvings on {scales} scales: too many for ganloom's at {SIZE} px")
    for scale in range(scales):
        for i in range(layers):
            _layer(reading, f"{side}.cnns.{scale}.{i}", f"D.{side}.scales.{scale}.{3 * i + 1}")
        reading.layer(f"{side}.cnns.{scale}.{layers}", f"D.{side}.scales.{scale}.{3 * layers}")
    return {"channels": int(channels), "d_width": int(width), "layers": layers, "scales": scales}


def _layer(reading: Reading, name: str, to: str) -> None:
    """Copy a convolution. The norm after it has no weights."""
    reading.layer(f"{name}.conv", to)
    reading.drop_statistics(f"{name}.norm")


def _count(reading: Reading, pattern: str) -> int:
    """Return how many different numbers the names have in the pattern's group."""
    return len({match[1] for name in reading.state if (match := re.match(pattern, name))})
