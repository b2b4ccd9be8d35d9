"""Read the inpainting networks of LaMa: big-lama/models/best.ckpt, lama-fourier, and the TorchScript twin big-lama.pt.

The number of blocks, the widths and the share of global channels are read from names and shapes. A ``config.yaml`` beside the
file, or in the folder above it as in the published archives, must not contradict them; only four of its lines are read. From
the TorchScript file, only the numbers are read and no program.
"""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.networks.inpaint import FFCResNet, NLayerDiscriminator
from ganloom.weights.tensor_reader import Network, Reading, Shapes

KNOWN = "LaMa (big-lama/models/best.ckpt, big-lama.pt)"
FIRST, FIRST_D = "model.1.ffc.convl2l.weight", "model0.0.weight"
SIDE = 256
"""Side of the crops that the published networks were trained on; they take images of any size."""
WRITTEN = re.compile(r"^\s*(add_out_act|concat_mask|n_blocks|ngf):[ \t]*['\"]?([\w.]+)", re.MULTILINE)
MOST_TEXT = 1 << 20


def matches(shapes: Shapes) -> bool:
    """Return whether the names are those of LaMa's generator or discriminator."""
    return FIRST in shapes or (FIRST_D in shapes and "model1.1.running_mean" in shapes)


def build(state: dict[str, Tensor], beside: Network | None) -> Network:
    """Read a generator, or the discriminator of the generator ``beside``."""
    return _generator(state) if FIRST in state else _critic(state, beside)


def _generator(state: dict[str, Tensor]) -> Network:
    shapes = {name: tuple(t.shape) for name, t in state.items()}
    width, inputs, kernel, _ = shapes[FIRST]
    places = sorted({int(name.split(".")[1]) for name in shapes if re.match(r"model\.\d+\.", name)})
    downs = sum(f"model.{i}.ffc.convl2l.weight" in shapes for i in places) - 1
    blocks = sum(f"model.{i}.conv1.ffc.convl2l.weight" in shapes for i in places)
    outputs = shapes.get(f"model.{places[-1]}.weight", (0,))[0]
    if kernel != 7 or not 1 <= downs <= 5 or not 1 <= blocks <= 32:
        raise BadInput(
            f"a generator with {downs} downsamplings and {blocks} Fourier blocks, which ganloom does not have"
        )
    if outputs not in (1, 2, 3, 4) or inputs != outputs + 1:
        raise BadInput(f"it takes {inputs} channels and returns {outputs}: ganloom's takes the image and one mask")
    near = shapes.get(f"model.{downs + 2}.conv1.ffc.convl2l.weight", (0,))[0]
    far = shapes.get(f"model.{downs + 2}.conv1.ffc.convl2g.weight", (0,))[0]
    if not near or not far:
        raise BadInput("its blocks lack local or global channels")
    ratio = far / (near + far)
    config = {"width": width, "downs": downs, "blocks": blocks, "ratio": ratio, "shape": (outputs, SIDE, SIDE)}
    with torch.device("meta"):
        net = FFCResNet(inputs, outputs, width, downs, blocks, ratio)
    return Network("lama", config, _copied(state, net, "G"))


def _critic(state: dict[str, Tensor], beside: Network | None) -> Network:
    if beside is None or beside.recipe != "lama":
        raise BadInput("this is a discriminator of LaMa: give the generator's file and this one as --discriminator")
    layers = sum(bool(re.fullmatch(r"model\d+\.0\.weight", name)) for name in state) - 2
    width, channels = state[FIRST_D].shape[:2]
    if not 1 <= layers <= 6:
        raise BadInput(f"a discriminator with {layers} downsamplings, which ganloom does not have")
    with torch.device("meta"):
        net = NLayerDiscriminator(int(channels), int(width), layers)
    return Network("lama", {"d_width": int(width), "layers": layers}, _copied(state, net, "D"))


def _copied(state: dict[str, Tensor], net: nn.Module, to: str) -> dict[str, Tensor]:
    """Copy every tensor of ``net`` under the names of the file, which are ganloom's too."""
    reading = Reading(state)
    for name in net.state_dict():
        if name.endswith("num_batches_tracked") and name not in state:
            reading.out[f"{to}.{name}"] = torch.tensor(0)
        else:
            reading.copy(name, f"{to}.{name}")
    return reading.done("LaMa")


def check_settings(path: Path, config: dict[str, Any]) -> None:
    """Compare a network with the ``config.yaml`` of its training, if there is one beside the file.

    Args:
        path: The file of the network.
        config: What was read from its names and shapes.

    Raises:
        BadInput: The network was trained with settings that ganloom's does not have, or the settings are of another one.
    """
    found = [folder / "config.yaml" for folder in (path.parent, path.parent.parent) if path.suffix == ".ckpt"]
    file = next((candidate for candidate in found if candidate.is_file()), None)
    if file is None or file.stat().st_size > MOST_TEXT:
        return
    written = dict(WRITTEN.findall(file.read_text(encoding="utf-8", errors="replace")))
    if written.get("add_out_act", "sigmoid") != "sigmoid":
        raise BadInput(f"{file} has add_out_act: {written['add_out_act']}, and ganloom's LaMa ends in a sigmoid")
    if written.get("concat_mask", "true").lower() != "true":
        raise BadInput(f"{file} has concat_mask: {written['concat_mask']}, and ganloom's LaMa always gets the mask")
    for name, ours in (("n_blocks", "blocks"), ("ngf", "width")):
        if written.get(name, str(config[ours])) != str(config[ours]):
            raise BadInput(f"{file} has {name}: {written[name]}, but the network in {path.name} has {config[ours]}")
