"""Read BigGAN weights of BigGAN-PyTorch (ajbrock; G.pth, G_ema.pth, D.pth) and pytorch-pretrained-BigGAN (Hugging Face).

BigGAN-PyTorch: 32 to 256 px, BigGAN and BigGAN-deep, hierarchical or plain z, a shared class embedding or one in each norm
(as in its SAGAN), attention on one grid, its three kinds of BatchNorm. Its norms are conditioned on (class, part of z),
ganloom's on (part of z, class).

pytorch-pretrained-BigGAN: the authors' published generators, BigGAN-deep of 128, 256 and 512 px, with BatchNorm statistics
for each of 51 truncations. Departure: between two truncations that project interpolates with swapped weights, ganloom
linearly. At the 51 truncations 0, 0.02, ..., 1 both are equal. The class embedding is as long as z.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.networks.biggan import _multiples as multiples
from ganloom.weights.tensor_reader import (
    Network,
    Reading,
    Shapes,
    base_size,
    count_classes,
    one_attention,
    plan,
    same,
    shape_of,
)

KNOWN = "BigGAN-PyTorch (G, G_ema, D) and pytorch-pretrained-BigGAN"


def matches(shapes: Shapes) -> bool:
    """Return whether the names are those of one of the two projects."""
    original = "blocks.0.0.conv1.weight" in shapes and "linear.weight" in shapes
    return original or "generator.layers.0.bn_0.running_means" in shapes


def build(state: dict[str, Tensor], beside: Network | None = None) -> Network:
    """Read a network.

    Args:
        state: Its tensors by name.
        beside: What the generator's file was read as, where ``state`` is its discriminator.
    """
    if "generator.layers.0.bn_0.running_means" in state:
        return _hub(state)
    return _discriminator(state) if "embed.weight" in state else _generator(state)


# ------------------------------------------------------------------------------------------------- BigGAN-PyTorch, G


def _generator(state: dict[str, Tensor]) -> Network:
    read = Reading(state)
    deep = "blocks.0.0.conv4.weight" in state
    depth = 2 if deep else 1
    stages = count(state, "blocks") // depth
    last = "conv4" if deep else "conv2"
    channels = [state["blocks.0.0.conv1.weight"].shape[1]]
    channels += [len(state[f"blocks.{depth * i + depth - 1}.0.{last}.weight"]) for i in range(stages)]
    width, custom = plan(channels, multiples(stages))
    rows, inputs = state["linear.weight"].shape
    side = base_size(rows, channels[0], "linear")
    size = side * 2**stages
    attended = [i for i in range(stages) if f"blocks.{depth * i + depth - 1}.1.gamma" in state]
    config: dict[str, Any] = {
        "shape": (len(state["output_layer.2.weight"]), size, size), "deep": deep, "width": width, "multiples": custom,
        "attention": one_attention([side * 2 ** (i + 1) for i in attended], size),
    }  # fmt: skip
    shared = "shared.weight" in state
    gain = state["blocks.0.0.bn1.gain.weight"].shape
    if shared:
        classes, c_dim = state["shared.weight"].shape
        part = int(gain[1]) - c_dim  # numbers of z in a norm's condition
        hierarchical = part > 0
        z_dim = part if deep else inputs * (stages + 1) if hierarchical else inputs
        config |= {"n_classes": count_classes(classes), "c_dim": c_dim}
        read.copy("shared.weight", "G.classes.weight", torch.t)
    else:
        hierarchical, z_dim, c_dim = False, inputs, 0
        config |= {"n_classes": count_classes(int(gain[0]))}
    if deep and not (shared and hierarchical):
        raise BadInput(
            "a BigGAN-deep without a shared class embedding or hierarchical z: BigGAN-PyTorch itself cannot run it"
        )
    config |= {"z_dim": z_dim, "shared": shared, "hierarchical": hierarchical}

    def order(weight: Tensor) -> Tensor:  # (class, z) -> (z, class)
        return torch.cat([weight[:, c_dim:], weight[:, :c_dim]], 1)

    table = order if shared else torch.t
    read.layer("linear", "G.body.project", order if deep else same)
    for i in range(stages):
        for k in range(depth):
            name, to = (
                f"blocks.{depth * i + k}.0",
                f"G.body.blocks.{i}" + (f".{('first', 'second')[k]}" if deep else ""),
            )
            for j in range(1, 5 if deep else 3):
                read.layer(f"{name}.conv{j}", f"{to}.convs.{j - 1}" if deep else f"{to}.conv{j}")
                norm = f"{to}.norms.{j - 1}" if deep else f"{to}.norm{j}"
                _statistics(read, f"{name}.bn{j}", f"{norm}.norm")
                read.layer(f"{name}.bn{j}.gain", f"{norm}.gain", table)
                read.layer(f"{name}.bn{j}.bias", f"{norm}.bias", table)
            if not deep:
                read.layer(f"{name}.conv_sc", f"{to}.skip.0")
    for i in attended:
        _attention(read, f"blocks.{depth * i + depth - 1}.1", "G.body.attention")
    _statistics(read, "output_layer.0", "G.body.norm")
    read.copy("output_layer.0.gain", "G.body.norm.weight")
    read.copy("output_layer.0.bias", "G.body.norm.bias")
    read.layer("output_layer.2", "G.body.out")
    return Network("biggan", config, read.done("BigGAN-PyTorch"))


def count(state: dict[str, Tensor], name: str) -> int:
    """Return how many numbered children ``name`` has. Raises BadInput for a number that the file cannot reach."""
    last = max(int(key.split(".")[1]) for key in state if key.startswith(f"{name}."))
    if last >= len(state):
        raise BadInput(f"{name}.{last} in a file of {len(state)} tensors: it is incomplete")
    return 1 + last


def _statistics(read: Reading, name: str, to: str) -> None:
    """Copy the mean and variance of any of the project's three kinds of BatchNorm."""
    if f"{name}.bn.running_mean" in read.state:  # synchronised between devices
        read.norm(f"{name}.bn", to)
        return
    at = f"{name}.bn" if f"{name}.bn.stored_mean" in read.state else name
    read.drop(f"{at}.accumulation_counter")
    batches = float(read.state.get(f"{at}.accumulation_counter", torch.zeros(1)))
    for ours, theirs in (("running_mean", "stored_mean"), ("running_var", "stored_var")):
        read.copy(f"{at}.{theirs}", f"{to}.{ours}", lambda x: x / max(batches, 1.0))  # sums over the batches
    read.out[f"{to}.num_batches_tracked"] = torch.tensor(0)


def _attention(read: Reading, name: str, to: str) -> None:
    for theirs, ours in (("theta", "query"), ("phi", "key"), ("g", "value"), ("o", "out")):
        read.layer(f"{name}.{theirs}", f"{to}.{ours}")
    read.copy(f"{name}.gamma", f"{to}.gamma", lambda x: x.reshape(()))


# ------------------------------------------------------------------------------------------------- BigGAN-PyTorch, D


def _discriminator(state: dict[str, Tensor]) -> Network:
    read = Reading(state)
    deep = "input_conv.weight" in state
    depth, last = (2, "conv4") if deep else (1, "conv2")  # D has both blocks of a stage in one list
    stages = count(state, "blocks")
    outs = [len(state[f"blocks.{i}.0.{last}.weight"]) for i in range(stages)]
    first = state["input_conv.weight" if deep else "blocks.0.0.conv1.weight"]
    size, width, downs = discriminator_plan([len(first), *outs] if deep else outs)
    attended = [i for i in range(stages) if f"blocks.{i}.{depth}.gamma" in state]
    config = {
        "shape": (first.shape[1], size, size), "deep": deep, "d_width": width,
        "d_attention": one_attention([size >> (i + 1) for i in attended], size),
        "n_classes": count_classes(len(state["embed.weight"])),
    }  # fmt: skip
    for i in range(stages):
        if deep:
            at = f"D.blocks.{i}" if i else "D.blocks.0.1"
            for k in range(2):
                five = ("conv1", "conv2", "conv3", "conv4", "conv_sc")
                deep_down_block(read, f"blocks.{i}.{k}", f"{at}.{k}", five, down=i < downs and not k)
        else:
            names = ("conv1", "conv2", "conv_sc")
            down_block(read, f"blocks.{i}.0", f"D.blocks.{i}", names, first=not i, down=i < downs)
    if deep:
        read.layer("input_conv", "D.blocks.0.0")
    for i in attended:
        _attention(read, f"blocks.{i}.{depth}", "D.attention")
    read.layer("linear", "D.out")
    read.layer("embed", "D.classes", turned=True)
    return Network("biggan", config, read.done("BigGAN-PyTorch"))


def discriminator_plan(outs: Sequence[int]) -> tuple[int, int, int]:
    """Return (side of the images, width, number of blocks that downsample) of a BigGAN discriminator.

    Args:
        outs: The output channels of its blocks.

    Raises:
        BadInput: No size of BigGAN has these channels.
    """
    small = len(set(outs)) == 1 and len(outs) == 4
    doublings = 3 if small else len(outs) - 1
    known = (4,) * 4 if small else (1, 2, 4, 8, 16) if doublings == 4 else multiples(doublings)[::-1]
    width = outs[0] // known[0]
    if [width * m for m in known] != list(outs) or doublings < 3:
        raise BadInput(f"a discriminator with channels {list(outs)}: neither BigGAN nor ganloom has them at any size")
    return 4 * 2**doublings, width, 2 if small else doublings


def down_block(
    read: Reading, name: str, to: str, theirs: tuple[str, str, str], *, first: bool = False, down: bool
) -> None:
    """Copy a residual block of D.

    Args:
        read: Copies the tensors.
        name: The block's name in the file.
        to: Its name in ganloom.
        theirs: Names of the two convolutions and of the optional one on the skip.
        first: The block is the first one, which has no activation before its first convolution.
        down: The block downsamples.
    """
    conv1, conv2, skip = theirs
    read.layer(f"{name}.{conv1}", f"{to}.main.{0 if first else 1}")
    read.layer(f"{name}.{conv2}", f"{to}.main.{2 if first else 3}")
    if read.has(f"{name}.{skip}"):
        read.layer(f"{name}.{skip}", f"{to}.skip.{int(down)}")


def deep_down_block(read: Reading, name: str, to: str, theirs: Sequence[str], *, down: bool) -> None:
    """Copy a bottleneck block of D.

    Args:
        read: Copies the tensors.
        name: The block's name in the file.
        to: Its name in ganloom.
        theirs: Names of the four convolutions and of the optional one that adds channels to the skip.
        down: The block downsamples.
    """
    for place, conv in zip((1, 3, 5, 8 if down else 7), theirs, strict=False):
        read.layer(f"{name}.{conv}", f"{to}.main.{place}")
    if read.has(f"{name}.{theirs[4]}"):
        read.layer(f"{name}.{theirs[4]}", f"{to}.more")


# ------------------------------------------------------------------------------------- pytorch-pretrained-BigGAN, G


def _hub(state: dict[str, Tensor]) -> Network:
    read = Reading(state)
    places = count({k.removeprefix("generator."): v for k, v in state.items()}, "layers")
    attended = [i for i in range(places) if f"generator.layers.{i}.gamma" in state]
    blocks = [i for i in range(places) if i not in attended]
    stages = len(blocks) // 2
    channels = [shape_of(state, f"generator.layers.{blocks[0]}.conv_0")[1]]
    channels += [shape_of(state, f"generator.layers.{blocks[2 * i + 1]}.conv_3")[0] for i in range(stages)]
    width, custom = plan(channels, multiples(stages))
    c_dim, classes = state["embeddings.weight"].shape
    rows, inputs = shape_of(state, "generator.gen_z")
    side = base_size(rows, channels[0], "gen_z")
    size = side * 2**stages
    config = {
        "shape": (3, size, size), "deep": True, "width": width, "multiples": custom, "n_classes": count_classes(classes),
        "z_dim": inputs - c_dim, "c_dim": c_dim, "bn_eps": 1e-4,
        "hub": len(state["generator.bn.running_means"]),
        "attention": one_attention([side * 2 ** (i // 2) for i in attended], size),
    }  # fmt: skip

    def channels_first(x: Tensor) -> Tensor:  # outputs (H, W, C) -> (C, H, W)
        turned: Tensor = x.unflatten(0, (side * side, channels[0])).transpose(0, 1).flatten(0, 1)
        return turned

    read.copy("embeddings.weight", "G.classes.weight")
    read.layer("generator.gen_z", "G.body.project", rows=channels_first)
    for i, place in enumerate(blocks):
        name, to = f"generator.layers.{place}", f"G.body.blocks.{i // 2}.{('first', 'second')[i % 2]}"
        for j in range(4):
            read.layer(f"{name}.conv_{j}", f"{to}.convs.{j}")
            _sets(read, f"{name}.bn_{j}", f"{to}.norms.{j}.norm")
            read.layer(f"{name}.bn_{j}.scale", f"{to}.norms.{j}.gain")
            read.layer(f"{name}.bn_{j}.offset", f"{to}.norms.{j}.bias")
    for place in attended:
        name = f"generator.layers.{place}"
        for theirs, ours in (("theta", "query"), ("phi", "key"), ("g", "value"), ("o_conv", "out")):
            read.layer(f"{name}.snconv1x1_{theirs}", f"G.body.attention.{ours}")
        read.copy(f"{name}.gamma", "G.body.attention.gamma", lambda x: x.reshape(()))
    _sets(read, "generator.bn", "G.body.norm")
    read.copy("generator.bn.weight", "G.body.norm.weight")
    read.copy("generator.bn.bias", "G.body.norm.bias")
    read.layer("generator.conv_to_rgb", "G.body.out")
    return Network("biggan", config, read.done("pytorch-pretrained-BigGAN"))


def _sets(read: Reading, name: str, to: str) -> None:
    """Copy the statistics for each truncation. Those of truncation 1 become the running ones."""
    read.copy(f"{name}.running_means", f"{to}.means")
    read.copy(f"{name}.running_vars", f"{to}.variances")
    read.out[f"{to}.running_mean"] = read.out[f"{to}.means"][-1].clone()
    read.out[f"{to}.running_var"] = read.out[f"{to}.variances"][-1].clone()
    read.out[f"{to}.num_batches_tracked"] = torch.tensor(0)
