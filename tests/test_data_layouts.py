"""Image-to-image data among plain images: recognised, proposed, and opened when both sides have equal names."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ganloom import data
from ganloom.apps import plan as plans
from ganloom.cli import data as data_command
from ganloom.core.errors import BadInput
from ganloom.core.randomness import Rng
from ganloom.data import translation_layout


def drawing(seed: int, size: tuple[int, int] = (32, 32)) -> Image.Image:
    """An image of a few coloured shapes."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(rng.integers(0, 255, 3).tolist()))
    for _ in range(6):
        x, y = rng.integers(0, size[0]), rng.integers(0, size[1])
        ImageDraw.Draw(image).ellipse([x, y, x + 8, y + 8], fill=tuple(rng.integers(0, 255, 3).tolist()))
    return image


def fill(folder: Path, n: int = 6, start: int = 0, size: tuple[int, int] = (32, 32)) -> None:
    folder.mkdir(parents=True)
    for i in range(start, start + n):
        drawing(i, size).save(folder / f"{i}.png")


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    whole = Image.new("RGB", (left.width + right.width, left.height))
    whole.paste(left, (0, 0))
    whole.paste(right, (left.width, 0))
    return whole


def layout(root: Path, name: str) -> None:
    """Build one of the layouts in a folder."""
    if name == "trainA trainB":
        for side, start in (("trainA", 0), ("trainB", 50), ("testA", 70), ("testB", 80)):
            fill(root / side, start=start)
    elif name == "A B of other sizes":
        fill(root / "A")
        fill(root / "B", size=(40, 32))
    elif name == "train/A train/B":
        for side in ("train/A", "train/B", "test/A", "test/B"):
            fill(root / side)
    elif name == "in a folder":
        fill(root / "set" / "A")
        fill(root / "set" / "B")
    elif name == "beside a cover":
        for side in ("A", "B"):
            fill(root / side)
        drawing(9).save(root / "cover.png")
    else:
        for side in name.split():
            fill(root / side)


RECIPES = {
    "trainA trainB": "cyclegan", "A B of other sizes": "cyclegan", "A B": "pix2pix", "train/A train/B": "pix2pix",
    "in a folder": "pix2pix", "input target": "pix2pix", "images masks": "pix2pix",
    "train_a train_b val_a": "pix2pix", "beside a cover": "pix2pix",
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_two_sides_are_proposed_and_are_no_classes(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "d"
    layout(root, name)
    report = data.check(root)
    path = str(root / "set") if name == "in a folder" else str(root)
    if name in ("input target", "images masks", "train_a train_b val_a"):
        path = ",".join(str(root / side) for side in name.split()[:2])
    assert report.classes is None and report.translation == (RECIPES[name], path)
    assert any(f"ganloom train {RECIPES[name]} {path}" in note for note in report.notes)
    kind = "pairs" if RECIPES[name] == "pix2pix" else "domains"
    opened = data.open(path, inputs=kind, cache=False)
    assert opened.paired is (kind == "pairs"), "the proposed recipe can open the proposed path"
    data_command.run(["check", str(root)])
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"next: ganloom train {RECIPES[name]} {path}  ")
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for file in sorted(root.rglob("*.png")):
            archive.write(file, file.relative_to(tmp_path))
    zipped = data.check(tmp_path / "d.zip")
    assert zipped.classes is None and zipped.translation is None
    assert any("unpack the archive" in note for note in zipped.notes)


@pytest.mark.parametrize("folders", ["A B C", "cat dog", "a b"])
def test_folders_that_are_classes(tmp_path: Path, folders: str) -> None:
    layout(tmp_path / "d", folders)
    report = data.check(tmp_path / "d")
    assert report.translation is None and report.classes == {name: 6 for name in folders.split()}


def inverted(image: Image.Image) -> Image.Image:
    return Image.fromarray(255 - np.asarray(image))


SIDE_BY_SIDE = {
    "inverted": (lambda i: beside(drawing(i), inverted(drawing(i))), True),
    "grey": (lambda i: beside(drawing(i).convert("L").convert("RGB"), drawing(i)), True),
    "few colours": (lambda i: beside(drawing(i, (48, 32)), drawing(i, (48, 32)).quantize(4).convert("RGB")), True),
    "unrelated": (lambda i: beside(drawing(i), drawing(i + 40)), False),
    "panoramas": (lambda i: drawing(i, (64, 32)), False),
    "two alike": (lambda i: beside(drawing(1), drawing(1)) if i == 0 else beside(drawing(i), drawing(i + 9)), False),
    "portraits": (lambda i: drawing(i, (32, 64)), False),
}


@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_images_side_by_side_are_recognised(tmp_path: Path, name: str) -> None:
    image, are_pairs = SIDE_BY_SIDE[name]
    for i in range(8):
        image(i).save(tmp_path / f"{i}.png")
    found = translation_layout.of_path(str(tmp_path))
    assert (found is not None) is are_pairs
    report = data.check(tmp_path)
    assert report.translation == (("pix2pix", str(tmp_path)) if are_pairs else None)
    assert any("side by side" in note for note in report.notes) is are_pairs


def test_plan_proposes_the_recipe(tmp_path: Path) -> None:
    layout(tmp_path / "d", "A B")
    assert plans._for_translation(str(tmp_path / "d"), "default")[:2] == (str(tmp_path / "d"), "pix2pix")
    assert plans._for_translation(str(tmp_path / "d"), "cyclegan")[1] == "cyclegan", "a recipe that is named stays"
    assert plans._for_translation("fashion-10k", "default")[1] == "default"
    fill(tmp_path / "other", size=(40, 32))
    two = f"{tmp_path / 'd/A'},{tmp_path / 'other'}"
    assert plans._for_translation(two, "default")[:2] == (two, "cyclegan")
    with pytest.raises(BadInput, match="two folders.*ganloom train cyclegan"):
        data.check(two)


@pytest.mark.parametrize("size", [(32, 32), (40, 32)])
def test_two_domains_of_equal_names(tmp_path: Path, size: tuple[int, int]) -> None:
    fill(tmp_path / "one")
    fill(tmp_path / "two", size=size)
    d = data.open(f"{tmp_path / 'one'},{tmp_path / 'two'}", inputs="domains", shape=(3, 16, 16), cache=False)
    known = size == (32, 32)
    assert isinstance(d, data.Domains) and d.paired is known and len(d) == len(d.inputs) == 6
    assert [("known pairs" in note, "drawn independently" in note) for note in d.notes] == [(True, True)] * known
    batch = d.unpaired().draw(4, Rng(0))
    assert batch.c is None and batch.x.shape == batch.y.shape == (4, 3, 16, 16)
