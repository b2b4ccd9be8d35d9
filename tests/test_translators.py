"""Translators: networks of any size, pools, what ``translate`` promises, and runs on pairs and on two domains."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import nn

import ganloom
from ganloom import testing
from ganloom.apps.sample import write_samples
from ganloom.bench.step import flops
from ganloom.cli import main
from ganloom.core import config as configs
from ganloom.core.errors import BadInput
from ganloom.gan import Batch, kind_of_inputs
from ganloom.imaging import png16
from ganloom.networks import tiling
from ganloom.networks.translators import InstanceNorm, PatchGAN, ResNet, patch_layers, reflect_to, through
from ganloom.networks.unet import UNet
from ganloom.nn.image_pool import Pool
from ganloom.recipes import cut, cyclegan, pix2pix

TRANSLATORS = [n for n, module in ganloom.RECIPES.items() if kind_of_inputs(module.MODEL) in ("pairs", "domains")]


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_sizes_of_the_papers_networks() -> None:
    """Parameters as the authors' programs print them: 54.4 M, 41.8 M (U-Nets), 11.38 M, 7.84 M, 2.77 M (D on 6 channels)."""
    assert count(UNet(3, 3, 8, 64)) == 54_413_955 and count(UNet(3, 3, 7, 64)) == 41_828_995
    assert round(count(ResNet(3, 3, 9, 64)) / 1e6, 2) == 11.38 and round(count(ResNet(3, 3, 6, 64)) / 1e6, 2) == 7.84
    assert round(count(PatchGAN(6)) / 1e6, 2) == 2.77


def test_a_patch_is_70_pixels() -> None:
    net = PatchGAN(1, 4, norm="none").eval()
    x = torch.zeros(1, 1, 140, 140, requires_grad=True)
    logits = net(x)
    nn.init.ones_(net.body[0].weight)
    logits = net(x)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    rows = x.grad[0, 0].abs().sum(1).nonzero()
    assert int(rows.max() - rows.min()) + 1 == 70
    assert PatchGAN(3, 4, 0)(torch.zeros(2, 3, 9, 7)).shape == (2, 1, 9, 7)
    assert patch_layers(256, 256) == 3 and patch_layers(16, 40) == 2 and patch_layers(4, 4) == 0


@pytest.mark.parametrize("size", [(1, 1), (5, 70), (33, 64), (100, 31)])
@pytest.mark.parametrize(
    "net", [UNet(3, 2, 5, 4, norm="instance"), ResNet(3, 2, 1, 4), ResNet(3, 2, 1, 4, antialias=True)]
)
def test_any_size_comes_back(net: nn.Module, size: tuple[int, int]) -> None:
    y = through(net, torch.rand(2, 3, *size))
    assert y.shape == (2, 2, *size) and bool(y.isfinite().all())


def test_reflection_is_torchs_and_goes_on_beyond_it() -> None:
    x = torch.rand(1, 2, 6, 7)
    assert torch.equal(reflect_to(x, 10, 13), torch.nn.functional.pad(x, (3, 3, 2, 2), "reflect"))
    assert reflect_to(x, 64, 64).shape == (1, 2, 64, 64)
    assert torch.equal(reflect_to(x, 6, 7), x)


def test_instance_norm_is_torchs() -> None:
    x = torch.randn(2, 3, 8, 9) * 3 + 1
    assert torch.allclose(InstanceNorm()(x), nn.InstanceNorm2d(3)(x), atol=1e-6)


def test_the_pool_fills_then_exchanges() -> None:
    pool = Pool(4, (1, 1, 1))
    fakes = torch.arange(1.0, 9.0).view(8, 1, 1, 1)
    assert torch.equal(pool.mix(fakes[:4], torch.ones(4, 2)), fakes[:4]) and int(pool.count) == 4
    shown = pool.mix(fakes[4:6], torch.tensor([[0.9, 0.3], [0.2, 0.0]]))
    assert shown.flatten().tolist() == [2.0, 6.0], "one goes in for the second, the other is shown as it is"
    assert sorted(pool.bits.view(torch.float32).flatten().tolist()) == [1.0, 3.0, 4.0, 5.0]
    pool.push(fakes[:3])
    pool.push(fakes[3:4])
    assert torch.equal(pool.pull(4), fakes[:4]) and pool.pull(1) is None
    assert torch.equal(Pool(0, (1, 1, 1)).mix(fakes, torch.ones(8, 2)), fakes)


def test_d_sees_the_fakes_that_g_made_in_this_step() -> None:
    run = testing.trainer("cyclegan")
    gan, seen = run.gan, []
    handle = gan.D["b"].register_forward_pre_hook(lambda m, args: seen.append(args[0].detach().clone()))
    run.train_step()
    handle.remove()
    in_g, real, in_d = seen
    assert torch.equal(in_g[:6], in_d[:6]) and not torch.equal(real, in_d), (
        "the pool is filling, so D's fakes are G's own"
    )
    assert not gan.pool_b._waiting and int(gan.pool_b.count) == 6


def test_cyclegan_losses_by_hand() -> None:
    gan = testing.build("cyclegan", (3, 16, 16), identity=0.5)
    gan.direct = gan.back = lambda x: x * 0.5
    batch = ganloom.Batch(torch.full((2, 3, 16, 16), 0.8), y=torch.full((2, 3, 16, 16), -0.4))
    terms = gan.g_loss(batch)
    assert float(terms["cycle"]) == pytest.approx(10 * 0.75 * 1.2, rel=1e-5)
    assert float(terms["identity"]) == pytest.approx(5 * 0.5 * 1.2, rel=1e-5)


def test_pix2pix_losses_by_hand() -> None:
    gan = testing.build("pix2pix", (1, 16, 16))
    gan.direct = lambda x: x * 0 + 0.25
    gan.D.forward = lambda x, c: torch.zeros(4, 1, 2, 2)
    batch = ganloom.Batch(torch.zeros(4, 1, 16, 16), c=torch.ones(4, 1, 16, 16))
    assert float(gan.d_loss(batch)["adv"]) == pytest.approx(np.log(2)), "2 ln 2, halved"
    terms = gan.g_loss(batch)
    assert float(terms["adv"]) == pytest.approx(np.log(2)) and float(terms["l1"]) == pytest.approx(25)


def test_jitter_cuts_pairs_at_one_place() -> None:
    gan = testing.build("pix2pix", (1, 16, 16), jitter=1.5)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (8, 16, 16, 1), dtype=np.uint8)
    data = ganloom.data.open((x, x), inputs="pairs")
    batch = gan.draw(data, ganloom.core.randomness.Rng(0))
    assert batch.x.shape == (8, 1, 16, 16) and torch.equal(batch.x, batch.c) and float(batch.x.abs().max()) <= 1
    gan = testing.build("cyclegan", (1, 16, 16), jitter=1.5)
    other = gan.draw(data, ganloom.core.randomness.Rng(0))
    assert not torch.equal(other.x, other.y)


@pytest.mark.parametrize("name", TRANSLATORS)
def test_translate_is_deterministic_and_pure(name: str) -> None:
    run = testing.trainer(name, (3, 16, 16))
    run.train_step()
    gan, x = run.gan, torch.rand(2, 3, 21, 34) * 2 - 1
    before = {k: v.clone() for k, v in gan.state_dict().items()}
    modes = [m.training for m in gan.modules()]
    y = gan.translate(x)
    torch.rand(3)
    assert y.shape == x.shape and y.dtype == torch.float32 and torch.equal(y, gan.translate(x))
    assert torch.allclose(gan.translate(x[:1]), y[:1], atol=1e-5), "an image does not depend on its neighbours"
    assert torch.equal(gan.generate(c=x[:, :, :16, :16]), gan.translate(x[:, :, :16, :16]))
    gan.translate(x, stochastic=True)
    assert modes == [m.training for m in gan.modules()]
    assert all(torch.equal(v, before[k]) for k, v in gan.state_dict().items())
    with pytest.raises(BadInput, match=r"images \(N, 3, H, W\)"):
        gan.translate(x[:, :1])
    with pytest.raises(BadInput, match="pass them as c="):
        gan.generate(2)


def test_pix2pix_as_the_paper_draws_it() -> None:
    gan = testing.build("pix2pix", (3, 64, 64)).eval()
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    a, b = gan.translate(x, stochastic=True, seed=1), gan.translate(x, stochastic=True, seed=2)
    assert not torch.equal(a, b) and torch.equal(a, gan.translate(x, stochastic=True, seed=1))
    off = gan.translate(x)
    assert not torch.equal(a, off) and torch.equal(off, gan.translate(x, seed=5))


def test_runs_on_pairs_and_on_domains(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (24, 16, 16, c), dtype=np.uint8) for c in (1, 3))
    run = ganloom.train("pix2pix", (a, b), tmp_path / "p", total_kimg=0.04, width=4, d_width=4, batch_size=4, judge=8)
    gan = run.load()
    assert gan.cfg.in_channels == 1 and gan.cfg.shape == (3, 16, 16)
    assert (tmp_path / "p" / "samples" / "reals.png").exists()
    assert ganloom.resume(tmp_path / "p", total_kimg=0.06).load().translate(torch.zeros(1, 1, 30, 20)).shape == (
        1,
        3,
        30,
        20,
    )
    written = write_samples(tmp_path / "p", n=3, out=tmp_path / "made")
    assert len(written.files) == 3 and written.grid.exists()
    assert "translate" in (tmp_path / "p" / "model" / "README.md").read_text()
    with pytest.raises(BadInput, match="translate .* IN OUT"):
        write_samples(tmp_path / "p" / "model")
    with pytest.raises(BadInput, match="learns from pairs"):
        ganloom.train("pix2pix", "unpaired-fashion", tmp_path / "q")
    with pytest.raises(BadInput, match="has no input images"):
        ganloom.train("cyclegan", "fashion-10k", tmp_path / "q")
    small = {"width": 4, "d_width": 4, "blocks": 1, "batch_size": 4, "total_kimg": 0.02, "judge": 0}
    run = ganloom.train("cyclegan", "unpaired-fashion", tmp_path / "c", **small)
    assert run.load().translate(torch.zeros(1, 3, 28, 28), reverse=True).shape == (1, 3, 28, 28)


def test_faults_of_config() -> None:
    for make, text in (
        (lambda: cyclegan.Config(in_channels=1), "--identity must be 0"), (lambda: cyclegan.Config(norm="layer"), "--norm"),
        (lambda: pix2pix.Config(jitter=0.5), "--jitter"), (lambda: pix2pix.Config(layers=9), "--layers"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=text):
            make()


# ------------------------------------------------------------------------------------------------ bands and the command


WAYS = {
    "pix2pix": {"levels": 5}, "pix2pix-instance": {"levels": 4, "norm": "instance"},
    "pix2pix-resnet": {"net": "resnet", "norm": "batch"}, "cyclegan": {}, "cut": {}, "cut-plain": {"antialias": False},
    "unit": {}, "unit-released": {"variant": "released"},
}  # fmt: skip


def lively(gan: ganloom.GAN) -> ganloom.GAN:
    """In eval mode, its weights so large that all of a network shows in its output."""
    for module in gan.G.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, 0.8)
    return gan.eval()


@pytest.mark.parametrize("case", WAYS)
def test_bands_give_what_the_whole_gives(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gan = lively(testing.build(case.split("-")[0], (3, 32, 32), **WAYS[case]))
    x = torch.rand(1, 3, 331, 207) * 2 - 1
    x[..., :100] *= 0.2  # statistics that no band has by itself
    heights: list[int] = []
    kept = tiling._Bands.parts
    monkeypatch.setattr(
        tiling._Bands,
        "parts",
        lambda self, s, cost=0: (heights.append(b - a) or (a, b) for a, b in kept(self, s, cost)),
    )
    for reverse in (False, True)[: 1 + gan.both_ways]:
        whole = gan.translate(x, reverse=reverse)
        for memory in (0.3, 2.0):
            heights.clear()
            parts = gan.translate(x, reverse=reverse, memory=memory)
            assert parts.shape == whole.shape and float((parts - whole).abs().max()) < 1e-4
            assert heights[0] < 331 / 2, "no bands"
        assert float(whole.std()) > 0.01
    heights.clear()
    assert torch.equal(gan.translate(x, memory=1e4), gan.translate(x)) and not heights


def test_bands_with_what_is_drawn() -> None:
    """Dropout is drawn once a pixel and BatchNorm takes the whole image's statistics."""
    gan = lively(testing.build("pix2pix", (3, 64, 64), levels=6))
    x = torch.rand(1, 3, 128, 192) * 2 - 1
    a, b = (gan.translate(x, stochastic=True, seed=seed, memory=0.3) for seed in (1, 2))
    assert not torch.equal(a, b) and torch.equal(a, gan.translate(x, stochastic=True, seed=1, memory=0.3))
    for module in gan.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    whole, parts = (gan.translate(x, stochastic=True, memory=memory) for memory in (None, 0.3))
    assert float((whole - parts).abs().max()) < 1e-4 and float((whole - gan.translate(x)).abs().max()) > 1e-3


def test_a_network_of_unknown_layers_goes_whole() -> None:
    gan = testing.build("cyclegan", (3, 32, 32)).eval()
    assert tiling.supported(gan.G["ab"]) and tiling.supported(testing.build("unit", variant="released").way())
    for layer in (
        nn.GELU(), nn.Conv2d(4, 4, (3, 5)), nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
        nn.ReflectionPad2d((1, 0, 0, 0)), nn.Conv2d(4, 4, 3, dilation=2), nn.ConvTranspose2d(4, 4, 3, groups=2),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(4, 4, 3, padding="same"),
    ):  # fmt: skip
        assert not tiling.supported(nn.Sequential(layer)), layer
    gan.G["ab"].body[3] = nn.GELU()
    assert not tiling.supported(gan.G["ab"]) and tiling.supported(gan.G["ba"])
    x = torch.rand(1, 3, 40, 40)
    assert torch.equal(gan.translate(x, memory=0.01), gan.translate(x))


MEASURE = """
import resource, sys
import torch
from ganloom.apps.translate import translate_files
torch.set_num_threads(1)
run, source, out, memory = sys.argv[1:]
translate_files(run, source, out, memory=float(memory))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def translated(folder: Path, name: str, memory: float) -> tuple[np.ndarray, float]:
    """What a process of its own makes of ``folder``/in.png within ``memory`` MiB, and the MiB that it had at most."""
    out = folder / f"{name}.png"
    call = [sys.executable, "-c", MEASURE, str(folder / "run"), str(folder / f"{name}.in.png"), str(out), str(memory)]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with Image.open(out) as image:
        return np.asarray(image).astype(int), float(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["pix2pix", "cyclegan", "cut", "unit", "unit-released"])
def test_a_large_image_at_the_papers_widths(case: str, tmp_path: Path) -> None:
    """1,531 x 967 pixels, whole and in bands: the same image to 2 of 255, in less memory."""
    name = case.split("-")[0]
    module = ganloom.RECIPES[name]
    options = {k: v for k, v in WAYS[case].items() if k != "levels"}
    gan = lively(module.MODEL(module.Config(**options, d_width=4, **({"layers": 1} if "unit" in case else {}))))
    rng = np.random.default_rng(0)
    (tmp_path / "run").mkdir()
    config = {"format": 1, "recipe": name, "config": configs.to_dict(gan.cfg)}
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    safetensors.torch.save_file(
        {k: v.contiguous() for k, v in gan.state_dict().items()}, tmp_path / "run" / "G.safetensors"
    )
    coarse = Image.fromarray(rng.integers(0, 256, (30, 48, 3), dtype=np.uint8))
    for which, size in (("small", (64, 64)), ("whole", (1531, 967)), ("parts", (1531, 967))):
        coarse.resize(size, Image.Resampling.BICUBIC).save(tmp_path / f"{which}.in.png")
    _, floor = translated(tmp_path, "small", 1e6)
    whole, most = translated(tmp_path, "whole", 1e6)
    parts, least = translated(tmp_path, "parts", 256)
    print(f"{case}: whole {most - floor:.0f} MiB above {floor:.0f}, in bands of 256 MiB {least - floor:.0f}")
    assert whole.shape == parts.shape == (967, 1531, 3) and whole.std() > 3
    assert np.abs(whole - parts).max() <= 2
    assert least - floor < 2 * 256 < most - floor, "the features' 256, and the image itself several times"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {"width": 4, "d_width": 4, "blocks": 1, "batch_size": 4, "total_kimg": 0.02, "judge": 0}
    run = ganloom.train("cyclegan", "unpaired-fashion", tmp_path / "c", **small)
    rng = np.random.default_rng(0)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    deep = rng.integers(0, 65536, (33, 50, 4), dtype=np.uint16)
    png16.write16(deep, tmp_path / "in" / "deep" / "a.png")
    Image.fromarray(rng.integers(0, 256, (20, 41), dtype=np.uint8)).save(tmp_path / "in" / "grey.jpg")
    (tmp_path / "in" / "broken.png").write_bytes(b"no")

    def call(*args: str) -> int:
        with pytest.raises(SystemExit) as stopped:
            main(["translate", *args])
        return int(stopped.value.code or 0)

    assert call(str(run.path), str(tmp_path / "in"), str(tmp_path / "out"), "--compare", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["files"]) == 2 and told["bad"][0][0].endswith("broken.png") and Path(told["sheet"]).exists()
    made = png16.read16((tmp_path / "out" / "deep" / "a.png").read_bytes())
    assert made is not None and made.shape == deep.shape and np.array_equal(made[..., 3], deep[..., 3])
    x = torch.from_numpy(deep[..., :3].astype(np.float32) / 65535 * 2 - 1).permute(2, 0, 1)[None]
    y = (run.load().translate(x)[0].permute(1, 2, 0) + 1) * 32767.5
    assert np.abs(made[..., :3] - y.numpy()).max() < 2
    with Image.open(tmp_path / "out" / "grey.png") as image:
        assert image.size == (41, 20) and image.mode == "RGB"
    assert call(str(run.path), str(tmp_path / "in" / "grey.jpg"), str(tmp_path / "one.png"), "--reverse") == 0
    for args, said in {
        (str(run.path), str(tmp_path / "in"), str(tmp_path / "out")): "not an empty folder",
        (str(run.path), str(tmp_path / "none"), str(tmp_path / "b")): "there is no image or folder",
        (str(run.path), str(tmp_path / "in" / "broken.png"), str(tmp_path / "b.png")): "not an image",
    }.items():
        capsys.readouterr()
        assert call(*args) == 2 and said in capsys.readouterr().err


@torch.no_grad()
def test_cut_contrast_knows_the_place() -> None:
    torch.manual_seed(0)
    gan = testing.build("cut", (3, 32, 32), patches=16)
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    seen = gan.features(x)
    same, other = float(gan.contrast(seen, x, None).mean()), float(gan.contrast(seen, x.roll(11, 3), None).mean())
    assert same < other, "a place is more like itself than like its neighbours"
    flips = torch.ones(2, 1, 1, 1, dtype=torch.bool)
    left, back = float(gan.contrast(seen, x.flip(3), None).mean()), float(gan.contrast(seen, x.flip(3), flips).mean())
    assert back < left, "mirrored back, the places are nearly the same again (strides of 2 have a side)"
    fast = testing.build("cut", (3, 32, 32), fast=True, nce=10.0)
    assert set(fast.g_loss(ganloom.Batch(x, y=x))) == {"adv", "nce"}
    assert set(gan.g_loss(ganloom.Batch(x, y=x))) == {"adv", "nce", "nce_same"}


def test_cut_starts_as_the_authors_program() -> None:
    """Xavier weights with gain 0.02 in G, D and the projection heads: 0.02 * sqrt(2 / (inputs + outputs)), biases 0."""
    torch.manual_seed(0)
    gan = cut.CUT(cut.Config())
    for head, channels in zip(gan.heads, (3, 128, 256, 256, 256), strict=True):
        first, last = head[0], head[2]
        assert first.weight.shape == (256, channels)
        assert float(first.weight.detach().std()) == pytest.approx(0.02 * (2 / (channels + 256)) ** 0.5, rel=0.1)
        assert float(last.weight.detach().std()) == pytest.approx(0.00125, rel=0.02)
        assert not first.bias.any() and not last.bias.any()
    convolution = next(m for m in gan.D.modules() if isinstance(m, nn.Conv2d))
    fans = 16 * (convolution.in_channels + convolution.out_channels)
    assert float(convolution.weight.detach().std()) == pytest.approx(0.02 * (2 / fans) ** 0.5, rel=0.1)


# ------------------------------------------------------------------------------------------------ one pass, two updates


@pytest.mark.parametrize("name", ["pix2pix", "cut"])
def test_g_runs_once_for_both_updates_of_a_step(name: str) -> None:
    """D's phase keeps the fakes with their graph: G's update has the gradients that fakes made anew would give."""
    module = ganloom.RECIPES[name]
    torch.manual_seed(0)
    given = {"dropout": False, "norm": "instance"} if name == "pix2pix" else {"blocks": 1}
    gan = module.MODEL(module.Config((3, 16, 16), width=4, d_width=4, batch_size=2, **given)).requires_grad_(False)
    batch = Batch(*(torch.rand(2, 3, 16, 16) * 2 - 1 for _ in range(3)))
    calls: list[int] = []
    gan.G.register_forward_pre_hook(lambda *a: calls.append(1))

    def gradients() -> list[torch.Tensor]:
        gan.G.requires_grad_(True)
        torch.manual_seed(1)
        total = torch.stack([v for v in gan.g_loss(batch).values() if v.requires_grad]).sum()
        found = torch.autograd.grad(total, list(gan.G.parameters()), allow_unused=True)
        gan.G.requires_grad_(False)
        return [torch.zeros(()) if g is None else g for g in found]

    plain, alone = gradients(), len(calls)
    calls.clear()
    gan.D.requires_grad_(True)
    d_loss = gan.d_loss(batch)["adv"]
    assert torch.autograd.grad(d_loss, list(gan.D.parameters())) and not any(
        p.requires_grad for p in gan.G.parameters()
    )
    gan.D.requires_grad_(False)
    copy.deepcopy(gan)
    once = gradients()
    assert len(calls) == alone, "D's phase made the fakes, G's did not make them again"
    assert all(torch.equal(a, b) for a, b in zip(plain, once, strict=True))
    again = gradients()
    assert len(calls) == 2 * alone and all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))

    gan.d_loss(batch)  # a G that has moved since makes its fakes anew
    with torch.no_grad():
        for parameter in gan.G.parameters():
            parameter.mul_(1.5)
        gan.finish_update(next(p for p in gan.phases() if p.net.startswith("G")))  # as the Trainer does
    calls.clear()
    moved = gradients()
    assert len(calls) == alone and not all(torch.equal(a, b) for a, b in zip(plain, moved, strict=True))


def test_cut_computes_at_most_seven_tenths_of_cyclegan() -> None:
    """At the papers' networks, 9 blocks each; seconds are `ganloom bench step --recipe cyclegan cut`'s to say."""
    found = {}
    for name in ("cyclegan", "cut"):
        module = ganloom.RECIPES[name]
        torch.manual_seed(0)
        gan = module.MODEL(module.Config((3, 64, 64), blocks=9))
        batch = Batch(torch.rand(1, 3, 64, 64), None, torch.rand(1, 3, 64, 64))

        def step(gan: ganloom.GAN = gan, batch: Batch = batch) -> None:
            for phase in gan.phases():
                gan.requires_grad_(False)
                for net in phase.net.split():
                    getattr(gan, net).requires_grad_(True)
                torch.stack([v for v in phase.loss(batch).values() if v.requires_grad]).sum().backward()

        found[name] = flops.count(step).total
    assert found["cut"] <= 0.7 * found["cyclegan"], found["cut"] / found["cyclegan"]
