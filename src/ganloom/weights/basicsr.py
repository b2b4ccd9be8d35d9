"""Read upscalers as saved by BasicSR, Real-ESRGAN and ESRGAN: RRDBNet, SRVGGNetCompact, MSRResNet, and the U-Net critic.

Published files are RealESRGAN_x4plus, x2plus, x4plus_anime_6B, realesr-general-x4v3 (and wdn), realesr-animevideov3, RealSR,
BSRGAN, ESRGAN in the old and new names, MSRResNet. Network, width, blocks, growth and scale come from names and shapes.
Three things are not in a file: the base of the compact network (nearest), its activation (PReLU, without whose slopes a file
is refused), and LeakyReLU's slopes (0.2, and 0.1 in MSRResNet); all published files have these.
"""

import math
import re
from typing import Any

import torch
from torch import Tensor, nn

from ganloom import recipes
from ganloom.core import config
from ganloom.core.errors import BadInput
from ganloom.recipes.base import upscaler
from ganloom.weights.tensor_reader import Network, Reading, Shapes

KNOWN = "BasicSR, Real-ESRGAN and ESRGAN (RealESRGAN_x4plus.pth, realesr-general-x4v3.pth, RRDB_ESRGAN_x4.pth, ...)"
CRITIC = ("conv0.weight", "conv1.weight_orig", "conv9.weight")
_OLD_NAMES = (
    (r"^RRDB_trunk\.(\d+)\.RDB(\d)\.conv(\d)\.", r"body.\1.rdb\2.conv\3."),
    (r"^trunk_conv\.", "conv_body."),
    (r"^upconv(\d)\.", r"conv_up\1."),
    (r"^HRconv\.", "conv_hr."),
)
"""Names of ESRGAN's second version, of RealSR and of BSRGAN."""


def matches(shapes: Shapes) -> bool:
    """Return whether the names are those of an upscaler or of the U-Net critic."""
    return _kind(shapes) is not None or all(name in shapes for name in CRITIC)


def build(state: dict[str, Tensor], beside: Network | None) -> Network:
    """Read an upscaler as the recipe real-esrgan (MSRResNet: srgan), or a U-Net critic as its discriminator."""
    shapes = {name: tuple(t.shape) for name, t in state.items()}
    kind = _kind(shapes)
    if kind is None:
        return _critic(Reading(state), beside)
    state = _modern(state)
    reading = Reading(state)
    fields = {"compact": _compact, "rrdb": _rrdb, "resnet": _resnet}[kind](reading)
    channels = fields.pop("channels")
    fields |= {"net": kind, "shape": (channels, 32 * fields["scale"], 32 * fields["scale"])}
    return Network("srgan" if kind == "resnet" else "real-esrgan", fields, reading.done("BasicSR"))


def upscaler_of(network: Network) -> nn.Module:
    """Build the generator of a network that `build` read, with its weights, in eval mode and without its discriminator.

    Raises:
        BadInput: The tensors do not fit.
    """
    cfg = config.replace(recipes.find(network.recipe).Config(), network.config)
    with torch.device("meta"):
        net = upscaler.network(cfg)
    own = {name.removeprefix("G."): t for name, t in network.tensors.items() if name.startswith("G.")}
    expected = {name: tuple(t.shape) for name, t in net.state_dict().items()}
    for name, shape in expected.items():
        if name not in own or tuple(own[name].shape) != shape:
            found = list(own[name].shape) if name in own else "missing"
            raise BadInput(f"the weights do not fit: {name} is {found} and should be {list(shape)}")
    net.load_state_dict(own, strict=True, assign=True)
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _kind(shapes: Shapes) -> str | None:
    """Return the network whose names these are: "compact", "rrdb", "resnet", or None."""
    if len(shapes.get("body.0.weight", ())) == 4 and "conv_first.weight" not in shapes:
        return "compact"
    old = "model.0.weight" in shapes and any(re.match(r"model\.1\.sub\.0\.RDB1\.conv1", name) for name in shapes)
    if old or "RRDB_trunk.0.RDB1.conv1.weight" in shapes or "body.0.rdb1.conv1.weight" in shapes:
        return "rrdb"
    return "resnet" if "conv_first.weight" in shapes and "body.0.conv1.weight" in shapes else None


def _modern(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the table with BasicSR's names. Names that are not known stay as they are, and are refused later."""
    if "model.0.weight" in state:
        return {_of_first_version(name, _last_block(state), _last_layer(state)): t for name, t in state.items()}
    if "RRDB_trunk.0.RDB1.conv1.weight" not in state:
        return state
    renamed = {}
    for name, tensor in state.items():
        for pattern, to in _OLD_NAMES:
            name = re.sub(pattern, to, name)
        renamed[name] = tensor
    return renamed


def _of_first_version(name: str, blocks: int, last: int) -> str:
    """Return BasicSR's name of a tensor of ESRGAN's first version, where layers are numbers of a Sequential."""
    if match := re.match(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.(weight|bias)$", name):
        return f"body.{match[1]}.rdb{match[2]}.conv{match[3]}.{match[4]}"
    if match := re.match(r"model\.1\.sub\.(\d+)\.(weight|bias)$", name):
        return f"conv_body.{match[2]}" if int(match[1]) == blocks else name
    if match := re.match(r"model\.(\d+)\.(weight|bias)$", name):
        number = int(match[1])
        if number in (0, last - 2, last):
            return f"{ {0: 'conv_first', last - 2: 'conv_hr', last: 'conv_last'}[number] }.{match[2]}"
        return f"conv_up{number // 3}.{match[2]}" if number % 3 == 0 else name
    return name


def _last_block(state: dict[str, Tensor]) -> int:
    return 1 + max((int(m[1]) for name in state if (m := re.match(r"model\.1\.sub\.(\d+)\.RDB", name))), default=-1)


def _last_layer(state: dict[str, Tensor]) -> int:
    return max(int(m[1]) for name in state if (m := re.match(r"model\.(\d+)\.weight$", name)))


def _compact(reading: Reading) -> dict[str, Any]:
    """Copy the layers of SRVGGNetCompact, which alternate between convolutions and PReLU."""
    width, channels = reading.state["body.0.weight"].shape[:2]
    last = max(int(name.split(".")[1]) for name in reading.state if re.match(r"body\.\d+\.weight$", name))
    if last % 2 or last < 4 or "body.1.weight" not in reading.state:
        raise BadInput("a compact network without the slopes of PReLU: its activation is not in the file")
    scale = math.isqrt(reading.state[f"body.{last}.weight"].shape[0] // int(channels))
    if scale**2 * int(channels) != reading.state[f"body.{last}.weight"].shape[0]:
        raise BadInput("the last convolution does not have channels x scale x scale outputs")
    for i in range(0, last + 1, 2):
        reading.layer(f"body.{i}", f"G.body.{i}")
        if i < last:
            reading.copy(f"body.{i + 1}.weight", f"G.body.{i + 1}.weight")
    return {"channels": int(channels), "width": int(width), "blocks": last // 2 - 1, "scale": scale, "base": "nearest"}


def _rrdb(reading: Reading) -> dict[str, Any]:
    """Copy the layers of RRDBNet."""
    width, inputs = reading.state["conv_first.weight"].shape[:2]
    channels = int(reading.state["conv_last.weight"].shape[0])
    unshuffle = math.isqrt(int(inputs) // channels)
    if unshuffle**2 * channels != inputs or unshuffle not in (1, 2, 4):
        raise BadInput(f"{inputs} input and {channels} output channels: such a network is not an upscaler of images")
    blocks = _count(reading, r"body\.(\d+)\.")
    doublings = _count(reading, r"conv_up(\d+)\.")
    growth = int(reading.state["body.0.rdb1.conv1.weight"].shape[0])
    for i in range(blocks):
        for block in (1, 2, 3):
            for layer in range(1, 6):
                name = f"body.{i}.rdb{block}.conv{layer}"
                reading.layer(name, f"G.{name}")
    for name in ("conv_first", "conv_body", *(f"conv_up{i + 1}" for i in range(doublings)), "conv_hr", "conv_last"):
        reading.layer(name, f"G.{name}")
    return {
        "channels": channels, "width": int(width), "blocks": blocks, "growth": growth, "unshuffle": unshuffle,
        "scale": 2**doublings // unshuffle,
    }  # fmt: skip


def _resnet(reading: Reading) -> dict[str, Any]:
    """Copy the layers of MSRResNet."""
    width, channels = reading.state["conv_first.weight"].shape[:2]
    blocks, steps = _count(reading, r"body\.(\d+)\."), _count(reading, r"upconv(\d+)\.")
    for i in range(blocks):
        for layer in ("conv1", "conv2"):
            reading.layer(f"body.{i}.{layer}", f"G.body.{i}.{layer}")
    for name in ("conv_first", *(f"upconv{i + 1}" for i in range(steps)), "conv_hr", "conv_last"):
        reading.layer(name, f"G.{name}")
    factor = math.isqrt(int(reading.state["upconv1.weight"].shape[0]) // int(width))
    return {"channels": int(channels), "width": int(width), "blocks": blocks, "scale": factor**steps}


def _critic(reading: Reading, beside: Network | None) -> Network:
    """Copy the U-Net critic."""
    if beside is None or beside.recipe != "real-esrgan":
        raise BadInput(
            "this is a discriminator of Real-ESRGAN: give the generator's file, and this one as --discriminator"
        )
    for i in range(10):
        reading.layer(f"conv{i}", f"D.conv{i}")
    width = int(reading.state["conv0.weight"].shape[0])
    return Network("real-esrgan", {"d_width": width}, reading.done("Real-ESRGAN"))


def _count(reading: Reading, pattern: str) -> int:
    """Return how many different numbers the names have in the pattern's group."""
    return len({match[1] for name in reading.state if (match := re.match(pattern, name))})
