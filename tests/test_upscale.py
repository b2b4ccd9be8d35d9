"""ganloom upscale: tiles equal the whole image, every kind of image, folders with bad files, models by name."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import call
from PIL import Image

import ganloom
from ganloom.apps import upscale_models
from ganloom.apps.upscale import upscale_files, upscale_pixels
from ganloom.apps.upscale_models import Model, open_model
from ganloom.core.errors import BadInput, MissingExtra
from ganloom.imaging.damage import damage_of
from ganloom.imaging.png16 import read16, write16
from ganloom.networks import restore, tiles
from ganloom.networks.restore import Compact, MSRResNet, RRDBNet


def photograph(height: int = 40, width: int = 52, channels: int = 3, kind: type = np.uint8) -> np.ndarray:
    """A smooth picture with edges."""
    y, x = np.mgrid[:height, :width]
    planes = [np.sin(x / (3 + i)) + np.cos(y / (5 - i)) + (x + y > 40 + 7 * i) for i in range(channels)]
    values = np.stack(planes, 2)
    values = (values - values.min()) / max(float(values.max() - values.min()), 1e-9)
    top = np.iinfo(kind).max
    return (values * top).astype(kind)


def sharp_model(scale: int = 4) -> Model:
    """A network whose output depends on all of its reach: large weights, no zero biases."""
    torch.manual_seed(0)
    net = Compact(width=8, convs=3, scale=scale)
    with torch.no_grad():
        net.body[-1].weight.mul_(10)
    return Model("random", net.eval().requires_grad_(False))


NETS = {
    "compact": lambda: Compact(width=8, convs=3),
    "compact on bicubic, x2": lambda: Compact(width=8, convs=0, scale=2, base="bicubic"),
    "resnet": lambda: MSRResNet(width=8, blocks=2),
    "rrdb": lambda: RRDBNet(width=8, blocks=1, growth=4),
    "rrdb, x2": lambda: RRDBNet(width=8, blocks=1, growth=4, unshuffle=2),
    "rrdb, x1": lambda: RRDBNet(width=8, blocks=1, growth=4, unshuffle=4),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("size", [(130, 97), (41, 200)])
def test_tiles_give_the_result_of_the_whole_image(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net = NETS[name]().eval().requires_grad_(False)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(1.1)
    pixels = photograph(*size)
    calls: list[tuple[int, int]] = []
    whole = upscale_pixels(Model(name, net), pixels, net.scale, 1024)
    tiled = upscale_pixels(Model(name, net), pixels, net.scale, 32, each=lambda done, all: calls.append((done, all)))
    assert whole.shape == (size[0] * net.scale, size[1] * net.scale, 3)
    assert int(np.abs(whole.astype(int) - tiled.astype(int)).max()) <= 1
    assert calls[0][0] == 0 and calls[-1][0] == calls[-1][1] == tiles.count(*size, 32) > 1


def test_tiles_have_about_equal_sizes() -> None:
    for height, width, side in ((866, 1155, 456), (130, 97, 32), (8, 8, 512), (513, 40, 512)):
        boxes = list(tiles.boxes(height, width, side))
        assert len(boxes) == tiles.count(height, width, side)
        covered = np.zeros((height, width), int)
        for top, bottom, left, right in boxes:
            covered[top:bottom, left:right] += 1
            assert bottom - top <= side and right - left <= side and top % tiles.STEP == left % tiles.STEP == 0
        assert (covered == 1).all()
    assert max(bottom - top for top, bottom, _, _ in tiles.boxes(513, 40, 512)) == 264


@pytest.mark.parametrize("unshuffle", [1, 2, 4])
def test_strips_give_the_result_of_the_whole_tile(unshuffle: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net, shares = RRDBNet(width=8, blocks=2, growth=4, unshuffle=unshuffle).eval(), list[float]()
    x = torch.rand(1, 3, 44, 36)
    with torch.no_grad():
        whole = net(x)
        monkeypatch.setattr(restore, "STRIP", 60)
        parts = net(x, shares.append)
    assert torch.allclose(whole, parts, atol=1e-5) and shares == pytest.approx([1 / 3, 2 / 3])


def test_a_long_tile_reports_its_blocks() -> None:
    net, calls = RRDBNet(width=8, blocks=3, growth=4).eval(), list[float]()
    upscale_pixels(Model("rrdb", net), photograph(40, 40), 4, 1024, each=lambda done, all: calls.append(done))
    assert calls == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_a_margin_below_the_reach_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    model, pixels = sharp_model(), photograph(130, 97)
    monkeypatch.setattr(tiles, "margin_of", lambda net: 0)
    difference = upscale_pixels(model, pixels, 4, 32).astype(int) - upscale_pixels(model, pixels, 4, 1024)
    assert int(np.abs(difference).max()) > 1


def test_tiles_are_chosen_by_memory() -> None:
    large, small = RRDBNet(), Compact()
    assert tiles.margin_of(small) == 24 and tiles.margin_of(large) == tiles.MEASURED
    assert tiles.side_of(large) <= tiles.side_of(small) <= tiles.LARGEST
    assert tiles.side_of(large, 64 * 2**20) < tiles.side_of(large)
    assert tiles.side_of(large, 1) == tiles.SMALLEST


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("scale", [4, 2, 3.5, 1.0, 0.5, 6])
def test_any_kind_of_image_and_factor(channels: int, kind: type, scale: float) -> None:
    pixels = photograph(9, 13, channels, kind)
    result = upscale_pixels(open_model("compact", torch.device("cpu")), pixels, scale)
    assert result.dtype == kind and result.shape == (round(9 * scale), round(13 * scale), channels)
    means = pixels.mean((0, 1)) / np.iinfo(kind).max, result.mean((0, 1)) / np.iinfo(kind).max
    assert np.abs(means[0] - means[1]).max() < 0.06, "brightness and alpha are kept"


def test_the_function_keeps_the_kind_of_its_input(tmp_path: Path) -> None:
    pixels = photograph(10, 12)
    pil = ganloom.upscale(Image.fromarray(pixels), scale=2)
    assert isinstance(pil, Image.Image) and pil.size == (24, 20)
    assert ganloom.upscale(pixels).shape == (40, 48, 3)
    assert ganloom.upscale(pixels[..., 0]).shape == (40, 48)
    floats = ganloom.upscale(pixels / 255)
    assert floats.dtype == np.float64 and 0 <= floats.min() and floats.max() <= 1
    assert np.abs(floats * 255 - ganloom.upscale(pixels)).max() <= 1
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(ganloom.upscale(tmp_path / "a.png")), ganloom.upscale(pixels))
    assert ganloom.upscale(Image.fromarray(pixels).convert("P"), scale=2).mode == "RGB"
    for bad in (
        pixels.astype(np.int64),
        pixels / 100,
        pixels[None],
        np.zeros((0, 3, 3), np.uint8),
        tmp_path / "no.png",
    ):
        with pytest.raises(BadInput):
            ganloom.upscale(bad)


def test_a_folder_with_bad_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in"
    source.mkdir()
    Image.fromarray(photograph()).save(source / "a.jpg")
    Image.fromarray(photograph(1, 1)).save(source / "one.png")
    Image.fromarray(photograph(10, 10, 4)).save(source / "alpha.png")
    write16(photograph(11, 12, 3, np.uint16), source / "deep.png")
    whole = (source / "alpha.png").read_bytes()
    (source / "cut.png").write_bytes(whole[: len(whole) // 2])
    (source / "text.png").write_text("no image")
    out = tmp_path / "out"
    code, printed, errors = call(capsys, "upscale", source, out, "--compare", "--json", "--model", "compact")
    result = json.loads(printed)
    assert code == 0
    assert sorted(Path(f).name for f in result["files"]) == ["a.png", "alpha.png", "deep.png", "one.png"]
    assert {Path(name).name for name, _ in result["bad"]} == {"cut.png", "text.png"}
    assert errors.count("left out") == 2 and result["models"] == {"compact": 4}
    deep = read16((tmp_path / "out" / "deep.png").read_bytes())
    assert deep is not None and deep.shape == (44, 48, 3)
    with Image.open(out / "alpha.png") as alpha:
        assert alpha.mode == "RGBA"
    assert (tmp_path / "out" / "compare.png").is_file()
    before = (tmp_path / "out" / "a.png").read_bytes()
    assert call(capsys, "upscale", source, out)[0] == 2, "nothing is overwritten"
    (tmp_path / "out" / "one.png").unlink()
    again = upscale_files(source, tmp_path / "out", model="compact", skip_existing=True)
    assert [f.name for f in again.files] == ["one.png"] and len(again.skipped) == 3
    assert (tmp_path / "out" / "a.png").read_bytes() == before
    done = upscale_files(source, tmp_path / "out", model="compact", skip_existing=True, compare=True)
    assert len(done.skipped) == 4 and done.sheet is None, "a sheet that is not written is not named"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--scale", "0"], "--scale"),
        (["--scale", "nan"], "--scale"),
        (["--scale", "17"], "--scale"),
        (["--tile", "3"], "--tile"),
        (["--tile", "large"], "--tile"),
        (["--model", "x4pluss"], "did you mean"),
        (["--model", "nowhere.pth"], "nowhere.pth"),
        (["--denoise", "0.5"], "wdn"),
    ],
)
def test_bad_arguments_get_one_line(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(photograph()).save(tmp_path / "a.png")
    code, _, errors = call(capsys, "upscale", tmp_path / "a.png", tmp_path / "b.png", *flags)
    lines = [line for line in errors.splitlines() if line.startswith("error")]
    assert code == 2 and len(lines) == 1 and message in lines[0]
    assert not (tmp_path / "b.png").exists()


def test_denoise_mixes_a_network_with_its_partner(tmp_path: Path) -> None:
    x = torch.rand(1, 3, 6, 6)
    nets = [Compact(width=8, convs=1).eval() for _ in range(2)]
    for net, name in zip(nets, ("realesr-general-x4v3", "realesr-general-wdn-x4v3"), strict=True):
        torch.save({"params": net.state_dict()}, tmp_path / f"{name}.pth")
    file, cpu = tmp_path / "realesr-general-x4v3.pth", torch.device("cpu")
    for share in (1.0, 0.0, 0.25):
        mixed = {k: share * v + (1 - share) * nets[1].state_dict()[k] for k, v in nets[0].state_dict().items()}
        expected = Compact(width=8, convs=1)
        expected.load_state_dict(mixed)
        assert torch.allclose(open_model(file, cpu, share).net(x), expected(x), atol=1e-6)
    with pytest.raises(BadInput, match=r"0\.\.1"):
        open_model(file, cpu, 1.5)


def test_published_models_need_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upscale_models.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"ganloom\[upscale\]"):
        open_model("realsr", torch.device("cpu"))


def test_auto_says_what_it_chose_and_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clean = np.asarray(Image.fromarray(photograph(30, 40)).resize((320, 240), Image.Resampling.BICUBIC))
    noisy = np.clip(clean + rng.normal(0, 15, clean.shape), 0, 255).astype(np.uint8)
    textured = np.clip(clean + rng.normal(0, 6, clean.shape), 0, 255).astype(np.uint8)
    Image.fromarray(textured).save(tmp_path / "a.jpg", quality=40)
    with Image.open(tmp_path / "a.jpg") as file:
        blocks = np.asarray(file)
    assert not damage_of(clean).blocks and not damage_of(clean).noisy
    assert damage_of(noisy).noisy and not damage_of(noisy).blocks
    assert damage_of(blocks).blocks and damage_of(blocks[3:, 5:]).blocks
    assert damage_of((blocks.astype(np.uint16)) * 257) == pytest.approx(damage_of(blocks), abs=1e-3)
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    monkeypatch.setattr(upscale_models, "installed", lambda name: True)
    assert upscale_models.choose(clean, cpu).name == "realsr"
    assert upscale_models.choose(blocks, cpu).name == "x4plus" and "JPEG" in upscale_models.choose(blocks, cpu).why
    assert "noise" in upscale_models.choose(noisy, cpu).why
    large = np.tile(blocks, (5, 5, 1))
    assert upscale_models.choose(large, cpu).name == "animevideov3-x4"
    assert upscale_models.choose(large, gpu).name == "x4plus"
    monkeypatch.setattr(upscale_models, "installed", lambda name: False)
    choice = upscale_models.choose(blocks, cpu)
    assert choice.name == "compact" and "ganloom[upscale]" in choice.why


def test_an_interrupted_folder_keeps_what_is_done(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for i in range(3):
        Image.fromarray(photograph()).save(source / f"{i}.png")

    def stop(what: str, done: int, total: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_files(source, tmp_path / "out", model="compact", progress=stop)
    files = sorted(f.name for f in (tmp_path / "out").iterdir() if f.suffix == ".png")
    assert files and len(files) < 3
    done = upscale_files(source, tmp_path / "out", model="compact", skip_existing=True)
    assert len(done.files) + len(files) == 3
