"""Read StyleGAN2 weights of rosinality/stylegan2-pytorch (checkpoint/NNNNNN.pt, stylegan2-ffhq-config-f.pt).

G is the EMA (g_ema). D and the mean of w (latent_avg) are read if the file has them. Otherwise the mean of w is computed
over 4,096 latents, as that project does before truncation.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.networks.mapping import Mapping
from ganloom.weights.file_formats import table
from ganloom.weights.nvlabs import check_filters, plan_channels
from ganloom.weights.tensor_reader import Network, Reading, Shapes, as_network

KNOWN = "rosinality/stylegan2-pytorch (g_ema and d)"


def matches(shapes: Shapes) -> bool:
    """Return whether the names are those of this project."""
    return "conv1.conv.modulation.weight" in shapes or "final_linear.1.weight" in shapes


def build(state: dict[str, Tensor], beside: Network | None = None) -> Network:
    """Read a network. ``beside`` is unused."""
    return _generator(state, None) if "conv1.conv.modulation.weight" in state else _discriminator(state)


def is_checkpoint(value: Any) -> bool:
    """Return whether ``value``, the content of a file, is a checkpoint of this project."""
    g = value.get("g_ema") if isinstance(value, dict) else None
    return isinstance(g, dict) and "conv1.conv.modulation.weight" in g


def read(value: dict[str, Any], path: Path) -> Network:
    """Read the networks of a checkpoint.

    Args:
        value: The content of the file.
        path: The file, for messages.

    Raises:
        BadInput: The checkpoint is damaged, or not a network that ganloom has.
    """
    g, d, mean = (value.get(name) for name in ("g_ema", "d", "latent_avg"))
    state = table({"g_ema": g}, path)
    mean = table({"latent_avg": mean}, path)["latent_avg"] if isinstance(mean, Tensor) else None
    generator = as_network(lambda: _generator(state, mean), KNOWN, str(path))
    if not isinstance(d, dict):
        return generator
    critics = table({"model": d}, path)
    critic = as_network(lambda: _discriminator(critics), KNOWN, str(path))
    return Network("stylegan2", generator.config | critic.config, generator.tensors | critic.tensors)


def _count(state: dict[str, Tensor], name: str) -> int:
    return len({key.split(".")[1] for key in state if key.startswith(f"{name}.")})


def _generator(state: dict[str, Tensor], mean: Tensor | None) -> Network:
    read = Reading(state)
    doublings, layers = _count(state, "to_rgbs"), _count(state, "style")
    convs = ["conv1", *(f"convs.{i}" for i in range(2 * doublings))]
    maps = [state[f"{name}.conv.weight"].shape[1] for name in convs[::2]]
    base, most = plan_channels(maps)
    w_dim, z_dim = state[f"style.{layers}.weight"].shape[0], state["style.1.weight"].shape[1]
    size = 4 << doublings
    config = {
        "shape": (state["to_rgb1.conv.weight"].shape[1], size, size), "z_dim": z_dim, "w_dim": w_dim, "layers": layers,
        "width": most, "base": base,
    }  # fmt: skip
    for i in range(layers):
        read.layer(f"style.{i + 1}", f"G.mapping.layers.{i}")
    read.copy("input.input", "G.synthesis.const", lambda x: x[0])
    for i, name in enumerate(convs):
        to = f"G.synthesis.levels.{(i + 1) // 2}.conv{(i + 1) % 2}"
        read.layer(f"{name}.conv.modulation", f"{to}.affine")
        read.copy(f"{name}.conv.weight", f"{to}.weight", lambda x: x[0])
        read.copy(f"{name}.activate.bias", f"{to}.bias")
        read.copy(f"{name}.noise.weight", f"{to}.strength", lambda x: x.reshape(()))
        read.copy(f"noises.noise_{i}", f"{to}.noise", lambda x: x[0, 0])
    for i in range(doublings + 1):
        name, to = f"to_rgbs.{i - 1}" if i else "to_rgb1", f"G.synthesis.levels.{i}.picture"
        read.layer(f"{name}.conv.modulation", f"{to}.affine")
        read.copy(f"{name}.conv.weight", f"{to}.weight", lambda x: x[0])
        read.copy(f"{name}.bias", f"{to}.bias", torch.flatten)
    check_filters(read, ".kernel")
    tensors = read.done("stylegan2-pytorch")
    center = _mean(tensors, z_dim, w_dim, layers) if mean is None else mean.float().reshape(w_dim)
    tensors |= {"G.mapping.w_mean": center, "G.mapping.w_sums": torch.zeros(w_dim), "G.mapping.seen": torch.zeros(())}
    return Network("stylegan2", config, tensors)


def _mean(tensors: dict[str, Tensor], z_dim: int, w_dim: int, layers: int) -> Tensor:
    """Return the mean of w over 4,096 latents."""
    sides = [tuple(tensors[f"G.mapping.layers.{i}.weight"].shape) for i in range(layers)]
    if sides != [(w_dim, w_dim if i else z_dim) for i in range(layers)]:
        raise BadInput(f"a mapping network of layers {sides[:3]}: it does not map {z_dim} numbers to {w_dim}")
    mapping = Mapping(z_dim, w_dim, layers).eval()
    own = {name.removeprefix("G.mapping."): t for name, t in tensors.items() if name.startswith("G.mapping.")}
    mapping.load_state_dict(own, strict=False)
    with torch.no_grad():
        mean: Tensor = mapping(torch.randn(4096, z_dim, generator=torch.Generator().manual_seed(0))).mean(0)
    return mean


def _discriminator(state: dict[str, Tensor]) -> Network:
    read = Reading(state)
    blocks = _count(state, "convs") - 1
    maps = [len(state["final_conv.0.weight"])]
    maps += [state[f"convs.{i}.conv1.0.weight"].shape[1] for i in range(blocks, 0, -1)]
    base, most = plan_channels(maps)
    size = 4 << blocks
    config = {
        "shape": (state["convs.0.0.weight"].shape[1], size, size), "n_classes": 0, "d_width": most, "d_base": base,
        "residual": True, "group": 4,
    }  # fmt: skip

    def conv(weight: str, bias: str, to: str) -> None:
        read.copy(weight, f"{to}.weight")
        read.copy(bias, f"{to}.bias")

    conv("convs.0.0.weight", "convs.0.1.bias", "D.start")
    for i in range(blocks):
        name, to = f"convs.{i + 1}", f"D.levels.{i}"
        conv(f"{name}.conv1.0.weight", f"{name}.conv1.1.bias", f"{to}.conv0")
        conv(f"{name}.conv2.1.weight", f"{name}.conv2.2.bias", f"{to}.conv1")
        read.copy(f"{name}.skip.1.weight", f"{to}.skip.weight")
    conv("final_conv.0.weight", "final_conv.1.bias", "D.conv")
    read.layer("final_linear.0", "D.dense")
    read.layer("final_linear.1", "D.out")
    check_filters(read, ".kernel")
    return Network("stylegan2", config, read.done("stylegan2-pytorch"))
