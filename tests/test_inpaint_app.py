"""``ganloom inpaint`` and ``ganloom.inpaint``: sizes, types, masks, folders, and bad input."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import call
from PIL import Image

import ganloom
from ganloom.apps import inpaint_masks
from ganloom.apps.inpaint_models import folders
from ganloom.apps.inpaint_pixels import fill_pixels
from ganloom.core.errors import BadInput
from ganloom.imaging.png16 import read16, write16
from ganloom.recipes import lama


def model(**changes: Any) -> Any:
    """A model with random weights whose output differs from a smooth fill."""
    settings = {"shape": (3, 32, 32), "width": 8, "d_width": 4, "blocks": 1, "net": "gated"} | changes
    with torch.random.fork_rng():
        torch.manual_seed(0)
        gan = lama.Lama(lama.Config(**settings)).eval()
        if gan.cfg.fill != "none":
            torch.nn.init.normal_(gan.G.last.weight, std=0.05)
    return gan


def picture(height: int, width: int, channels: int, dtype: Any = np.uint8) -> np.ndarray:
    rng = np.random.default_rng(height + width)
    pixels = rng.integers(0, np.iinfo(dtype).max, (height, width, channels), endpoint=True).astype(dtype)
    return pixels


def box(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[height // 3 : height // 3 + 3, width // 4 : width // 4 + 5] = True
    return mask


MODELS = {
    "biharmonic": None,
    "residual": {"fill": "biharmonic"},
    "gated": {},
    "fourier": {"net": "ffc"},
    "grey": {"shape": (1, 32, 32)},
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    "channels, dtype", [(1, np.uint8), (2, np.uint16), (3, np.uint8), (4, np.uint8), (3, np.uint16)]
)
def test_known_pixels_are_kept_bit_for_bit(kind: str, channels: int, dtype: Any) -> None:
    changes = MODELS[kind]
    gan = None if changes is None else model(**changes)
    for height, width in ((21, 34), (5, 9)):
        pixels, mask = picture(height, width, channels, dtype), box(height, width)
        out, notes = fill_pixels(pixels, mask, gan)
        assert out.dtype == dtype and out.shape == pixels.shape and not notes
        assert np.array_equal(out[~mask], pixels[~mask])
        pixels[mask] = 7
        assert np.array_equal(fill_pixels(pixels, mask, gan)[0], out), "what is in the hole has an influence"


def test_kinds_of_images_in_python() -> None:
    pixels, mask = picture(20, 24, 3), box(20, 24)
    expected = ganloom.inpaint(pixels, mask, model="biharmonic")
    assert isinstance(expected, np.ndarray) and not np.array_equal(expected, pixels)
    image = ganloom.inpaint(Image.fromarray(pixels), Image.fromarray(mask), model="biharmonic")
    assert image.mode == "RGB" and np.array_equal(np.asarray(image), expected)
    for same in (
        mask.astype(np.uint8),
        mask.astype(np.uint8) * 255,
        mask.astype(np.float32),
        mask[..., None],
        mask * 1,
    ):
        assert np.array_equal(ganloom.inpaint(pixels, same, model="biharmonic"), expected)
    floats = ganloom.inpaint(pixels.astype(np.float64) / 255, mask, model="biharmonic")
    assert floats.dtype == np.float64 and np.abs(floats * 255 - expected).max() < 0.51
    assert np.array_equal(floats[~mask], (pixels / 255)[~mask]), "float64 has bits that the model does not use"
    grey = ganloom.inpaint(pixels[..., 0], mask, model=model())
    assert grey.shape == (20, 24) and np.array_equal(grey[~mask], pixels[..., 0][~mask])
    deep = Image.fromarray(picture(20, 24, 1, np.uint16)[..., 0])
    filled = np.asarray(ganloom.inpaint(deep, mask, model="biharmonic"))
    assert filled.dtype == np.uint16
    wide = Image.fromarray(np.asarray(deep).astype(np.int32))  # mode I
    assert np.array_equal(np.asarray(ganloom.inpaint(wide, mask, model="biharmonic")), filled)
    with_alpha = np.dstack([pixels, np.where(mask, 0, 255).astype(np.uint8)])
    opaque = ganloom.inpaint(with_alpha, "alpha", model="biharmonic")
    assert np.array_equal(opaque[..., :3], expected) and (opaque[..., 3] == 255).all()
    coloured = pixels.copy()
    coloured[mask] = (255, 0, 128)
    assert np.array_equal(ganloom.inpaint(coloured, "colour:ff0080", model="biharmonic"), expected)


@pytest.mark.parametrize(
    "image, mask, message",
    [
        (picture(8, 8, 3), box(8, 9), "has 9 x 8 pixels and the image 8 x 8"),
        (picture(8, 8, 3), np.zeros((8, 8), bool), "is empty: there is nothing to fill"),
        (picture(8, 8, 3), np.ones((8, 8), bool), "covers the whole image"),
        (picture(8, 8, 3)[0, 0], box(8, 8), "must be .H, W. or .H, W, 1 to 4."),
        (picture(8, 8, 3).astype(np.float32), box(8, 8), r"values must be in \[0, 1\]"),
        (picture(8, 8, 3), "alpha", "the image has none"),
        (picture(8, 8, 3), "nowhere.png", "there is no file nowhere.png"),
        (picture(8, 8, 3), "colour:102030", "is empty"),
        (Image.new("F", (8, 8), 0.5), box(8, 8), "the image is a PIL image of mode F, whose white is unknown"),
        (Image.new("I", (8, 8), 70_000), box(8, 8), "the image is a PIL image of mode I"),
    ],
)
def test_bad_arguments_in_python(image: Any, mask: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        ganloom.inpaint(image, mask, model="biharmonic")


def test_grow_is_a_whole_number() -> None:
    with pytest.raises(BadInput, match="--grow must be a whole number of at least 0 pixels, got 1.5"):
        ganloom.inpaint(picture(8, 8, 3), box(8, 8), grow=1.5, model="biharmonic")  # type: ignore[arg-type]


def test_models_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLOOM_WEIGHTS", str(tmp_path))
    pixels, mask = picture(16, 16, 3), box(16, 16)
    with pytest.raises(BadInput, match=r"no package on PyPI holds these weights.*big-lama/models/best\.ckpt"):
        ganloom.inpaint(pixels, mask, model="big-lama")
    assert folders()[0] == tmp_path
    gan = model(net="ffc")
    place = tmp_path / "big-lama" / "models" / "best.ckpt"
    place.parent.mkdir(parents=True)
    torch.save({"state_dict": {f"generator.{k}": v for k, v in gan.G.state_dict().items()}}, place)
    expected = ganloom.inpaint(pixels, mask, model=gan)
    assert np.array_equal(ganloom.inpaint(pixels, mask, model="big-lama"), expected)
    assert np.array_equal(ganloom.inpaint(pixels, mask, model=place), expected)
    with pytest.raises(BadInput, match='did you mean "biharmonic"'):
        ganloom.inpaint(pixels, mask, model="biharmonc")


@pytest.mark.parametrize("kind", ["gated", "residual"])
def test_tiles_equal_the_whole(kind: str) -> None:
    gan = model(**MODELS[kind])
    pixels, mask = picture(150, 170, 3), np.zeros((150, 170), bool)
    mask[20:130, 30:150] = True
    whole, _ = fill_pixels(pixels, mask, gan)
    tiled, notes = fill_pixels(pixels, mask, gan, memory=2.0)
    assert np.abs(whole.astype(int) - tiled).max() <= 1 and not notes


def test_a_model_that_sees_everything_gets_a_smaller_image() -> None:
    pixels, mask = picture(150, 170, 3), np.zeros((150, 170), bool)
    mask[20:130, 30:150] = True
    out, notes = fill_pixels(pixels, mask, model(net="ffc"), memory=2.0)
    assert np.array_equal(out[~mask], pixels[~mask]) and len(notes) == 1 and "to fit into --memory" in notes[0]


def test_rules_hold_for_floats_and_bytes_alike() -> None:
    shades = np.random.default_rng(0).integers(0, 256, (12, 10, 4), dtype=np.uint8)
    shades[2, 3, :3] = (255, 0, 128)
    floats = (shades / 255).astype(np.float32)
    for rule in ("alpha", "colour:FF0080"):
        hole = inpaint_masks.by_rule(rule, shades)
        assert hole[2, 3] if rule != "alpha" else hole.any()
        assert np.array_equal(inpaint_masks.by_rule(rule, floats), hole)
    filled = ganloom.inpaint(floats, "colour:FF0080", model="biharmonic")
    assert filled.dtype == np.float32 and np.array_equal(filled[:2], floats[:2])


def test_masks_of_any_kind() -> None:
    white = np.full((2, 3, 4), 255, np.uint8)
    white[0, :, 3] = 0
    assert inpaint_masks.of_pixels(white).tolist() == [[False] * 3, [True] * 3]
    assert inpaint_masks.of_pixels(np.array([[[127], [128]]], np.uint8)).tolist() == [[False, True]]
    mask = np.zeros((5, 6), bool)
    mask[2, 3] = True
    assert inpaint_masks.grown(mask, 1).sum() == 9 and inpaint_masks.grown(mask, 100).all()
    assert inpaint_masks.grown(mask, 0).sum() == 1


# ------------------------------------------------------------------------------------------------------- the command


def saved(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).save(path)
    return path


def mask_image(height: int, width: int) -> np.ndarray:
    return box(height, width).astype(np.uint8) * 255


def test_command_on_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = picture(20, 24, 3)
    image, mask = saved(tmp_path / "in.png", pixels), saved(tmp_path / "mask.png", mask_image(20, 24))
    options = ("--model", "biharmonic")
    code, out, _ = call(capsys, "inpaint", image, mask, tmp_path / "out.png", *options)
    assert code == 0 and f"wrote {tmp_path / 'out.png'}" in out
    assert np.array_equal(
        np.asarray(Image.open(tmp_path / "out.png")), ganloom.inpaint(image, mask, model="biharmonic")
    )
    before = (tmp_path / "out.png").read_bytes()
    code, _, err = call(capsys, "inpaint", image, mask, tmp_path / "out.png", *options, "--grow", "2")
    assert code == 2 and "already exists" in err and (tmp_path / "out.png").read_bytes() == before
    code, out, _ = call(capsys, "inpaint", image, mask, tmp_path / "out.png", *options, "--overwrite", "--json")
    assert code == 0 and json.loads(out)["files"] == [str(tmp_path / "out.png")]
    for target in (image, mask):
        code, _, err = call(capsys, "inpaint", image, mask, target, *options, "--overwrite")
        assert code == 2 and "is one of the inputs" in err
    assert np.array_equal(np.asarray(Image.open(image)), pixels)


def test_sixteen_bits_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = picture(20, 24, 3, np.uint16) >> 4  # a camera of 12 bits
    write16(pixels, tmp_path / "deep.png")
    mask = saved(tmp_path / "mask.png", mask_image(20, 24))
    assert call(capsys, "inpaint", tmp_path / "deep.png", mask, tmp_path / "o.png", "--model", "biharmonic")[0] == 0
    out = read16((tmp_path / "o.png").read_bytes())
    assert out is not None and np.array_equal(out[~box(20, 24)], pixels[~box(20, 24)]) and out.max() < 4096


def test_folder_with_the_names_of_lama(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    for name in ("image1", "image2", "alone"):
        saved(folder / f"{name}.png", picture(20, 24, 3))
    for name in ("image1_mask001", "image1_mask002", "lost_mask001"):
        saved(folder / f"{name}.png", mask_image(20, 24))
    saved(folder / "image2_mask001.png", mask_image(20, 25))
    whole = (folder / "image1.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    saved(folder / "cut_mask001.png", mask_image(20, 24))
    (folder / "text.png").write_text("hello")
    code, out, err = call(capsys, "inpaint", folder, tmp_path / "out", "--model", "biharmonic")
    assert code == 0 and "wrote 2 images" in out
    assert sorted(p.name for p in (tmp_path / "out").glob("*.png")) == ["image1_mask001.png", "image1_mask002.png"]
    lines = [line for line in err.splitlines() if line.startswith("left out")]
    for name, reason in (("image2.png", "24 x 20"), ("alone.png", "no mask"), ("lost_mask001.png", "no image"),
                         ("cut.png", "damaged"), ("text.png", "")):  # fmt: skip
        assert any(name in line and reason in line for line in lines), (name, lines)
    code, _, err = call(capsys, "inpaint", folder, tmp_path / "out", "--model", "biharmonic")
    assert code == 2 and "not an empty folder" in err


def test_folders_of_equal_names_and_one_mask_for_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        saved(tmp_path / "images" / f"{name}.png", picture(20, 24, 3))
        saved(tmp_path / "masks" / f"{name}.png", mask_image(20, 24))
    code, out, _ = call(
        capsys, "inpaint", tmp_path / "images", tmp_path / "masks", tmp_path / "o", "--model", "biharmonic"
    )
    assert code == 0 and sorted(p.name for p in (tmp_path / "o").glob("*.png")) == ["a.png", "b.png"]
    mask = tmp_path / "masks" / "a.png"
    code, out, _ = call(capsys, "inpaint", tmp_path / "images", mask, tmp_path / "p", "--model", "biharmonic")
    assert code == 0 and "wrote 2 images" in out


def test_frames_that_are_not_used_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [Image.fromarray(picture(20, 24, 3) // (i + 1)) for i in range(2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    saved(tmp_path / "mask.png", mask_image(20, 24))
    files = tmp_path / "a.gif", tmp_path / "mask.png", tmp_path / "o.png"
    code, out, err = call(capsys, "inpaint", *files, "--model", "biharmonic")
    assert code == 0 and "only the first is used" in out + err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("in.png", "mask.png"), "OUT is missing"),
        (("none.png", "mask.png", "o.png"), "there is no image or folder"),
        (("in.png", "none.png", "o.png"), "there is no image or folder"),
        (("in.png", "text.png", "o.png"), "text.png"),
        (("text.png", "mask.png", "o.png"), "text.png"),
        (("in.png", "mask.png", "o.jpg"), "must end in .png"),
        (("in.png", "mask.png", "o.png", "--memory", "0"), "--memory must be above 0"),
        (("in.png", "mask.png", "o.png", "--grow", "-1"), "--grow must be a whole number of at least 0"),
        (("in.png", "mask.png", "o.png", "--model", "text.png"), "text.png"),
        (("in.png", "empty", "o.png"), "no images in the folder"),
        (("in.png", "in.png", "o.png"), "is the image itself"),
        (("in.png", "colour:fg0000", "o.png"), "six hex digits"),
        (("in.png", "color:fff", "o.png"), "six hex digits"),
        (("in.png", "colour:010203", "o.png"), "the mask colour:010203 is empty"),
    ],
)
def test_bad_arguments(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    saved(Path("in.png"), picture(20, 24, 3))
    saved(Path("mask.png"), mask_image(20, 24))
    Path("text.png").write_text("hello")
    Path("empty").mkdir()
    model_given = () if "--model" in arguments else ("--model", "biharmonic")
    code, _, err = call(capsys, "inpaint", *arguments, *model_given)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "in.png", "mask.png", "text.png"]


def test_the_inpainter_of_the_package() -> None:
    from ganloom.apps.inpaint_models import SHIPPED, shipped

    together = sum(path.stat().st_size for path in SHIPPED.parent.glob("*.safetensors"))
    assert together < 3_000_000 and SHIPPED.with_suffix(".md").is_file()
    gan = shipped()
    assert gan.cfg.fill == "biharmonic" and gan.cfg.shape[0] == 3 and not gan.training
    y, x = np.mgrid[:60, :80] / 9
    pixels = np.stack([np.sin(x) * np.cos(y), np.sin(x + y), np.cos(x)], -1) * 100 + 128
    pixels, mask = pixels.astype(np.uint8), np.zeros((60, 80), bool)
    mask[20:34, 30:48] = True
    out = ganloom.inpaint(pixels, mask)
    smooth = ganloom.inpaint(pixels, mask, model="biharmonic")
    assert np.array_equal(out[~mask], pixels[~mask])
    error, smooth_error = (np.abs(a.astype(int) - pixels)[mask].mean() for a in (out, smooth))
    assert not np.array_equal(out, smooth) and error < 1.5 * smooth_error + 2, "it corrects a smooth fill"
