"""Read mimicry's checkpoints (netG_N_steps.pth, netD_N_steps.pth) at 32, 48, 64 and 128 px.

G and D of SNGAN, cGAN-PD and SAGAN are read. The generators of SSGAN, InfoMax-GAN, WGAN-GP and the residual DCGAN are those
of SNGAN. Their discriminators are not read: without spectral norm, the file does not tell whether features are summed or
averaged, and SSGAN and InfoMax-GAN have heads that ganloom does not have. The generators upsample bilinearly.
"""

from typing import Any

from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.weights.biggan import down_block
from ganloom.weights.tensor_reader import (
    ENDS,
    Network,
    Reading,
    Shapes,
    base_size,
    count_classes,
    one_attention,
    shape_of,
)

KNOWN = "mimicry (G of all its GANs; D of SNGAN, cGAN-PD, SAGAN)"


def matches(shapes: Shapes) -> bool:
    """Return whether the names are mimicry's."""
    names = ("block1.c1", "block2.c1", "local_feat_blocks.0.c1")
    return any(f"{name}.{end}" in shapes for name in names for end in ENDS)


def build(state: dict[str, Tensor], beside: Network | None = None) -> Network:
    """Read a network.

    Args:
        state: Its tensors by name.
        beside: What the generator's file was read as, where ``state`` is its discriminator.
    """
    if any(name.startswith("l1.") for name in state):
        return _generator(state)
    return _discriminator(state, beside)


def _count(state: dict[str, Tensor]) -> int:
    return len({name.split(".")[0] for name in state if name.startswith("block")})


def _generator(state: dict[str, Tensor]) -> Network:
    read = Reading(state)
    stages = _count(state)
    channels = [shape_of(state, "block2.c1")[1], *(shape_of(state, f"block{i + 2}.c2")[0] for i in range(stages))]
    rows, z_dim = shape_of(state, "l1")
    side = base_size(rows, channels[0], "l1")
    size, end = side * 2**stages, stages + 2
    flat = len(set(channels)) == 1
    if not flat and [channels[-1] * min(2**i, 16) for i in range(stages, -1, -1)] != channels:
        raise BadInput(f"a mimicry generator with channels {channels}: mimicry has them at no size")
    spectral = "l1.weight" not in state
    labelled = "block2.b1.embed.weight" in state
    classes = count_classes(len(state["block2.b1.embed.weight"])) if labelled else 0
    config: dict[str, Any] = {
        "shape": (shape_of(state, f"c{end}")[0], size, size), "width": channels[-1], "z_dim": z_dim, "n_classes": classes,
        "bilinear": True,
    }  # fmt: skip
    if spectral:
        grid = 0
        if "attn_block.gamma" in state:
            inputs = shape_of(state, "attn_block.theta")[1]
            level = 2 if flat else channels.index(inputs, 1)
            grid = one_attention([side * 2**level], size)
        config |= {"flat": flat, "attention": grid, "d_wide": False}
    else:
        config |= {"pyramid": not flat}
    read.layer("l1", "G.project")
    for i in range(stages):
        name, to = f"block{i + 2}", f"G.blocks.{i}"
        for j in (1, 2):
            read.layer(f"{name}.c{j}", f"{to}.conv{j}")
            if labelled:
                read.norm(f"{name}.b{j}.bn", f"{to}.norm{j}.norm")
                gain, bias = read.take(f"{name}.b{j}.embed.weight").t().chunk(2)
                read.out[f"{to}.norm{j}.gain.weight"] = (gain - 1).contiguous()
                read.out[f"{to}.norm{j}.bias.weight"] = bias.contiguous()
            else:
                read.norm(f"{name}.b{j}", f"{to}.norm{j}.norm")
        read.layer(f"{name}.c_sc", f"{to}.skip.0")
    _attention(read, "G.attention")
    read.norm(f"b{end}", "G.norm")
    read.layer(f"c{end}", "G.out")
    return Network("sagan" if spectral else "sngan", config, read.done("mimicry"))


def _attention(read: Reading, to: str) -> None:
    if not read.has("attn_block"):
        return
    for theirs, ours in (("theta", "query"), ("phi", "key"), ("g", "value"), ("o", "out")):
        read.layer(f"attn_block.{theirs}", f"{to}.{ours}")
    read.copy("attn_block.gamma", f"{to}.gamma", lambda x: x.reshape(()))


def _discriminator(state: dict[str, Tensor], beside: Network | None) -> Network:
    if "local_feat_blocks.0.c1.weight_orig" in state or "l_y.bias" in state:
        raise BadInput("the discriminator of mimicry's InfoMax-GAN or SSGAN has heads that ganloom does not have")
    if "block1.c1.weight" in state and "block1.c1.sn_u" not in state:
        raise BadInput(
            "a mimicry discriminator without spectral norm: its file does not tell whether it sums features (DCGAN) or "
            "averages them (WGAN-GP). Import only the generator"
        )
    read = Reading(state)
    blocks = _count(state)
    outs = [shape_of(state, f"block{i + 1}.c2")[0] for i in range(blocks)]
    flat = len(set(outs)) == 1
    attended = "attn_block.gamma" in state
    recipe = "sagan" if attended else beside.recipe if beside is not None else "sngan"
    last = f"l{blocks + 1}"
    size, halving = (32, 2) if flat else (128, 5) if blocks == 6 else (64, 5)
    if not flat and blocks == 5 and read.has("l5"):  # 48 and 64 px differ only in this name
        last, size, halving = "l5", 48, 4
    config: dict[str, Any] = {
        "shape": (shape_of(state, "block1.c1")[1], size, size), "d_width": outs[0], "d_wide": False,
        "d_relu_skip": True,
        "n_classes": count_classes(shape_of(state, "l_y")[0]) if read.has("l_y") else 0,
    }  # fmt: skip
    if recipe == "sagan":
        level = 2 if flat or not attended else 1 + outs.index(shape_of(state, "attn_block.theta")[1])
        config |= {"flat": flat, "d_attention": one_attention([size >> level] if attended else [], size)}
    else:
        config |= {"pyramid": not flat} | ({"d_plan": (halving, blocks - halving)} if not flat else {})
    for i in range(blocks):
        down_block(read, f"block{i + 1}", f"D.blocks.{i}", ("c1", "c2", "c_sc"), first=not i, down=i < halving)
    _attention(read, "D.attention")
    read.layer(last, "D.out")
    if read.has("l_y"):
        read.layer("l_y", "D.classes", turned=True)
    return Network(recipe, config, read.done("mimicry"))
