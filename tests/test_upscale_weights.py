"""Published upscalers: every layout loads by itself, and computes what the reference implementations compute."""

import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from made_weights import made
from torch import Tensor

from ganloom import weights
from ganloom.core.errors import BadInput
from ganloom.networks.restore import Compact, MSRResNet, RRDBNet
from ganloom.weights import basicsr, ncnn

State = dict[str, Tensor]
REFERENCE: dict[str, tuple[Callable[[], torch.nn.Module], int, int, int, list[float], float]] = {
    "RealESRGAN_x4plus": (
        RRDBNet, 4, 702, 16697987, [-0.092299, 1.115537, -3.585806, -1.684407, -1.834689], -0.897377),
    "RealESRGAN_x2plus": (
        lambda: RRDBNet(unshuffle=2), 2, 702, 16703171, [-0.688688, -2.66595, -0.36041, -0.472047, 0.283282], -0.599154),
    "six blocks, x1": (
        lambda: RRDBNet(blocks=6, unshuffle=4), 1, 192, 4493699,
        [0.024852, 0.018894, 0.117244, 0.101315, -0.091106], 0.000642),
    "RealESRGAN_x4plus_anime_6B": (
        lambda: RRDBNet(blocks=6), 4, 192, 4467779, [-0.102009, 0.022881, 0.136065, 0.123607, 0.251989], 0.100693),
    "realesr-general-x4v3": (
        lambda: Compact(convs=32), 4, 101, 1213296, [0.678741, -0.018145, 0.556184, 0.93827, 0.737687], 0.51387),
    "realesr-animevideov3": (
        Compact, 4, 53, 621424, [0.685798, 0.028909, 0.602329, 0.778709, 0.82668], 0.512117),
    "MSRResNet_x4": (MSRResNet, 4, 74, 1517571, [0.818507, 0.176048, 0.589948, 0.866516, 0.664813], 0.55201),
    "MSRResNet_x3": (
        lambda: MSRResNet(scale=3), 3, 72, 1554499, [0.831395, 0.459829, 0.368169, 0.517451, 0.710142], 0.607958),
    "MSRResNet_x2": (
        lambda: MSRResNet(scale=2), 2, 72, 1369859, [0.826754, 0.784781, 0.254094, 0.812047, 0.366423], 0.592762),
}  # fmt: skip
"""Network, scale, tensors, parameters; five outputs and the mean that BasicSR 1.4.2 computes with the weights of ``filled``."""


def filled(net: torch.nn.Module) -> State:
    """Weights that a generator decides, in the order of the names."""
    rng, state = torch.Generator().manual_seed(0), {}
    for name, tensor in sorted(net.state_dict().items()):
        value = torch.rand(tuple(tensor.shape), generator=rng, dtype=torch.float64) * 2 - 1
        state[name] = (value * ((1.5 / (tensor.shape[1] * 9)) ** 0.5 if tensor.dim() == 4 else 0.1)).float()
    return state


def image() -> Tensor:
    return torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", REFERENCE)
def test_outputs_are_those_of_the_reference(name: str, tmp_path: Path) -> None:
    build, scale, tensors, parameters, expected, mean = REFERENCE[name]
    with torch.device("meta"):
        net = build()
    state = filled(net)
    assert (len(state), sum(t.numel() for t in state.values())) == (tensors, parameters)
    file = tmp_path / f"{name}.pth"
    torch.save({"params": {k: torch.zeros_like(t) for k, t in state.items()}, "params_ema": state}, file)
    loaded = basicsr.upscaler_of(weights.network_in(file))
    y = loaded(image())
    assert loaded.scale == scale and y.shape == (1, 3, 8 * scale, 8 * scale)
    step = max(1, y.numel() // 5)
    assert y.flatten()[::step][:5].tolist() == pytest.approx(expected, abs=1e-4)
    assert float(y.mean()) == pytest.approx(mean, abs=1e-4)


def first_version(state: State) -> State:
    """The names of ESRGAN's first version."""
    blocks = 1 + max(int(m[1]) for name in state if (m := re.match(r"body\.(\d+)", name)))
    plain = {"conv_first": "model.0", "conv_body": f"model.1.sub.{blocks}", "conv_up1": "model.3", "conv_up2": "model.6",
             "conv_hr": "model.8", "conv_last": "model.10"}  # fmt: skip
    renamed = {}
    for name, tensor in state.items():
        layer, kind = name.rsplit(".", 1)
        if m := re.match(r"body\.(\d+)\.rdb(\d)\.conv(\d)", layer):
            renamed[f"model.1.sub.{m[1]}.RDB{m[2]}.conv{m[3]}.0.{kind}"] = tensor
        else:
            renamed[f"{plain[layer]}.{kind}"] = tensor
    return renamed


def second_version(state: State) -> State:
    """The names of ESRGAN's second version, RealSR and BSRGAN."""
    pairs = (("conv_body", "trunk_conv"), ("conv_up", "upconv"), ("conv_hr", "HRconv"))
    renamed = {}
    for name, tensor in state.items():
        name = re.sub(r"^body\.(\d+)\.rdb(\d)", r"RRDB_trunk.\1.RDB\2", name)
        for new, old in pairs:
            name = name.replace(new, old)
        renamed[name] = tensor
    return renamed


@pytest.mark.parametrize("names", [first_version, second_version])
def test_older_names_of_esrgan(names: Callable[[State], State], tmp_path: Path) -> None:
    net = RRDBNet(width=16, blocks=2, growth=8).eval()
    torch.save(names(net.state_dict()), tmp_path / "RRDB_ESRGAN_x4.pth")
    loaded = basicsr.upscaler_of(weights.network_in(tmp_path / "RRDB_ESRGAN_x4.pth"))
    assert torch.allclose(loaded(image()), net(image()), atol=1e-5)


def test_an_upscaler_is_imported_as_a_recipe(tmp_path: Path) -> None:
    net = Compact(width=8, convs=2, scale=2).eval()
    torch.save({"params": net.state_dict()}, tmp_path / "small.pth")
    gan = weights.read(tmp_path / "small.pth")
    x = image() * 2 - 1
    assert torch.allclose(gan.generate(c=x), (net(image()) * 2 - 1).clamp(-1, 1), atol=1e-5)


def published_critic(width: int = 64) -> State:
    """The names and shapes of RealESRGAN_x4plus_netD.pth, filled."""
    shapes: dict[str, tuple[int, ...]] = {"conv0.weight": (width, 3, 3, 3), "conv0.bias": (width,)}
    channels = [width, 2 * width, 4 * width, 8 * width, 4 * width, 2 * width, width, width, width]
    for i in range(1, 9):
        kernel = 4 if i < 4 else 3
        shapes[f"conv{i}.weight_orig"] = (channels[i], channels[i - 1], kernel, kernel)
    return made(shapes | {"conv9.weight": (1, width, 3, 3), "conv9.bias": (1,)})


@pytest.mark.parametrize("names", ["x4plus", "x2plus", "x4plus_anime_6B"])
def test_a_published_discriminator_loads_strict(names: str, tmp_path: Path) -> None:
    """Real-ESRGAN's own UNetDiscriminatorSN computed the figures, in eval mode, of the image in [0, 1]."""
    unshuffle, blocks = (2, 1) if names == "x2plus" else (1, 1)
    net = RRDBNet(width=8, blocks=blocks, growth=4, unshuffle=unshuffle)
    torch.save({"params_ema": net.state_dict()}, tmp_path / f"RealESRGAN_{names}.pth")
    state = published_critic()
    vectors = {name: tuple(t.shape) for name, t in state.items() if name.endswith(("_u", "_v"))}
    assert len(state) == 28 and vectors["conv1.weight_u"] == (128,) and vectors["conv3.weight_v"] == (4096,)
    torch.save({"params": state}, tmp_path / f"RealESRGAN_{names}_netD.pth")
    gan = weights.read(tmp_path / f"RealESRGAN_{names}.pth", tmp_path / f"RealESRGAN_{names}_netD.pth").eval()
    assert gan.cfg.d_width == 64 and sum(p.numel() for p in gan.D.parameters()) == 4376897
    logits = gan.D(torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1)
    assert logits.shape == (1, 1, 16, 24)
    assert logits.flatten()[::77].tolist() == pytest.approx(
        [-0.081711, -0.056808, -0.218805, -0.057649, -0.039128], abs=1e-4
    )
    state.pop("conv5.weight_u")
    torch.save({"params": state}, tmp_path / "broken.pth")
    with pytest.raises(BadInput, match=r"conv5\.weight_u"):
        weights.read(tmp_path / f"RealESRGAN_{names}.pth", tmp_path / "broken.pth")


def test_what_no_upscaler_is_gets_one_line(tmp_path: Path) -> None:
    state = Compact(width=8, convs=2, scale=2).state_dict()
    relu = {name: t for name, t in state.items() if t.dim() != 1 or "bias" in name}
    extra = state | {"body.1.more": torch.zeros(3)}
    odd = state | {"body.6.weight": torch.zeros(7, 8, 3, 3), "body.6.bias": torch.zeros(7)}
    missing = {name: t for name, t in state.items() if name != "body.2.bias"}
    for number, broken in enumerate((relu, extra, odd, missing)):
        file = tmp_path / f"{number}.pth"
        torch.save(broken, file)
        with pytest.raises(BadInput, match=rf"{number}\.pth|do not fit") as error:
            basicsr.upscaler_of(weights.network_in(file))
        assert "\n" not in str(error.value)


# ---------------------------------------------------------------------------------------------------------------- ncnn


def flat(layer: torch.nn.Conv2d, half: bool = True) -> bytes:
    """A convolution in .bin."""
    weight = layer.weight.detach().numpy()
    flag = struct.pack("<I", ncnn.FLOAT16 if half else 0)
    body = weight.astype("<f2" if half else "<f4").tobytes()
    return flag + body + b"\0" * (-len(body) % 4) + layer.bias.detach().numpy().astype("<f4").tobytes()


def compact_in_ncnn(folder: Path, net: Compact, half: bool = True, factor: float | None = None) -> Path:
    """Write a compact network as .param and .bin."""
    rows, data, blob = ["Input in 0 1 data", "Split s 1 2 data a b"], b"", "a"
    for i, layer in enumerate(net.body):
        if isinstance(layer, torch.nn.Conv2d):
            rows.append(f"Convolution c{i} 1 1 {blob} x{i} 0={layer.out_channels} 1=3 4=1 5=1 6={layer.weight.numel()}")
            data += flat(layer, half)
        else:
            rows.append(f"PReLU p{i} 1 1 {blob} x{i} 0={layer.weight.numel()}")
            data += layer.weight.detach().numpy().astype("<f4").tobytes()
        blob = f"x{i}"
    rows += [f"PixelShuffle ps 1 1 {blob} y 0={net.scale}", f"Interp up 1 1 b base 0=1 1={net.scale}.0 2={net.scale}.0",
             "BinaryOp add 2 1 y base out"]  # fmt: skip
    if factor is not None:
        rows.append(f"Interp last 1 1 out end 0=3 1={factor:e} 2={factor:e}")
    (folder / "net.param").write_text("\n".join(["7767517", f"{len(rows)} {len(rows)}", *rows, ""]))
    (folder / "net.bin").write_bytes(data)
    return folder / "net.param"


def test_ncnn_files_of_a_compact_network(tmp_path: Path) -> None:
    net = Compact(width=8, convs=2).eval()
    exact = ncnn.upscaler_of(compact_in_ncnn(tmp_path, net, half=False))
    assert torch.allclose(exact(image()), net(image()), atol=1e-6)
    halved = ncnn.upscaler_of(compact_in_ncnn(tmp_path, net, factor=0.5).with_suffix(".bin"))
    expected = torch.nn.functional.interpolate(net(image()), scale_factor=0.5, mode="bicubic")
    assert halved.scale == 2 and torch.allclose(halved(image()), expected, atol=2e-3)


def test_ncnn_files_that_cannot_be_read(tmp_path: Path) -> None:
    net = Compact(width=8, convs=2).eval()
    param = compact_in_ncnn(tmp_path, net)
    text, data = param.read_text(), param.with_suffix(".bin").read_bytes()
    broken = {
        "ends at": (text, data[:-8]),
        "belong together": (text, data + b"\0" * 4),
        "flag": (text, struct.pack("<I", 0x000D4B38) + data[4:]),
        "layer Softmax": (text.replace("BinaryOp add", "Softmax add"), data),
        "not a sum": (text.replace("y base out", "y base out 0=2"), data),
        "first line": ("7767516" + text[7:], data),
        "announces": (text.replace("\n12 12\n", "\n13 13\n"), data),
        "differs": (text.replace("0=1 1=4.0 2=4.0", "0=2 1=4.0 2=4.0"), data),
        "3 x 3": (text.replace("1=3 4=1", "1=5 4=1", 1), data),
    }
    for message, (graph, content) in broken.items():
        param.write_text(graph)
        param.with_suffix(".bin").write_bytes(content)
        with pytest.raises(BadInput, match=message) as error:
            ncnn.upscaler_of(param)
        assert "\n" not in str(error.value)
    param.with_suffix(".bin").unlink()
    with pytest.raises(BadInput, match=r"net\.bin beside it"):
        ncnn.upscaler_of(param)


def test_random_damage_of_ncnn_files_gives_one_line(tmp_path: Path) -> None:
    param = compact_in_ncnn(tmp_path, Compact(width=4, convs=1).eval())
    text, rng = param.read_text(), np.random.default_rng(0)
    for _ in range(60):
        letters = list(text)
        for at in rng.integers(0, len(letters), 2):
            letters[at] = chr(rng.integers(32, 127))
        param.write_text("".join(letters))
        try:
            ncnn.upscaler_of(param)
        except BadInput as error:
            assert "\n" not in str(error)
