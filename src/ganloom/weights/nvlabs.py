"""Read StyleGAN2's published networks: pickles of StyleGAN2-ADA-PyTorch and StyleGAN3 (network-snapshot-N.pkl), and the
TensorFlow pickles (see ``tensorflow``).

A pickle is read by ``pickle_reader``, which runs nothing: the source code in the file stays a string. G is the EMA (G_ema),
and D is read too. Supported are skip generators, residual and plain ("orig") discriminators, and any square size, channels
and labels.
"""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.networks.stylegan2 import channels_of
from ganloom.nn.layers import Fir
from ganloom.weights import tensorflow
from ganloom.weights.file_formats import sound
from ganloom.weights.pickle_objects import Room, array, clamp_of, number, rate_of
from ganloom.weights.pickle_reader import Refused, Stub, guarded, open_pickle
from ganloom.weights.tensor_reader import Network, Reading, Shapes, as_network, count_classes

KNOWN = "StyleGAN2 and StyleGAN2-ADA of NVIDIA (G_ema and D of its pickles, or their state_dict)"

Facts = dict[str, Any]
MAX_DEPTH, MAX_MODULES = 12, 2000
"""Limits: depth of nested modules, and number of modules. The largest published network has 4 and 120."""


def matches(shapes: Shapes) -> bool:
    """Return whether the names are those of NVIDIA's StyleGAN2 in PyTorch."""
    return "synthesis.b4.conv1.affine.weight" in shapes or {"b4.fc.weight", "b4.out.weight"} <= shapes.keys()


def build(state: dict[str, Tensor], beside: Network | None = None, facts: Facts | None = None) -> Network:
    """Read a network.

    Args:
        state: Its tensors by name.
        beside: Unused; the network decides everything.
        facts: Settings that only a pickle states: clamp, learning rate multiplier, minibatch groups.
    """
    if "synthesis.b4.conv1.affine.weight" in state:
        return _generator(state, facts or {})
    return _discriminator(state, facts or {})


def read(path: Path) -> Network:
    """Read G_ema and D of a pickle as one model.

    Raises:
        BadInput: The pickle is damaged, was refused, or does not hold a StyleGAN2.
    """
    value, room = open_pickle(path), Room(path.stat().st_size)

    def networks() -> dict[str, tuple[dict[str, Tensor], Facts]]:
        if tensorflow.is_snapshot(value):
            return tensorflow.networks(value, room)
        if not isinstance(value, dict):
            raise Refused(f"a {type(value).__name__} instead of a table of networks")
        return {name: network(value[name], room) for name in ("G_ema", "D") if value.get(name) is not None}

    nets = guarded(path, networks)
    if "G_ema" not in nets:
        raise BadInput(f"{path} is a pickle without a network G_ema: ganloom reads snapshots of StyleGAN2")

    def built(name: str) -> Network:
        state, facts = nets[name]
        return as_network(lambda: build(sound(state), None, facts), KNOWN, str(path))

    generator = built("G_ema")
    if "D" not in nets:
        return generator
    critic = built("D")
    for name in generator.config.keys() & critic.config.keys():
        if generator.config[name] != critic.config[name]:
            here, there = generator.config[name], critic.config[name]
            raise BadInput(f"{path}: G and D are of two models: {name} is {here} and {there}")
    return Network("stylegan2", generator.config | critic.config, generator.tensors | critic.tensors)


# ------------------------------------------------------------------------------------------- from a module's stubs


def network(value: Any, room: Room) -> tuple[dict[str, Tensor], Facts]:
    """Return the tensors and the settings of a network.

    Args:
        value: The stub of a persistent object, as NVIDIA pickles a module.
        room: Counts what the tensors take.

    Returns:
        (tensors by their names in the module, settings that the modules state).
    """
    modules = _Modules(room)
    modules.add(value, "", 0)
    tensors, settings = modules.tensors, modules.settings
    clamps = {
        facts.get("conv_clamp") for name, facts in settings.items() if re.search(r"(conv\d?|torgb|fromrgb)$", name)
    }
    mapping = {facts.get("bias_gain") for name, facts in settings.items() if re.fullmatch(r"mapping\.fc\d+", name)}
    activations = {facts["activation"] for facts in settings.values() if "activation" in facts} - {"lrelu", "linear"}
    if len(clamps) > 1 or len(mapping) > 1 or activations:
        raise Refused("layers of different kinds (clamps, rates or activations)")
    facts: Facts = {"clamp": clamp_of(next(iter(clamps), None))}
    facts["lr_mul"] = rate_of(next(iter(mapping), None) or 0.01)
    if "b4.mbstd" in settings:
        facts["group"] = number(settings["b4.mbstd"].get("group_size") or 0, 0, 4096, "a group")
        facts["group_maps"] = number(settings["b4.mbstd"].get("num_channels") or 1, 1, 4096, "maps")
    return tensors, facts


class _Modules:
    """Collect the tensors and settings of a network's modules by their paths."""

    def __init__(self, room: Room) -> None:
        self.room, self.visits = room, 0
        self.tensors: dict[str, Tensor] = {}
        self.settings: dict[str, dict[str, Any]] = {}

    def add(self, value: Any, prefix: str, depth: int) -> None:
        """Add a module and the modules within it."""
        meta = value.args[0] if isinstance(value, Stub) and value.args else None
        if (
            not isinstance(meta, dict)
            or not value.name.startswith("torch_utils.")
            or not isinstance(meta.get("state"), dict)
        ):
            raise Refused("a network that is not a module of StyleGAN2")
        self.visits += 1
        if depth > MAX_DEPTH or self.visits > MAX_MODULES:
            raise Refused("modules nested without an end")
        state, name = meta["state"], prefix.rstrip(".")
        self.settings[name] = {k: v for k, v in state.items() if isinstance(v, int | float | str | None)}
        for kind in ("_parameters", "_buffers"):
            for key, tensor in _table(state, kind).items():
                if tensor is not None:
                    self.tensors[f"{prefix}{key}"] = array(tensor, self.room)
        for key, child in _table(state, "_modules").items():
            if child is not None:
                self.add(child, f"{prefix}{key}.", depth + 1)


def _table(state: dict[Any, Any], name: str) -> dict[Any, Any]:
    table = state.get(name, {})
    if not isinstance(table, dict):
        raise Refused(f"a module whose {name} are not a table")
    if any(not isinstance(key, str) or not key or "." in key or len(key) > 64 for key in table):
        raise Refused(f"a module whose {name} have no names")
    return table


# ---------------------------------------------------------------------------------------------------------- networks


def plan_channels(maps: list[int]) -> tuple[int, int]:
    """Return (base, most) for which `channels_of` gives these channels, from the base grid up. Raises BadInput without."""
    most = max(maps)
    below = [n * (4 << i) for i, n in enumerate(maps) if n < most]
    base = below[0] if below else most * (4 << (len(maps) - 1))
    if [channels_of(i, base, most) for i in range(len(maps))] != maps:
        raise BadInput(f"channels {maps} from 4 px up: ganloom's StyleGAN2 has min(base / side, most)")
    return base, most


def check_filters(read: Reading, end: str) -> None:
    """Raise BadInput unless every stored resampling filter is the one that ganloom uses."""
    ours = Fir().kernel[0, 0]
    for name in [n for n in read.state if n.endswith(end)]:
        kernel = read.take(name)
        kernel = torch.outer(kernel, kernel) if kernel.dim() == 1 else kernel
        if kernel.shape != ours.shape or not torch.allclose(kernel / kernel.sum(), ours, atol=1e-5):
            raise BadInput(f"{name} is another filter than [1, 3, 3, 1], the one in ganloom's networks")


def sides_of(state: dict[str, Tensor], pattern: str) -> list[int]:
    """Return the sides of the grids in the names, in order. Raises BadInput where one is missing."""
    sides = sorted({int(m.group(1)) for name in state if (m := re.match(pattern, name))})
    if sides != [4 << i for i in range(len(sides))]:
        raise BadInput(f"grids of {sides}: not 4 and its doublings")
    return sides


def mapping_config(read: Reading, name: str, to: str, lr_mul: float) -> tuple[int, int, int, int]:
    """Copy a mapping network.

    Args:
        read: Copies the tensors.
        name: Prefix of its names in the file.
        to: Its name in ganloom.
        lr_mul: The learning rate multiplier of the file.

    Returns:
        (inputs without the label, outputs, layers, classes).
    """
    layers = len({key.split(".")[1] for key in read.state if key.startswith(f"{name}fc")} if name else set())
    first = read.state.get(f"{name}fc0.weight")
    labelled = f"{name}embed.weight" in read.state
    classes = count_classes(read.state[f"{name}embed.weight"].shape[1]) if labelled else 0
    embedded = read.state[f"{name}embed.weight"].shape[0] if labelled else 0
    outputs = read.state[f"{name}fc{layers - 1}.weight"].shape[0] if layers else embedded
    inputs = (first.shape[1] if first is not None else embedded) - embedded
    if labelled:
        read.layer(f"{name}embed", f"{to}.embed")
    for i in range(layers):  # stored as weight / lr_mul; ganloom uses 0.01
        for end in ("weight", "bias"):
            read.copy(f"{name}fc{i}.{end}", f"{to}.layers.{i}.{end}", lambda x: x * (lr_mul / 0.01))
    return inputs, outputs, layers, classes


def _generator(state: dict[str, Tensor], facts: Facts) -> Network:
    read = Reading(state)
    sides = sides_of(state, r"synthesis\.b(\d+)\.")
    maps = [len(state[f"synthesis.b{side}.conv1.weight"]) for side in sides]
    base, most = plan_channels(maps)
    z_dim, w_dim, layers, classes = mapping_config(read, "mapping.", "G.mapping", facts.get("lr_mul", 0.01))
    size = sides[-1]
    config = {
        "shape": (len(state["synthesis.b4.torgb.weight"]), size, size), "n_classes": classes, "z_dim": z_dim, "w_dim": w_dim,
        "layers": layers, "width": most, "base": base, "clamp": facts.get("clamp"), "centre": "all",
    }  # fmt: skip
    mean = read.take("mapping.w_avg")
    read.out |= {
        "G.mapping.w_mean": mean,
        "G.mapping.w_sums": torch.zeros_like(mean),
        "G.mapping.seen": torch.zeros(()),
    }
    read.copy("synthesis.b4.const", "G.synthesis.const")
    for i, side in enumerate(sides):
        at, to = f"synthesis.b{side}", f"G.synthesis.levels.{i}"
        for conv in ("conv0", "conv1") if i else ("conv1",):
            read.layer(f"{at}.{conv}.affine", f"{to}.{conv}.affine")
            read.layer(f"{at}.{conv}", f"{to}.{conv}")
            read.copy(f"{at}.{conv}.noise_const", f"{to}.{conv}.noise")
            read.copy(f"{at}.{conv}.noise_strength", f"{to}.{conv}.strength", lambda x: x.reshape(()))
        read.layer(f"{at}.torgb.affine", f"{to}.picture.affine")
        read.layer(f"{at}.torgb", f"{to}.picture")
    check_filters(read, ".resample_filter")
    return Network("stylegan2", config, read.done("StyleGAN2"))


def _discriminator(state: dict[str, Tensor], facts: Facts) -> Network:
    read = Reading(state)
    sides = sides_of(state, r"b(\d+)\.")
    maps = [len(state["b4.conv.weight"]), *(state[f"b{side}.conv0.weight"].shape[1] for side in sides[1:])]
    base, most = plan_channels(maps)
    _, _, layers, classes = mapping_config(read, "mapping.", "D.mapping", facts.get("lr_mul", 0.01))
    size = sides[-1]
    residual = f"b{size}.skip.weight" in state
    config = {
        "shape": (state[f"b{size}.fromrgb.weight"].shape[1], size, size), "n_classes": classes, "d_width": most,
        "d_base": base, "residual": residual, "clamp": facts.get("clamp"), "group": facts.get("group", 4),
        "group_maps": facts.get("group_maps", 1),
    } | ({"d_layers": layers} if classes else {})  # fmt: skip
    read.layer(f"b{size}.fromrgb", "D.start")
    for i, side in enumerate(reversed(sides[1:])):
        for conv in ("conv0", "conv1", "skip") if residual else ("conv0", "conv1"):
            read.layer(f"b{side}.{conv}", f"D.levels.{i}.{conv}")
    for theirs, ours in (("conv", "conv"), ("fc", "dense"), ("out", "out")):
        read.layer(f"b4.{theirs}", f"D.{ours}")
    check_filters(read, ".resample_filter")
    return Network("stylegan2", config, read.done("StyleGAN2"))
