"""UNIT: both variants, their losses by hand, what is shared; weights of the code that trains it with MUNIT."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from made_weights import inputs, made
from torch import Tensor, nn

import ganloom
from ganloom import testing, weights
from ganloom.cli import main
from ganloom.core.errors import BadInput
from ganloom.networks.unit import Critic, ImageNorm
from ganloom.recipes import unit


@pytest.mark.parametrize("check", list(testing.CHECKS))
def test_released(check: str, tmp_path: Path) -> None:
    """The conformance suite runs on the paper's variant: here is the other."""
    testing.CHECKS[check](lambda shape, classes: testing.build("unit", shape, variant="released"), tmp_path)


def test_sizes_of_the_codes_networks() -> None:
    """Parameters as both programs have them at their own widths (one domain's own and the shared ones; D of one domain)."""
    with torch.device("meta"):
        paper = unit.UNIT(unit.Config())
        released = unit.UNIT(unit.Config(variant="released", shape=(3, 256, 256)))
    block = 2 * (256 * 256 * 9 + 256)
    ends = (3 * 64 * 49 + 64) + (64 * 128 * 9 + 128) + (128 * 256 * 9 + 256)
    assert count(paper.G["encode"]["a"]) == ends + 3 * block and count(paper.G["encode"]["shared"]) == block
    assert count(paper.G["decode"]["b"]) == 3 * block + (256 * 128 + 128 * 64) * 9 + 192 + 64 * 3 + 3
    up = (256 * 128 + 128 * 64) * 25 + 192 * 3 + 64 * 3 * 49 + 3
    assert count(released.G["decode"]["a"]) == 4 * block + up and count(released.G["encode"]["shared"]) == 0
    assert [len(d.scales) for d in released.D.values()] == [3, 3] and [len(d.scales) for d in paper.D.values()] == [
        1,
        1,
    ]
    assert count(released.D["a"]) == 3 * sum(
        [3 * 64 * 16 + 64, 64 * 128 * 16 + 128, 128 * 256 * 16 + 256, 256 * 512 * 16 + 512, 513]
    )
    assert [len(net) for net in Critic((3, 256, 256), 4, 6, 1, released=False).scales] == [13]


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_losses_by_hand(variant: str) -> None:
    gan = testing.build("unit", (1, 16, 16), variant=variant)
    gan.encode = lambda x, side: x * {"a": 2.0, "b": 4.0}[side]
    gan.decode = lambda z, side: z * {"a": 0.5, "b": 0.25}[side]
    gan.sample_latents = lambda mean: mean + 0.4
    for critic in gan.D.values():
        critic.forward = lambda x: (torch.zeros(len(x), 1, 2, 2), torch.zeros(len(x), 1, 1, 1))
    a, b = -0.4, 0.8
    batch = ganloom.Batch(torch.full((2, 1, 16, 16), b), y=torch.full((2, 1, 16, 16), a))
    terms, w = gan.g_loss(batch), unit.WEIGHTS[variant]
    fake_b, fake_a = (2 * a + 0.4) / 4, (4 * b + 0.4) / 2
    chance = torch.log(torch.tensor(2.0)) if variant == "paper" else torch.tensor(1.0)
    wanted = {
        "adv": w.adv * 4 * float(chance),
        "recon": w.recon * (0.2 + 0.1),
        "kl": w.kl * (4 * a**2 + 16 * b**2),
        "cycle": w.cycle * (abs((4 * fake_b + 0.4) / 2 - a) + abs((2 * fake_a + 0.4) / 4 - b)),
        "cycle_kl": w.cycle_kl * (16 * fake_b**2 + 4 * fake_a**2),
    }
    assert {name: pytest.approx(value, rel=1e-5) for name, value in wanted.items()} == {
        name: float(value) for name, value in terms.items()
    }
    told = gan.d_loss(batch)
    d = 2 * float(chance) if variant == "paper" else 1.0
    assert float(told["adv_a"]) == pytest.approx(w.adv * 2 * d) and "logits_real_b" in told


def test_what_is_shared_is_one_layer() -> None:
    """Both ways of the paper go through the shared blocks; nothing of the later code's is shared."""
    x, seen = torch.rand(2, 1, 16, 16) * 2 - 1, list[str]()
    for variant in ("paper", "released"):
        gan = testing.build("unit", (1, 16, 16), variant=variant, blocks=2)
        assert count(gan.G["encode"]["shared"]) == count(gan.G["decode"]["shared"])
        assert bool(count(gan.G["encode"]["shared"])) == (variant == "paper")
        for name, module in gan.G.named_modules():
            if name.count(".") == 1:
                module.register_forward_hook(lambda m, args, out, name=name: seen.append(name))
        seen.clear()
        gan.direct(x)
        assert seen == ["encode.a", "encode.shared", "decode.shared", "decode.b"]
        seen.clear()
        gan.back(x)
        assert seen == ["encode.b", "encode.shared", "decode.shared", "decode.a"]
    torch.manual_seed(0)
    z = gan.sample_latents(torch.zeros(1, 32, 16, 16))
    assert abs(float(z.mean())) < 0.05 and abs(float(z.std()) - 1) < 0.05
    assert torch.allclose(gan.translate(x), gan.eval().decode(gan.encode(x, "a"), "b"), atol=1e-6)


def test_config() -> None:
    assert unit.Config(recon=5.0).weights == (10, 5, 0.1, 5, 0.1)
    assert unit.Config(variant="released", recon=5.0, cycle=2.0, adv=0.0).weights == (0, 5, 0.01, 2, 0.01)
    for make, text in (
        (lambda: unit.Config(shared=5), "--shared"), (lambda: unit.Config(scales=0), "--scales"),
        (lambda: unit.Config(layers=7), "--layers"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=text):
            make()


def test_norm_of_a_image() -> None:
    x, norm = torch.randn(3, 4, 6, 5) * 3 + 1, ImageNorm(4)
    gain = torch.tensor([1.0, 2.0, 0.5, -1.0])
    with torch.no_grad():
        norm.weight.copy_(gain)
        norm.bias.copy_(gain * 3)
    wanted = torch.stack([(one - one.mean()) / (one.std() + 1e-5) for one in x])
    assert torch.allclose(norm(x), (wanted + 3) * gain[:, None, None], atol=1e-5)


# ------------------------------------------------------------------------------------------- weights of the other code


class Theirs:
    """The other project's networks as functions of its table of weights, written from its layout."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state

    def conv(self, x: Tensor, name: str, stride: int, border: int) -> Tensor:
        x = F.pad(x, (border,) * 4, "reflect")
        return F.conv2d(x, self.state[f"{name}.conv.weight"], self.state[f"{name}.conv.bias"], stride)

    def block(self, x: Tensor, name: str) -> Tensor:
        y = F.relu(F.instance_norm(self.conv(x, f"{name}.model.0", 1, 1)))
        return x + F.instance_norm(self.conv(y, f"{name}.model.1", 1, 1))

    def encode(self, x: Tensor, blocks: int) -> Tensor:
        for i, (stride, border) in enumerate(((1, 3), (2, 1), (2, 1))):
            x = F.relu(F.instance_norm(self.conv(x, f"enc.model.{i}", stride, border)))
        for i in range(blocks):
            x = self.block(x, f"enc.model.3.model.{i}")
        return x

    def decode(self, z: Tensor, blocks: int) -> Tensor:
        for i in range(blocks):
            z = self.block(z, f"dec.model.0.model.{i}")
        for i in (2, 4):
            y = self.conv(F.interpolate(z, scale_factor=2.0), f"dec.model.{i}", 1, 2)
            flat = y.flatten(1)
            y = (y - flat.mean(1)[:, None, None, None]) / (flat.std(1)[:, None, None, None] + 1e-5)
            gain, bias = (self.state[f"dec.model.{i}.norm.{name}"].view(1, -1, 1, 1) for name in ("gamma", "beta"))
            z = F.relu(y * gain + bias)
        return self.conv(z, "dec.model.5", 1, 3).tanh()

    def judge(self, x: Tensor, layers: int, scales: int) -> list[Tensor]:
        found = []
        for scale in range(scales):
            y = x
            for i in range(layers):
                y = F.leaky_relu(self.conv(y, f"cnns.{scale}.{i}", 2, 1), 0.2)
            found.append(F.conv2d(y, *(self.state[f"cnns.{scale}.{layers}.{end}"] for end in ("weight", "bias"))))
            x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return found


def generator(channels: int, width: int, blocks: int, old: bool = False) -> dict[str, Tensor]:
    """A table with that project's names and shapes; ``old``: with the statistics that its early versions kept."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, outputs: int, inputs: int, size: int, instance: bool = True) -> None:
        shapes[f"{name}.conv.weight"], shapes[f"{name}.conv.bias"] = (outputs, inputs, size, size), (outputs,)
        if old and instance:
            shapes[f"{name}.norm.running_mean"] = shapes[f"{name}.norm.running_var"] = (outputs,)

    inner = 4 * width
    conv("enc.model.0", width, channels, 7)
    conv("enc.model.1", 2 * width, width, 4)
    conv("enc.model.2", inner, 2 * width, 4)
    for i in range(blocks):
        for j in range(2):
            conv(f"enc.model.3.model.{i}.model.{j}", inner, inner, 3)
            conv(f"dec.model.0.model.{i}.model.{j}", inner, inner, 3)
    for i, outputs in ((2, 2 * width), (4, width)):
        conv(f"dec.model.{i}", outputs, 2 * outputs, 5, instance=False)
        shapes[f"dec.model.{i}.norm.gamma"] = shapes[f"dec.model.{i}.norm.beta"] = (outputs,)
    conv("dec.model.5", channels, width, 7, instance=False)
    return made(shapes)


def critic(channels: int, width: int, layers: int, scales: int) -> dict[str, Tensor]:
    shapes: dict[str, tuple[int, ...]] = {}
    for scale in range(scales):
        for i in range(layers):
            inputs = width * 2 ** (i - 1) if i else channels
            shapes[f"cnns.{scale}.{i}.conv.weight"] = (width * 2**i, inputs, 4, 4)
            shapes[f"cnns.{scale}.{i}.conv.bias"] = (width * 2**i,)
        shapes[f"cnns.{scale}.{layers}.weight"] = (1, width * 2 ** (layers - 1), 1, 1)
        shapes[f"cnns.{scale}.{layers}.bias"] = (1,)
    return made(shapes)


@pytest.mark.parametrize(("channels", "blocks", "old"), [((3, 3), 4, False), ((1, 3), 2, True)])
def test_outputs_are_those_of_the_other_code(
    channels: tuple[int, int], blocks: int, old: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = {side: generator(n, 8, blocks, old) for side, n in zip("ab", channels, strict=True)}
    tables["b"] = {name: -t if name.endswith("weight") else t for name, t in tables["b"].items()}
    torch.save(tables, tmp_path / "gen_00500000.pt")
    with pytest.raises(SystemExit) as stopped:
        main(["import", str(tmp_path / "gen_00500000.pt"), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert not stopped.value.code and said.startswith("unit of 3x256x256: G read") and "ganloom translate" in said
    gan = ganloom.load(tmp_path / "out")
    assert gan.cfg.variant == "released" and (gan.cfg.width, gan.cfg.blocks, gan.cfg.in_channels) == (
        8,
        blocks,
        channels[0],
    )
    a, b = Theirs(tables["a"]), Theirs(tables["b"])
    x, y = inputs(2, channels[0], 32, 40).tanh(), inputs(2, channels[1], 32, 40).tanh()
    with torch.no_grad():
        there, back = b.decode(a.encode(x, blocks), blocks), a.decode(b.encode(y, blocks), blocks)
        assert torch.allclose(gan.translate(x), there, atol=1e-5) and float(there.std()) > 0.05
        assert torch.allclose(gan.translate(y, reverse=True), back, atol=1e-5)


@pytest.mark.parametrize(("layers", "scales"), [(4, 3), (3, 2)])
def test_discriminators_are_those_of_the_other_code(layers: int, scales: int, tmp_path: Path) -> None:
    torch.save({side: generator(3, 4, 1) for side in "ab"}, tmp_path / "gen.pt")
    tables = {side: critic(3, 4, layers, scales) for side in "ab"}
    torch.save(tables, tmp_path / "dis.pt")
    gan, x = weights.read(tmp_path / "gen.pt", tmp_path / "dis.pt"), inputs(2, 3, 64, 80).tanh()
    assert (gan.cfg.layers, gan.cfg.scales, gan.cfg.d_width, gan.cfg.width) == (layers, scales, 4, 4)
    for ours, theirs in zip(gan.D["b"](x), Theirs(tables["b"]).judge(x, layers, scales), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    alone = weights.read(tmp_path / "dis.pt")
    assert torch.equal(alone.D["a"](x)[0], gan.D["a"](x)[0])


def test_faults_are_one_line(tmp_path: Path) -> None:
    whole = {side: generator(3, 4, 2) for side in "ab"}
    style = {"enc_content.model.0.conv.weight": torch.zeros(4, 3, 7, 7)}
    for tables, said in (
        ({"a": whole["a"], "b": generator(3, 4, 1)}, "blocks is 2 in its part a and 1 in b"),
        (
            {"a": whole["a"], "b": {k: v for k, v in whole["b"].items() if "dec.model.5" not in k}},
            "has no b.dec.model.5",
        ),
        ({"a": whole["a"] | {"more.weight": torch.zeros(2)}, "b": whole["b"]}, "has parts .*a.more.weight"),
        ({"a": style, "b": style}, "of MUNIT"),
        ({"a": whole["a"]}, "a layout that ganloom does not know"),
        ({"a": {}, "b": {}}, "holds no table of weights"),
        ({side: critic(3, 2, 6, 3) for side in "ab"}, "6 halvings on 3 scales"),
    ):
        torch.save(tables, tmp_path / "x.pt")
        with pytest.raises(BadInput, match=said) as caught:
            weights.read(tmp_path / "x.pt")
        assert "\n" not in str(caught.value)
