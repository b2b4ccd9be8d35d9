"""Generators of pytorch-CycleGAN-and-pix2pix and of CUT, read, give what those projects' own code gives.

``figures/translators.npz`` was computed once by CUT's fork (b3ac297; its networks without anti-aliasing are the other
project's), in eval mode, torch 2.13 on a CPU: narrow networks with the weights of ``made_weights.made`` for their own names
and shapes. "old" is InstanceNorm with statistics in the file, run as the project runs it now: without them.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from made_weights import inputs, made

import ganloom
from ganloom import weights
from ganloom.cli import main
from ganloom.core.errors import BadInput

FIGURES = np.load(Path(__file__).parent / "figures" / "translators.npz")
CASES = sorted({name.split("/")[0] for name in FIGURES.files})
SIZES = {"unet_256": 256, "unet_128": 128, "unet_128-instance": 256}


def state_of(case: str) -> dict[str, torch.Tensor]:
    shapes = json.loads(FIGURES[f"{case}/shapes"].tobytes())
    return made({name: tuple(shape) for name, shape in shapes.items()})


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_the_reference_code(case: str, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "latest_net_G.pth"
    torch.save({prefix + name: t for name, t in state_of(case).items()}, path)
    gan, size = weights.read(path), SIZES.get(case, 32)
    cfg = gan.cfg
    assert cfg.norm == ("batch" if "batch" in case or case in ("unet_256", "unet_128") else "instance")
    assert cfg.net == ("unet" if "unet" in case else "resnet") and cfg.antialias == case.startswith("cut")
    if cfg.net == "resnet":
        assert cfg.blocks == int(case.split("resnet_")[1][0]) and cfg.dropout == ("dropout" in case) and cfg.width == 8
    else:
        assert cfg.levels == (8 if case == "unet_256" else 7) and cfg.width == 4
    y = gan.translate(inputs(2, 3, size, size).tanh()).flatten()
    found = y[:: max(len(y) // 600, 1)][:600].numpy()
    np.testing.assert_allclose(found, FIGURES[f"{case}/eval"], atol=1e-5, rtol=0)


def test_a_pair_becomes_cyclegan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = state_of("resnet_6blocks-dropout")
    torch.save(state, tmp_path / "latest_net_G_A.pth")
    torch.save({name: -t for name, t in state.items()}, tmp_path / "latest_net_G_B.pth")
    with pytest.raises(SystemExit) as stopped:
        main(["import", str(tmp_path / "latest_net_G_A.pth"), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert not stopped.value.code and said.startswith("cyclegan of 3x256x256") and "ganloom translate" in said
    gan, single = ganloom.load(tmp_path / "out"), weights.read(tmp_path / "latest_net_G_B.pth")
    x = inputs(1, 3, 24, 40).tanh()
    assert torch.equal(gan.translate(x, reverse=True), single.translate(x))
    assert not torch.equal(gan.translate(x), single.translate(x)) and single.cfg.net == "resnet"
    torch.save(state_of("resnet_9blocks"), tmp_path / "latest_net_G_B.pth")
    with pytest.raises(BadInput, match="blocks is 9 there and 6 here"):
        weights.read(tmp_path / "latest_net_G_A.pth")


def critic(channels: int, layers: int, norm: str) -> dict[str, torch.Tensor]:
    """A discriminator's table with that project's names and shapes; 0 layers: of pixels."""
    root, sizes, k = ("model", [4 * min(2**i, 8) for i in range(layers + 1)], 4) if layers else ("net", [4, 8], 1)
    shapes: dict[str, tuple[int, ...]] = {f"{root}.0.weight": (4, channels, k, k), f"{root}.0.bias": (4,)}
    for i, (inputs_, outputs) in enumerate(zip(sizes, sizes[1:], strict=False)):
        shapes[f"{root}.{2 + 3 * i}.weight"] = (outputs, inputs_, k, k)
        if norm == "instance":
            shapes[f"{root}.{2 + 3 * i}.bias"] = (outputs,)
        elif norm == "batch":
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{root}.{3 + 3 * i}.{part}"] = (outputs,)
    last = 3 * len(sizes) - 1
    shapes[f"{root}.{last}.weight"] = (1, sizes[-1], k, k)
    if layers or norm == "instance":
        shapes[f"{root}.{last}.bias"] = (1,)
    return made(shapes)


def judged(state: dict[str, torch.Tensor], x: torch.Tensor, layers: int) -> torch.Tensor:
    """What it says of images, computed from the table alone."""
    root = "model" if layers else "net"
    last = max(int(name.split(".")[1]) for name in state)
    for i in (0, *range(2, last + 1, 3)):
        stride = 2 if layers and i < 3 * layers - 1 else 1
        x = F.conv2d(x, state[f"{root}.{i}.weight"], state.get(f"{root}.{i}.bias"), stride, 1 if layers else 0)
        if i not in (0, last):
            norm = [state.get(f"{root}.{i + 1}.{part}") for part in ("running_mean", "running_var", "weight", "bias")]
            plain = f"{root}.{i}.bias" not in state
            x = F.batch_norm(x, *norm) if norm[0] is not None else x if plain else F.instance_norm(x)
        x = x if i == last else F.leaky_relu(x, 0.2)
    return x


@pytest.mark.parametrize(("layers", "norm"), [(3, "batch"), (1, "instance"), (4, "none"), (0, "batch")])
def test_discriminators_are_those_of_the_reference_code(layers: int, norm: str, tmp_path: Path) -> None:
    state = state_of("resnet_6blocks-batch" if norm == "batch" else "resnet_9blocks")
    if norm == "none":
        last = max(state, key=lambda name: int(name.split(".")[1]))
        state = {k: t for k, t in state.items() if k.endswith("weight") or k.split(".")[1] == last.split(".")[1]}
    torch.save(state, tmp_path / "latest_net_G.pth")
    table = critic(6, layers, norm)
    torch.save(table, tmp_path / "latest_net_D.pth")
    gan = weights.read(tmp_path / "latest_net_G.pth", tmp_path / "latest_net_D.pth")
    assert (gan.cfg.layers, gan.cfg.d_width, gan.cfg.norm) == (layers, 4, norm)
    x = inputs(2, 6, 64, 72).tanh()
    assert torch.allclose(gan.D(x), judged(table, x, layers), atol=1e-5)


def test_a_pair_of_discriminators(tmp_path: Path) -> None:
    state = state_of("resnet_9blocks")
    for side in "AB":
        torch.save(state, tmp_path / f"latest_net_G_{side}.pth")
    tables = {side: critic(3, 3, "instance") for side in "AB"}
    tables["B"] = {name: -t for name, t in tables["B"].items()}
    torch.save(tables["A"], tmp_path / "latest_net_D_A.pth")
    files = tmp_path / "latest_net_G_A.pth", tmp_path / "latest_net_D_A.pth"
    with pytest.raises(BadInput, match="D_B beside"):
        weights.read(*files)
    torch.save(tables["B"], tmp_path / "latest_net_D_B.pth")
    gan, x = weights.read(*files), inputs(2, 3, 64, 64).tanh()
    assert torch.allclose(gan.D["b"](x), judged(tables["A"], x, 3), atol=1e-5), "D_A judges what G_A makes"
    assert torch.allclose(gan.D["a"](x), judged(tables["B"], x, 3), atol=1e-5)
    torch.save(critic(4, 3, "instance"), tmp_path / "latest_net_D_A.pth")
    with pytest.raises(BadInput, match="looks at 4 channels"):
        weights.read(*files)


def test_faults_are_one_line(tmp_path: Path) -> None:
    state = state_of("resnet_9blocks")
    for change, said in {
        "less": "has no model.4.weight|not such a network|is incomplete",
        "more": "has parts that ganloom does not have: extra.weight",
        "critic": "discriminator",
        "other": "does not know",
    }.items():
        kept = dict(state)
        if change == "less":
            kept = {k: v for k, v in kept.items() if ".conv_block." not in k}
        elif change == "more":
            kept["extra.weight"] = torch.zeros(3)
        elif change == "critic":
            kept = {"model.0.weight": torch.zeros(8, 6, 4, 4), "model.0.bias": torch.zeros(8)}
        else:
            kept = {"conv.weight": torch.zeros(8, 6, 4, 4)}
        torch.save(kept, tmp_path / "x.pth")
        with pytest.raises(BadInput, match=said) as caught:
            weights.read(tmp_path / "x.pth")
        assert "\n" not in str(caught.value)
