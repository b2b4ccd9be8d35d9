"""Read networks of pytorch-CycleGAN-and-pix2pix (latest_net_G.pth, latest_net_G_A.pth, latest_net_D.pth ...) and of CUT.

The options of those projects are read from names and shapes: U-Net and its depth, residual blocks, width, norm, dropout
(it moves a block's second convolution from index 5 to 6), and anti-aliasing (``filt``). A single generator becomes pix2pix.
A ``G_A`` with a ``G_B`` in the same folder becomes cyclegan with both. A discriminator needs its generator's file too.
``D_A`` judges the output of ``G_A``, so it becomes the discriminator of domain B.
"""

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.weights.tensor_reader import Network, Reading, Shapes

KNOWN = "pytorch-CycleGAN-and-pix2pix and CUT (latest_net_G.pth, latest_net_D.pth)"


def matches(shapes: Shapes) -> bool:
    """Return whether the names are those of a U-Net, a residual generator or a discriminator of the project."""
    first = shapes.get("model.1.weight", ())
    unet = shapes.get("model.model.0.weight", ())
    return first[2:] == (7, 7) or unet[2:] == (4, 4) or _is_critic(shapes)


def _is_critic(shapes: Shapes) -> bool:
    return shapes.get("model.0.weight", ())[2:] == (4, 4) or shapes.get("net.0.weight", ())[2:] == (1, 1)


def build(state: dict[str, Tensor], beside: Network | None) -> Network:
    """Read a generator as pix2pix, or a discriminator as that of the recipe of its generator, ``beside``."""
    reading = Reading(state)
    if _is_critic({name: tuple(t.shape) for name, t in state.items()}):
        if beside is None or beside.recipe not in ("pix2pix", "cyclegan"):
            raise BadInput(
                "this is a discriminator of pytorch-CycleGAN-and-pix2pix: give the generator's file, such as "
                "latest_net_G.pth, and this one as --discriminator"
            )
        return _critic(reading, beside)
    config = _unet(reading) if "model.model.0.weight" in state else _resnet(reading)
    return Network("pix2pix", config, reading.done("pix2pix or CycleGAN"))


def partner(path: Path, kind: str = "G") -> Path | None:
    """Return the file of the other direction, or None.

    Args:
        path: A file named ``..._G_A...`` (or ``..._D_A...``).
        kind: "G" or "D".
    """
    name = re.sub(rf"{kind}_A(?=\.|$)", f"{kind}_B", path.name)
    other = path.with_name(name)
    return other if name != path.name and other.is_file() else None


def both(ab: Network, ba: Network, where: str) -> Network:
    """Join the generators of both directions as cyclegan.

    Args:
        ab: What ``G_A`` was read as.
        ba: What ``G_B`` was read as.
        where: The file of ``G_B``, for messages.

    Raises:
        BadInput: The two are not built alike.
    """
    if ab.config["net"] != "resnet" or ab.config["antialias"]:
        return ab
    same = ("net", "blocks", "width", "norm", "dropout", "antialias")
    for name in same:
        if ab.config.get(name) != ba.config.get(name):
            raise BadInput(
                f"{where} does not fit G_A: {name} is {ba.config.get(name)} there and {ab.config[name]} here"
            )
    if (ba.config["shape"][0], ba.config["in_channels"]) != (ab.config["in_channels"], ab.config["shape"][0]):
        raise BadInput(f"{where} does not map back: its channels are not those of G_A reversed")
    config = {k: v for k, v in ab.config.items() if k not in ("net", "antialias")}
    if config["in_channels"] != config["shape"][0]:
        config["identity"] = 0.0
    tensors = {name.replace("G.", f"G.{way}.", 1): t for way, net in (("ab", ab), ("ba", ba)) for name, t in
               net.tensors.items()}  # fmt: skip
    return Network("cyclegan", config, tensors)


def both_critics(of_b: Network, of_a: Network, where: str) -> Network:
    """Join ``D_A`` (of domain B) and ``D_B`` (of domain A) as the discriminators of cyclegan. ``where``: the file of ``D_B``."""
    if of_a.config != of_b.config:
        raise BadInput(f"{where} does not fit D_A: {of_a.config} there and {of_b.config} here")
    tensors = {name.replace("D.", f"D.{side}.", 1): t for side, net in (("b", of_b), ("a", of_a)) for name, t in
               net.tensors.items()}  # fmt: skip
    return Network("cyclegan", of_b.config, tensors)


def _critic(reading: Reading, beside: Network) -> Network:
    """Read a discriminator of patches (model.0, model.2 ...) or of pixels (net.0, net.2 ...)."""
    state = reading.state
    root = "net" if "net.0.weight" in state else "model"
    at = sorted({int(name.split(".")[1]) for name in state if name.startswith(f"{root}.")})
    last, norm = at[-1], _norm(reading, f"{root}.3", f"{root}.2")
    if any(name.endswith(".filt") for name in state):
        raise BadInput("a discriminator with anti-aliased downsampling, as in CUT: ganloom's has none")
    width, channels = state[f"{root}.0.weight"].shape[:2]
    sides = {beside.config["shape"][0], beside.config["in_channels"]}
    expected = sides if beside.recipe == "cyclegan" else {beside.config["shape"][0] + beside.config["in_channels"]}
    if channels not in expected:
        raise BadInput(f"it looks at {channels} channels, but a discriminator of this generator at {min(expected)}")
    for i in at:
        if i > 2 and i % 3 == 0:
            _take_norm(reading, norm, f"{root}.{i}", f"D.body.{i}")
        else:
            reading.layer(f"{root}.{i}", f"D.body.{i}")
    config = {"d_width": int(width), "layers": 0 if root == "net" else last // 3, "norm": norm}
    return Network(beside.recipe, config, reading.done("pix2pix or CycleGAN"))


def _norm(reading: Reading, name: str, conv: str) -> str:
    """Return which norm is at ``name``, after the convolution ``conv``."""
    if f"{name}.running_mean" in reading.state and f"{name}.weight" in reading.state:
        return "batch"
    return "instance" if f"{conv}.bias" in reading.state else "none"


def _take_norm(reading: Reading, norm: str, name: str, to: str) -> None:
    if norm == "batch":
        reading.norm(name, to)
    else:
        reading.drop_statistics(name)


def _resnet(reading: Reading) -> dict[str, Any]:
    """Copy a residual generator. Only the names of the layers differ from ganloom's."""
    state = reading.state
    at = sorted({int(name.split(".")[1]) for name in state if name.startswith("model.")})
    blocks = sorted({int(name.split(".")[1]) for name in state if ".conv_block." in name})
    if not blocks or blocks[-1] - blocks[0] + 1 != len(blocks):
        raise BadInput("a residual generator without its residual blocks: the file is incomplete")
    dropout = f"model.{blocks[0]}.conv_block.5.weight" not in state  # dropout moves the second convolution to index 6
    antialias = any(name.endswith(".filt") for name in state)
    if [len([n for n in state if n.endswith(".filt")]), blocks[0]] not in ([0, 10], [4, 12]):
        raise BadInput(
            "a residual generator with anti-aliasing in some of its resampling layers: ganloom has it in all or none"
        )
    norm = _norm(reading, "model.2", "model.1")
    last = at[-1]
    norms = [i for i in _norm_places(blocks, antialias) if 2 <= i < last]
    for i in at:
        if i in blocks:
            for j in (1, 6 if dropout else 5):
                reading.layer(f"model.{i}.conv_block.{j}", f"G.body.{i}.body.{j}")
                _take_norm(reading, norm, f"model.{i}.conv_block.{j + 1}", f"G.body.{i}.body.{j + 1}")
        elif f"model.{i}.filt" in state:
            reading.copy(f"model.{i}.filt", f"G.body.{i}.filt")
        elif i in norms:
            _take_norm(reading, norm, f"model.{i}", f"G.body.{i}")
        else:
            reading.layer(f"model.{i}", f"G.body.{i}")
    width, channels = state["model.1.weight"].shape[:2]
    return {
        "net": "resnet", "shape": (int(state[f"model.{last}.weight"].shape[0]), 256, 256), "in_channels": int(channels),
        "blocks": len(blocks), "width": int(width), "norm": norm, "dropout": dropout, "antialias": antialias,
    }  # fmt: skip


def _norm_places(blocks: list[int], antialias: bool) -> set[int]:
    end = blocks[-1] + 1
    return {2, 5, 9, end + 2, end + 6} if antialias else {2, 5, 8, end + 1, end + 4}


def _unet(reading: Reading) -> dict[str, Any]:
    """Copy the nested blocks of a U-Net, from the outside in."""
    state, at = reading.state, "model.model"
    width, channels = state[f"{at}.0.weight"].shape[:2]
    out = int(state[f"{at}.3.weight"].shape[1])
    reading.layer(f"{at}.0", "G.down.0.0")
    reading.layer(f"{at}.3", "G.up.0.1")
    at, level = f"{at}.1.model", 1
    norm = _norm(reading, f"{at}.2", f"{at}.1")
    while f"{at}.5.weight" in state:
        reading.layer(f"{at}.1", f"G.down.{level}.1")
        _take_norm(reading, norm, f"{at}.2", f"G.down.{level}.2")
        reading.layer(f"{at}.5", f"G.up.{level}.1")
        _take_norm(reading, norm, f"{at}.6", f"G.up.{level}.2")
        at, level = f"{at}.3.model", level + 1
    reading.layer(f"{at}.1", f"G.down.{level}.1")
    reading.layer(f"{at}.3", f"G.up.{level}.1")
    _take_norm(reading, norm, f"{at}.4", f"G.up.{level}.2")
    size = 2 ** (level + 1)
    return {
        "net": "unet", "shape": (out, size, size), "in_channels": int(channels), "levels": level + 1, "width": int(width),
        "norm": norm, "dropout": True,
    }  # fmt: skip
