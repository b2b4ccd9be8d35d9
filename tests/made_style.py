"""StyleGAN2's files as their projects write them, with weights that are a function of their names."""

import collections
import pickle
import re
import sys
import types
from pathlib import Path
from typing import Any

import torch
from made_weights import numbers
from torch import Tensor

SOURCE = "import pathlib; pathlib.Path({!r}).write_text('the source code that a file carries was run')"


def made(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights as equalised layers store them; the filters are [1, 3, 3, 1]."""
    return {name: _one(name, shape) for name, shape in shapes.items()}


def _one(name: str, shape: tuple[int, ...]) -> Tensor:
    x = numbers(name, shape)
    slow = 100 if re.match(r"(mapping\.fc|style\.)", name) else 1
    if name.endswith(("resample_filter", "kernel")):
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        return torch.outer(row, row) * (4 if "upsample" in name or re.match(r"convs\.\d+\.conv\.blur", name) else 1)
    if "modulation.bias" in name or "affine.bias" in name:
        return 1 + 0.1 * x
    if name.endswith("bias"):
        return 0.1 * slow * x
    if "strength" in name or name.endswith("noise.weight"):
        return 0.2 + 0.1 * x
    if name.endswith("w_avg"):
        return 0.3 * x
    return x * slow


class Persistent:
    """A module as ``torch_utils.persistence`` pickles it: its source beside its state."""

    def __init__(self, kind: str, state: dict[str, Any], source: str) -> None:
        self.meta = {"type": "class", "version": 6, "module_src": source, "class_name": kind, "state": state}

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (self.meta,), None


def module(tensors: dict[str, Tensor], kind: str, facts: dict[str, Any], source: str, at: str = "") -> Persistent:
    """The tree of modules whose state_dict ``tensors`` is; ``facts``: what the modules say of themselves."""
    own = {n: t for n, t in tensors.items() if "." not in n}
    buffers = ("resample_filter", "noise_const", "w_avg")
    state: dict[str, Any] = {
        "training": False,
        "_parameters": {n: torch.nn.Parameter(t, requires_grad=False) for n, t in own.items() if n not in buffers},
        "_buffers": {n: t for n, t in own.items() if n in buffers},
        "_modules": collections.OrderedDict(),
        "_non_persistent_buffers_set": set(),
        "_init_args": (),
        "_init_kwargs": easy(num=3),
    }
    if re.search(r"(conv\d?|torgb|fromrgb)$", at):
        state |= {"conv_clamp": facts["clamp"], "activation": "lrelu"}
    if re.search(r"\.fc\d+$", at):
        state |= {"bias_gain": 0.01, "weight_gain": 0.01 / 8}
    if at.endswith("mbstd"):
        state |= {"group_size": facts["group"], "num_channels": 1}
    for name in dict.fromkeys(n.split(".")[0] for n in tensors if "." in n):
        below = {n.removeprefix(f"{name}."): t for n, t in tensors.items() if n.startswith(f"{name}.")}
        state["_modules"][name] = module(below, name, facts, source, f"{at}.{name}")
    if at == ".b4" and kind == "b4":
        state["_modules"]["mbstd"] = module({}, "mbstd", facts, source, ".b4.mbstd")
    return Persistent(kind, state, source)


def easy(**values: Any) -> Any:
    """A table of dnnlib's own kind."""
    return sys.modules["dnnlib.util"].EasyDict(**values)


class Project:
    """The modules that must be there while such a pickle is written, and are gone when it is read."""

    def __enter__(self) -> "Project":
        for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util"):
            sys.modules[name] = types.ModuleType(name)
        sys.modules["dnnlib.util"].EasyDict = type("EasyDict", (dict,), {"__module__": "dnnlib.util"})

        def _reconstruct_persistent_obj(meta: Any) -> Any:
            raise AssertionError("never called")

        _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
        _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
        sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj = _reconstruct_persistent_obj
        return self

    def __exit__(self, *args: object) -> None:
        for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util"):
            del sys.modules[name]


def snapshot(
    path: Path, g: dict[str, Tensor], d: dict[str, Tensor], facts: dict[str, Any], canary: Path, protocol: int = 4
) -> Path:
    """network-snapshot-N.pkl of two state_dicts; its source would write ``canary``."""
    source = SOURCE.format(str(canary))
    with Project():
        nets = {"G_ema": module(g, "Generator", facts, source), "D": module(d, "Discriminator", facts, source)}
        value = {"training_set_kwargs": easy(path="x"), "G": nets["G_ema"], **nets, "augment_pipe": None}
        path.write_bytes(pickle.dumps(value, protocol))
    return path


# --------------------------------------------------------------------------------------------- of TensorFlow's time


def _back(name: str, x: Tensor) -> tuple[str, Tensor] | None:
    """TensorFlow's name and value of a variable that PyTorch calls ``name``."""
    kernel = lambda x: x.permute(2, 3, 1, 0)
    if name.endswith("resample_filter"):
        return None
    if m := re.fullmatch(r"synthesis\.b(\d+)\.(conv0|conv1|torgb)\.(.+)", name):
        side, layer, end = int(m[1]), m[2], m[3]
        at = (
            f"synthesis/{side}x{side}/"
            + {"conv0": "Conv0_up", "conv1": "Conv" if side == 4 else "Conv1", "torgb": "ToRGB"}[layer]
        )
        if end == "noise_const":
            return f"synthesis/noise{2 * side.bit_length() - 6 - (layer == 'conv0')}", x[None, None]
        if end == "weight":
            return f"{at}/weight", kernel(x.flip(2, 3) if layer == "conv0" else x)
        if end.startswith("affine"):
            return f"{at}/mod_{end[7:]}", x.t() if end.endswith("weight") else x - 1
        return f"{at}/{end}", x
    if m := re.fullmatch(r"b(\d+)\.(fromrgb|conv0|conv1|skip|conv)\.(weight|bias)", name):
        part = {"fromrgb": "FromRGB", "conv0": "Conv0", "conv1": "Conv1_down", "skip": "Skip", "conv": "Conv"}[m[2]]
        return f"{m[1]}x{m[1]}/{part}/{m[3]}", kernel(x) if m[3] == "weight" else x
    plain = {"mapping.w_avg": "dlatent_avg", "synthesis.b4.const": "synthesis/4x4/Const/const", "b4.fc": "4x4/Dense0",
             "b4.out": "Output"}  # fmt: skip
    if name in plain:
        return plain[name], x[None] if name.endswith("const") else x
    layer, end = name.rsplit(".", 1)
    return layer if layer not in plain else plain[layer], x.t() if end == "weight" else x


def variables(tensors: dict[str, Tensor], critic: bool) -> dict[str, Any]:
    """TensorFlow's variables of a network."""
    found = {}
    for name, value in tensors.items():
        made = _back(name, value)
        if made is None:
            continue
        layer, x = made
        if name.startswith("mapping.fc"):
            number = re.sub(r"\D", "", name)
            layer = f"Mapping{number}" if critic else f"mapping/Dense{number}"
        if name.startswith("mapping.embed"):
            layer = "LabelEmbed" if critic else "mapping/LabelEmbed"
        if "/" not in layer.removeprefix("mapping/") or layer == "4x4/Dense0":
            layer += "" if layer == "dlatent_avg" or layer.startswith("synthesis") else "/" + name.rsplit(".", 1)[1]
        found[layer] = x.contiguous().numpy()
    return found


def tensorflow_snapshot(path: Path, g: dict[str, Tensor], d: dict[str, Tensor], facts: dict[str, Any]) -> Path:
    """(G, D, Gs) of two state_dicts, as TensorFlow's version pickles them."""
    names = ("dnnlib", "dnnlib.tflib", "dnnlib.tflib.network")
    for name in names:
        sys.modules[name] = types.ModuleType(name)

    class Network:
        """Its state is what is pickled."""

    Network.__module__, Network.__qualname__ = "dnnlib.tflib.network", "Network"
    sys.modules["dnnlib.tflib.network"].Network = Network

    def network(values: dict[str, Any], kind: str, components: dict[str, Any], **said: Any) -> Any:
        made = Network()
        source = SOURCE.format("never")
        made.__dict__ |= {
            "version": 4,
            "name": kind,
            "build_module_src": source,
            "build_func_name": kind,
            "static_kwargs": said,
        }
        made.__dict__ |= {"components": components, "variables": list(values.items())}
        return made

    def part(values: dict[str, Any], name: str) -> Any:
        own = {n.removeprefix(f"{name}/"): v for n, v in values.items() if n.startswith(f"{name}/")}
        return network(own, name, {})

    values = variables(g, critic=False)
    parts = {name: part(values, name) for name in ("mapping", "synthesis")}
    own = {n: v for n, v in values.items() if "/" not in n}
    size = max(int(n.split(".")[0][1:]) for n in d if re.match(r"b\d+\.", n))
    said = {"resolution": size, "conv_clamp": facts["clamp"], "num_channels": d[f"b{size}.fromrgb.weight"].shape[1]}
    made_g = network(own, "G_main", parts, **said)
    made_d = network(
        variables(d, critic=True), "D_main", {}, mbstd_group_size=facts["group"], mapping_lrmul=0.01, **said
    )
    try:
        path.write_bytes(pickle.dumps((made_g, made_d, made_g), 4))
    finally:
        for name in names:
            del sys.modules[name]
    return path
