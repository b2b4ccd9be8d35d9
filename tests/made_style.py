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
