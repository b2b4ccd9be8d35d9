"""Read PyTorch-StudioGAN checkpoints (model=G-..., model=G_ema-..., model=D-...-weights-step=N.pth).

Supported backbones: resnet (SNGAN, SAGAN, ProjGAN, WGAN-GP ...; it becomes the recipe sngan, or sagan if G has spectral
norm), big_resnet and big_resnet_deep_legacy (biggan). G of any method; D with spectral norm, with projection or without
labels. Epsilon of BatchNorm is 1e-4. Ganloom does not have the backbones deep_conv and big_resnet_deep_studiogan.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.networks.biggan import _multiples as multiples
from ganloom.weights.biggan import count, deep_down_block, discriminator_plan, down_block
from ganloom.weights.tensor_reader import (
    ENDS,
    Network,
    Reading,
    Shapes,
    base_size,
    count_classes,
    has_weight,
    one_attention,
    plan,
    same,
    shape_of,
)

KNOWN = "PyTorch-StudioGAN (G, G_ema, D of its backbones resnet, big_resnet, big_resnet_deep_legacy)"


def matches(shapes: Shapes) -> bool:
    """Return whether the names are StudioGAN's."""
    blocks = any(f"blocks.0.0.{layer}.{end}" in shapes for layer in ("conv2d1", "deconv0", "conv0") for end in ENDS)
    return blocks and any(f"{layer}.{end}" in shapes for layer in ("linear0", "linear1") for end in ENDS)


def build(state: dict[str, Tensor], beside: Network | None = None) -> Network:
    """Read a network.

    Args:
        state: Its tensors by name.
        beside: What the generator's file was read as, where ``state`` is its discriminator.
    """
    if not has_weight(state, "blocks.0.0.conv2d1"):
        raise BadInput("StudioGAN's backbone deep_conv, which ganloom does not have")
    deep = has_weight(state, "blocks.0.0.conv2d4")
    skip = has_weight(state, "blocks.0.0.conv2d0") and shape_of(state, "blocks.0.0.conv2d0")[0]
    if deep and skip == shape_of(state, "blocks.0.0.conv2d4")[0]:  # in the legacy backbone it only adds channels
        raise BadInput("StudioGAN's backbone big_resnet_deep_studiogan, which ganloom does not have")
    if has_weight(state, "linear0"):
        return _generator(state, deep)
    return _discriminator(state, deep, beside)


def _blocks(state: dict[str, Tensor]) -> tuple[list[int], list[int]]:
    """Return (indices of the residual blocks, number of blocks before each attention)."""
    blocks: list[int] = []
    attended = []
    for i in range(count(state, "blocks")):
        if f"blocks.{i}.0.sigma" in state:
            attended.append(len(blocks))
        else:
            blocks.append(i)
    return blocks, attended


# ----------------------------------------------------------------------------------------------------------------- G


def _generator(state: dict[str, Tensor], deep: bool) -> Network:
    read = Reading(state)
    blocks, attended = _blocks(state)
    depth, last = (2, "conv2d4") if deep else (1, "conv2d2")
    stages = len(blocks) // depth
    channels = [shape_of(state, "blocks.0.0.conv2d1")[1]]
    channels += [shape_of(state, f"blocks.{blocks[depth * i + depth - 1]}.0.{last}")[0] for i in range(stages)]
    rows, inputs = shape_of(state, "linear0")
    side = base_size(rows, channels[0], "linear0")
    size = side * 2**stages
    shared = "shared.weight" in state
    condition = shape_of(state, "blocks.0.0.bn1.gain")[1] if has_weight(state, "blocks.0.0.bn1.gain") else 0
    config: dict[str, Any] = {"shape": (shape_of(state, "conv2d5")[0], size, size), "bn_eps": 1e-4}
    grid = one_attention([side * 2 ** (before // depth) for before in attended], size)
    spectral = not any(f"linear0.{end}" in state for end in ("weight",))
    if deep or shared or (condition and condition == inputs):
        recipe, more, order = _as_biggan(state, deep, channels, inputs, condition)
        config |= {"attention": grid, **more}
        if shared:
            read.copy("shared.weight", "G.classes.weight", lambda x: x.t())
        if not spectral:
            raise BadInput("a BigGAN without spectral norm in G: ganloom's G has it")
    else:
        recipe, order = "sagan" if spectral else "sngan", same
        config |= _as_sngan(channels, inputs, condition, spectral, grid)
    body = "G.body" if recipe == "biggan" else "G"
    read.layer("linear0", f"{body}.project", order if deep else same)
    for i, place in enumerate(blocks):
        to = f"{body}.blocks.{i // depth}" + (f".{('first', 'second')[i % 2]}" if deep else "")
        _up_block(read, f"blocks.{place}.0", to, order, deep)
    for before in attended:
        _attention(read, f"blocks.{blocks[before - 1] + 1}.0", f"{body}.attention")
    read.norm("bn4", f"{body}.norm")
    read.layer("conv2d5", f"{body}.out")
    return Network(recipe, config, read.done("StudioGAN"))


def _as_biggan(
    state: dict[str, Tensor], deep: bool, channels: list[int], inputs: int, condition: int
) -> tuple[str, dict[str, Any], Callable[[Tensor], Tensor]]:
    """Return (recipe, fields, change from (class, z) to (z, class)) of the backbones with parts of z in each norm."""
    classes, c_dim = state["shared.weight"].shape if "shared.weight" in state else (0, 0)
    width, custom = plan(channels, multiples(len(channels) - 1))
    fields = {
        "deep": deep, "width": width, "multiples": custom, "n_classes": count_classes(classes),
        "z_dim": condition - c_dim if deep else inputs * len(channels),
    }  # fmt: skip
    fields |= {"c_dim": c_dim} if c_dim else {}
    return "biggan", fields, lambda weight: torch.cat([weight[:, c_dim:], weight[:, :c_dim]], 1)


def _as_sngan(channels: list[int], inputs: int, classes: int, spectral: bool, grid: int) -> dict[str, Any]:
    """Return the fields of the recipes sngan and sagan."""
    stages = len(channels) - 1
    flat = len(set(channels)) == 1
    if not flat and [channels[-1] * min(2**i, 16) for i in range(stages, -1, -1)] != channels:
        raise BadInput(
            f"StudioGAN's resnet with channels {channels}: ganloom doubles them at each halving of the grid, up to 16 times"
        )
    fields = {"width": channels[-1], "z_dim": inputs, "n_classes": count_classes(classes)}
    if spectral:
        return fields | {"flat": flat, "attention": grid, "spectral_tables": True}
    if grid:
        raise BadInput("attention in a generator without spectral norm: ganloom has no such recipe")
    return fields | {"pyramid": not flat}


def _up_block(read: Reading, name: str, to: str, order: Callable[[Tensor], Tensor], deep: bool) -> None:
    for j in range(1, 5 if deep else 3):
        read.layer(f"{name}.conv2d{j}", f"{to}.convs.{j - 1}" if deep else f"{to}.conv{j}")
        norm = f"{to}.norms.{j - 1}" if deep else f"{to}.norm{j}"
        if read.has(f"{name}.bn{j}.gain"):
            read.norm(f"{name}.bn{j}.bn", f"{norm}.norm")
            read.layer(f"{name}.bn{j}.gain", f"{norm}.gain", order)
            read.layer(f"{name}.bn{j}.bias", f"{norm}.bias", order)
        elif read.has(f"{name}.bn{j}.bn"):
            read.norm(f"{name}.bn{j}.bn", f"{norm}.norm")
        else:
            read.norm(f"{name}.bn{j}", f"{norm}.norm")
    if not deep:
        read.layer(f"{name}.conv2d0", f"{to}.skip.0")


def _attention(read: Reading, name: str, to: str) -> None:
    for theirs, ours in (("theta", "query"), ("phi", "key"), ("g", "value"), ("attn", "out")):
        read.layer(f"{name}.conv1x1_{theirs}", f"{to}.{ours}")
    read.copy(f"{name}.sigma", f"{to}.gamma", lambda x: x.reshape(()))


# ----------------------------------------------------------------------------------------------------------------- D


def _discriminator(state: dict[str, Tensor], deep: bool, beside: Network | None) -> Network:
    if "linear1.weight" in state:
        raise BadInput("StudioGAN's discriminator without spectral norm has BatchNorm, which ganloom's does not have")
    if shape_of(state, "linear1")[0] != 1:
        raise BadInput("StudioGAN's discriminator with more than one output: ganloom's has one")
    read = Reading(state)
    blocks, attended = _blocks(state)
    depth, last = (2, "conv2d4") if deep else (1, "conv2d2")
    stages = len(blocks) // depth
    outs = [shape_of(state, f"blocks.{blocks[depth * i + depth - 1]}.0.{last}")[0] for i in range(stages)]
    first = shape_of(state, "input_conv" if deep else "blocks.0.0.conv2d1")
    recipe = beside.recipe if beside is not None else "biggan"
    labelled = read.has("embedding")
    config: dict[str, Any] = {"n_classes": count_classes(shape_of(state, "embedding")[0]) if labelled else 0}
    config["d_relu_skip"] = True
    if recipe == "biggan":
        size, width, downs = discriminator_plan([first[0], *outs] if deep else outs)
        config |= {"deep": deep, "d_width": width}
    else:
        flat = len(set(outs)) == 1
        size, width, downs = (32, outs[0], 2) if flat else (4 * 2 ** (stages - 1), outs[0], stages - 1)
        config |= {"d_width": width, "d_wide": True} | ({"flat": flat} if recipe == "sagan" else {"pyramid": not flat})
    grid = one_attention([size >> (before // depth) for before in attended], size)
    if recipe != "sngan":
        config["d_attention"] = grid
    elif grid:
        raise BadInput("attention in D but not in G: ganloom has no such recipe")
    config["shape"] = (first[1], size, size)
    for i, place in enumerate(blocks):
        if deep:
            at = f"D.blocks.{i // 2}" if i > 1 else "D.blocks.0.1"
            names = ("conv2d1", "conv2d2", "conv2d3", "conv2d4", "conv2d0")
            deep_down_block(read, f"blocks.{place}.0", f"{at}.{i % 2}", names, down=i // 2 < downs and not i % 2)
        else:
            names3 = ("conv2d1", "conv2d2", "conv2d0")
            down_block(read, f"blocks.{place}.0", f"D.blocks.{i}", names3, first=not i, down=i < downs)
    if deep:
        read.layer("input_conv", "D.blocks.0.0")
    for before in attended:
        _attention(read, f"blocks.{blocks[before - 1] + 1}.0", "D.attention")
    read.layer("linear1", "D.out")
    if read.has("embedding"):
        read.layer("embedding", "D.classes", turned=True)
    return Network(recipe, config, read.done("StudioGAN"))
