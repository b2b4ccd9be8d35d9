"""Read StyleGAN2 and StyleGAN2-ADA networks of the TensorFlow code: pickles (G, D, Gs), such as stylegan2-ffhq-config-f.pkl.

Their variables are converted to the names and layout of the PyTorch version, which ``nvlabs`` then reads: kernels (height,
width, in, out) become (out, in, height, width), kernels of upsampling layers are mirrored, matrices are transposed, and 1 is
added to the biases of styles.
"""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganloom.weights.pickle_objects import Room, array, clamp_of, number, rate_of
from ganloom.weights.pickle_reader import Refused, Stub

Facts = dict[str, Any]
NETWORK = "dnnlib.tflib.network.Network"
MAX_NETWORKS, MAX_NAME = 32, 200
"""Limits: networks within one network of a file, and letters of a name."""


def is_snapshot(value: Any) -> bool:
    """Return whether a pickle's value is (G, D, Gs)."""
    return (
        isinstance(value, tuple) and len(value) == 3 and all(isinstance(v, Stub) and v.name == NETWORK for v in value)
    )


def networks(value: tuple[Stub, Stub, Stub], room: Room) -> dict[str, tuple[dict[str, Tensor], Facts]]:
    """Convert a snapshot.

    Args:
        value: (G, D, Gs).
        room: Counts what the tensors take.

    Returns:
        "G_ema" (which is Gs) and "D": tensors by PyTorch's names, and the settings that the network states.

    Raises:
        Refused: A network is not one of StyleGAN2.
    """
    _, d, g = value
    return {
        "G_ema": (_renamed(_Variables(room).of(g), _GENERATOR), _facts(g)),
        "D": (_renamed(_Variables(room).of(d), _CRITIC), _facts(d)),
    }


def _state(network: Stub) -> dict[Any, Any]:
    if network.name != NETWORK or not isinstance(network.state, dict):
        raise Refused("a network without a state")
    return network.state


def _facts(network: Stub) -> Facts:
    """Return the settings that the network states."""
    state = _state(network)
    settings = state.get("static_kwargs")
    settings = settings if isinstance(settings, dict) else {}
    builder = state.get("build_func_name")
    builder = builder if isinstance(builder, str) else ""
    critic = "mbstd_group_size" in settings or builder.startswith("D")
    facts: Facts = {"clamp": clamp_of(settings.get("conv_clamp"))}
    facts["lr_mul"] = rate_of(settings.get("mapping_lrmul", 0.1 if critic else 0.01))
    if critic:
        default = 4 if builder == "D_stylegan2" else None
        facts["group"] = number(settings.get("mbstd_group_size", default) or 0, 0, 4096, "a group")
    for name, expected in (
        ("resample_kernel", [1, 3, 3, 1]),
        ("nonlinearity", "lrelu"),
        ("mapping_nonlinearity", "lrelu"),
    ):
        if name in settings and settings[name] != expected:
            raise Refused(f"another {name} than {expected}")
    return facts


class _Variables:
    """Collect the variables of a network and of the networks within it by their paths."""

    def __init__(self, room: Room) -> None:
        self.room, self.networks = room, 0
        self.tensors: dict[str, Tensor] = {}

    def of(self, network: Stub) -> dict[str, Tensor]:
        """Return all variables of ``network``."""
        self._network(network, "", 0)
        return self.tensors

    def _network(self, network: Stub, prefix: str, depth: int) -> None:
        self.networks += 1
        if depth > 4 or self.networks > MAX_NETWORKS:
            raise Refused("networks nested without an end")
        state = _state(network)
        for entry in state.get("variables") or []:
            if not isinstance(entry, tuple | list) or len(entry) != 2 or not isinstance(entry[0], str):
                raise Refused("a variable without a name")
            if entry[1] is not None:
                self._variable(prefix + entry[0], entry[1])
        components = state.get("components") or {}
        if not isinstance(components, dict) or len(components) > 8:
            raise Refused("networks within a network that are not a short table")
        for name, child in components.items():
            if not isinstance(child, Stub) or not isinstance(name, str) or len(name) > MAX_NAME:
                raise Refused("something other than a network within a network")
            self._network(child, f"{prefix}{name}/", depth + 1)

    def _variable(self, name: str, value: Any) -> None:
        if name in self.tensors or len(name) > MAX_NAME:
            raise Refused("a variable twice, or a variable with an unusable name")
        self.tensors[name] = array(value, self.room).float()


Turn = Callable[[Tensor], Tensor]
Rule = tuple[str, Callable[[re.Match[str]], str], Turn]


def _kernel(x: Tensor) -> Tensor:
    return x.permute(3, 2, 0, 1)


def _same(x: Tensor) -> Tensor:
    return x


def _noise(m: re.Match[str]) -> str:
    number = int(m[1])
    side = 4 << ((number + 1) // 2)
    return f"synthesis.b{side}.conv{1 if number % 2 == 0 else 0}.noise_const"


_LAYER = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb"}
_PLACE = r"synthesis/(\d{1,5})x\1/(Conv|Conv0_up|Conv1|ToRGB)/"
_GENERATOR: list[Rule] = [
    (r"dlatent_avg", lambda m: "mapping.w_avg", _same),
    (r"mapping/LabelEmbed/weight", lambda m: "mapping.embed.weight", torch.t),
    (r"mapping/LabelEmbed/bias", lambda m: "mapping.embed.bias", _same),
    (r"mapping/Dense(\d{1,3})/weight", lambda m: f"mapping.fc{m[1]}.weight", torch.t),
    (r"mapping/Dense(\d{1,3})/bias", lambda m: f"mapping.fc{m[1]}.bias", _same),
    (r"synthesis/4x4/Const/const", lambda m: "synthesis.b4.const", lambda x: x[0]),
    (r"synthesis/noise(\d{1,2})", _noise, lambda x: x[0, 0]),
    (
        r"synthesis/(\d{1,5})x\1/Conv0_up/weight",
        lambda m: f"synthesis.b{m[1]}.conv0.weight",
        lambda x: _kernel(x.flip(0, 1)),
    ),
    (_PLACE + "weight", lambda m: f"synthesis.b{m[1]}.{_LAYER[m[2]]}.weight", _kernel),
    (_PLACE + "(bias|noise_strength)", lambda m: f"synthesis.b{m[1]}.{_LAYER[m[2]]}.{m[3]}", _same),
    (_PLACE + "mod_weight", lambda m: f"synthesis.b{m[1]}.{_LAYER[m[2]]}.affine.weight", torch.t),
    (_PLACE + "mod_bias", lambda m: f"synthesis.b{m[1]}.{_LAYER[m[2]]}.affine.bias", lambda x: x + 1),
]
_PART = {"FromRGB": "fromrgb", "Conv0": "conv0", "Conv1_down": "conv1", "Skip": "skip", "Conv": "conv", "Dense0": "fc"}
_CRITIC: list[Rule] = [
    (r"LabelEmbed/weight", lambda m: "mapping.embed.weight", torch.t),
    (r"LabelEmbed/bias", lambda m: "mapping.embed.bias", _same),
    (r"Mapping(\d{1,3})/weight", lambda m: f"mapping.fc{m[1]}.weight", torch.t),
    (r"Mapping(\d{1,3})/bias", lambda m: f"mapping.fc{m[1]}.bias", _same),
    (r"4x4/Dense0/weight", lambda m: "b4.fc.weight", torch.t),
    (r"(\d{1,5})x\1/(FromRGB|Conv0|Conv1_down|Skip|Conv)/weight", lambda m: f"b{m[1]}.{_PART[m[2]]}.weight", _kernel),
    (r"(\d{1,5})x\1/(FromRGB|Conv0|Conv1_down|Conv|Dense0)/bias", lambda m: f"b{m[1]}.{_PART[m[2]]}.bias", _same),
    (r"Output/weight", lambda m: "b4.out.weight", torch.t),
    (r"Output/bias", lambda m: "b4.out.bias", _same),
]


def _renamed(variables: dict[str, Tensor], rules: list[Rule]) -> dict[str, Tensor]:
    """Rename by the first rule that matches. A variable without a rule keeps its name, and the reader reports it as unused."""
    renamed = {}
    for name, value in variables.items():
        for pattern, rename, turn in rules:
            match = re.fullmatch(pattern, name, re.ASCII)
            if match:
                renamed[rename(match)] = turn(value).contiguous()
                break
        else:
            if name != "lod":
                renamed[name] = value
    return renamed
