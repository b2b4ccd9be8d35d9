"""The sizes that recipes get from images without a common size: `data check` says them, `--small` keeps them small."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import call
from PIL import Image

from ganloom import data, recipes
from ganloom.api import prepare
from ganloom.apps.recipe_shapes import recipe_shapes, shape_lines

OTHER_DATA = ("pix2pix", "cyclegan", "unit", "cut", "gan-cls", "df-gan", "gan3d")
"""Recipes that need pairs, two domains, captions or volumes."""
RANDOM = np.random.default_rng(0)


def photos(root: Path, *sizes: tuple[int, int]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for i, (width, height) in enumerate(sizes):
        Image.fromarray(RANDOM.integers(0, 256, (height, width, 3), np.uint8)).save(root / f"{i}.png")
    return root


@pytest.mark.parametrize("name", ["fastgan", "projected-gan"])
@pytest.mark.parametrize(
    ("sizes", "side"),
    [(((64, 64), (64, 64)), 64), (((48, 48), (48, 48)), 48), (((90, 80), (300, 200)), 64), (((300, 300),), 64)],
)
def test_small_follows_the_size_of_the_data(tmp_path: Path, name: str, sizes: tuple, side: int) -> None:
    options = {"features": "random"} if name == "projected-gan" else {}
    gan, opened = prepare(name, photos(tmp_path, *sizes), small=True, **options)
    assert opened.shape == gan.cfg.shape == (3, side, side)
    assert tuple(gan.generate(1).shape[1:]) == (3, side, side)


def test_without_small_the_recipes_keep_their_own_size(tmp_path: Path) -> None:
    _, opened = prepare("fastgan", photos(tmp_path, (90, 80), (300, 200)), width=4)
    assert opened.shape == (3, 256, 256)
    _, opened = prepare("dcgan", tmp_path, small=True, shape=(3, 96, 96))
    assert opened.shape == (3, 96, 96), "what the user gives counts"


def test_check_says_what_each_recipe_gets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = photos(tmp_path / "x", (90, 80), (300, 200))
    shapes = recipe_shapes(data.check(root), root)
    assert set(shapes) == {name for name in recipes.RECIPES if name not in OTHER_DATA}
    for name in ("default", "dcgan", "fastgan", "stylegan2", "sngan"):
        for small, shape in ((False, shapes[name].shape), (True, shapes[name].small)):
            if shape[1] <= 64:
                _, opened = prepare(name, root, small=small)
                assert opened.shape == shape, name
    assert call(capsys, "data", "check", root)[0] == 0
    code, out, _ = call(capsys, "data", "check", root)
    assert "fastgan, projected-gan, stylegan, stylegan2, lama see 3 x 256 x 256; with --small 3 x 64 x 64" in out
    code, out, _ = call(capsys, "data", "check", root, "--json")
    assert json.loads(out)["recipes"]["fastgan"] == {"shape": [3, 256, 256], "small": [3, 64, 64]}


def test_nothing_is_said_where_all_recipes_get_the_same(tmp_path: Path) -> None:
    root = photos(tmp_path, (40, 40), (40, 40))
    assert recipe_shapes(data.check(root), root) == {}
    root = photos(tmp_path / "x", (40, 40), (50, 40))
    report = data.check(root, shape=(3, 32, 32))
    assert recipe_shapes(report, root, (3, 32, 32)) == {} and shape_lines(report, {}) == []
    assert recipe_shapes(data.check("ring:20"), "ring:20") == {}


@pytest.mark.parametrize(("second", "listed"), [("0.png", {"pix2pix", "cyclegan"}), ("z.png", {"cyclegan"})])
def test_translation_recipes_where_they_fit(tmp_path: Path, second: str, listed: set[str]) -> None:
    photos(tmp_path / "A", (300, 200))
    photos(tmp_path / "B", (300, 200))
    (tmp_path / "B" / "0.png").rename(tmp_path / "B" / second)
    shapes = recipe_shapes(data.check(tmp_path), tmp_path)
    assert listed <= set(shapes) and ("pix2pix" in shapes) == ("pix2pix" in listed)
