"""Published upscalers of the extra ``ganloom[upscale]`` on pictures of scikit-image; skipped where one is not installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from ganloom.apps.upscale import upscale_pixels
from ganloom.apps.upscale_models import PUBLISHED, installed, open_model

CORNERS = {"astronaut": (0, 100), "chelsea": (20, 100), "coffee": (100, 150)}
"""Row and column of the first pixel of each crop."""
BICUBIC = {2: (30.145, 31.444, 30.240), 3: (27.319, 29.218, 27.458), 4: (25.656, 27.904, 25.752)}
PSNR = {
    "realsr": (26.407, 26.324, 27.834),
    "x4plus": (23.350, 25.431, 25.446),
    "x4plus-anime": (21.289, 25.208, 24.120),
    "animevideov3-x2": (28.969, 29.871, 29.071),
    "animevideov3-x3": (26.522, 27.895, 26.792),
    "animevideov3-x4": (24.694, 26.863, 25.256),
}
"""dB over RGB, in the order of CORNERS, of the ncnn runtime (PyPI ncnn 1.0.20250503, float32 on a CPU) with the same files."""


def pairs(scale: int) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """(crop, crop reduced by the scale) of each picture; 256 pixels a side, or 255 for a scale of 3."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        pytest.skip("scikit-image is not installed")
    side, found = 256 // scale * scale, []
    for name, (top, left) in CORNERS.items():
        picture = np.asarray(Image.open(Path(spec.origin).parent / "data" / f"{name}.png").convert("RGB"))
        crop = picture[top : top + side, left : left + side]
        small = Image.fromarray(crop).resize((side // scale, side // scale), Image.Resampling.BICUBIC)
        found.append((crop, np.asarray(small)))
    return found


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_psnr_is_that_of_the_ncnn_runtime(name: str) -> None:
    if not installed(name):
        pytest.skip('pip install "ganloom[upscale]"')
    model = open_model(name, torch.device("cpu"))
    scale = int(model.net.scale)
    found = [psnr(upscale_pixels(model, small, scale), crop) for crop, small in pairs(scale)]
    assert found == pytest.approx(PSNR[name], abs=0.05)


@pytest.mark.parametrize("scale", BICUBIC)
def test_the_crops_are_those_of_the_figures(scale: int) -> None:
    sizes = [crop.shape[:2] for crop, _ in pairs(scale)]
    made = [
        np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC))
        for (_, small), size in zip(pairs(scale), sizes, strict=True)
    ]
    found = [psnr(image, crop) for image, (crop, _) in zip(made, pairs(scale), strict=True)]
    assert found == pytest.approx(BICUBIC[scale], abs=0.005)
