"""Measuring inpainting: figures by hand, rows by hole size, ``bench inpaint`` and ``evaluate``."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import call
from PIL import Image

import ganloom
from ganloom.bench.inpaint import benchmark
from ganloom.bench.inpaint.photographs import crops
from ganloom.core.errors import BadInput
from ganloom.data import hole_masks
from ganloom.evaluation import inpainting
from ganloom.nn.perceptual import Perceptual


def scene(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    images = torch.stack([0.5 * torch.stack([x, y, torch.sin(3 * x + i)]) for i in range(n)])
    masks = torch.zeros(n, 1, 32, 32)
    for i, side in enumerate((4, 12, 20)[i % 3] for i in range(n)):
        masks[i, :, 6 : 6 + side, 6 : 6 + side] = 1
    return images, masks


def test_figures_by_hand_and_by_hole_size() -> None:
    images, masks = scene()
    methods = {"off": lambda x, mask: x + 0.5 * mask, "true": lambda x, mask: x, "all changed": lambda x, mask: x + 0.5}
    found = inpainting.compare(methods, images, masks, Perceptual("random"))
    assert list(found) == ["all", "small", "medium", "large"] and found["small"]["off"]["images"].value == 2
    images_8 = (images.add(1).mul(127.5).round() / 127.5) - 1
    assert found["all"]["true"]["masked_l1"].value < 0.002 and float((images_8 - images).abs().max()) < 0.004
    off = found["large"]["off"]
    assert off["masked_l1"].value == pytest.approx(0.25, abs=0.01)
    assert off["hole_psnr"].value == pytest.approx(-20 * np.log10(0.25), abs=0.3)
    assert off["psnr"].value == pytest.approx(-10 * np.log10(0.0625 * 400 / 1024), abs=0.3)
    assert off["features"].value > 10 * found["large"]["true"]["features"].value
    for size in found:  # known pixels are put back, so what a method does to them does not count
        for metric, value in found[size]["off"].items():
            assert value.value == pytest.approx(found[size]["all changed"][metric].value)


def test_classical_methods_are_better_than_the_mean() -> None:
    images, masks = scene()
    found = inpainting.compare(inpainting.methods(), images, masks, Perceptual("random"))["all"]
    assert found["biharmonic"]["masked_l1"].value < 0.3 * found["mean colour"]["masked_l1"].value
    for name in ("Telea", "Navier-Stokes"):
        assert name not in found or found[name]["masked_l1"].value < found["mean colour"]["masked_l1"].value


def test_opencv_rows_for_any_number_of_channels() -> None:
    pytest.importorskip("cv2")
    images, masks = scene(2)
    methods = inpainting.methods()
    grey = methods["Telea"](images[:, :1], masks)
    four = methods["Telea"](torch.cat([images, images[:, :1]], 1), masks)
    assert grey.shape == (2, 1, 32, 32) and torch.equal(four[:, 3:], grey)


def photographs(folder: Path) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i, size in enumerate(((300, 200), (120, 500), (20, 20))):
        small = rng.integers(0, 256, (size[1] // 20 + 1, size[0] // 20 + 1, 3), dtype=np.uint8)
        Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


def test_crops_are_keyed(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "p")
    a, b = crops(folder, 9, 32, 1), crops(folder, 9, 32, 1)
    assert a.shape == (6, 32, 32, 3) and np.array_equal(a, b), "the third image is too small: its crops are missing"
    left_out: list[tuple[str, str]] = []
    crops(folder, 9, 32, 1, left_out=left_out)
    assert left_out == [(str(folder / "2.png"), "20 x 20 pixels, the crops have 32")]
    assert not np.array_equal(a, crops(folder, 9, 32, 2))
    with pytest.raises(BadInput, match="no image of at least 2000 pixels"):
        crops(folder, 9, 2000)
    with pytest.raises(BadInput, match="no folder"):
        crops(folder / "0.png", 9, 32)


def test_bench_inpaint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = photographs(tmp_path / "p")
    options = ("--n", 6, "--features", "random", "--model", "biharmonic")
    code, out, err = call(capsys, "bench", "inpaint", folder, "--crop", 32, *options)
    assert code == 0 and "mean colour" in out and "masked L1" in out
    assert f"left out {folder / '2.png'}: 20 x 20 pixels, the crops have 32" in err
    code, out, _ = call(
        capsys, "bench", "inpaint", "fashion-10k", "--holes", "quarter", "--last", 10, *options, "--json"
    )
    rows = json.loads(out)["rows"]["all"]
    assert code == 0 and rows["biharmonic"]["images"] == 6 and rows["biharmonic"]["masked_l1"] > 0.01
    code, _, err = call(capsys, "bench", "inpaint", "ring", *options)
    assert code == 2 and "images" in err


def test_bench_inpaint_says_what_it_cannot_measure(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "p")
    for crop in (0, -4, 1, 7):
        with pytest.raises(BadInput, match=f"--crop must be at least 8 pixels, got {crop}"):
            benchmark.measure(str(folder), "biharmonic", n=2, crop=crop)
    with pytest.raises(BadInput, match="use one of them"):
        benchmark.measure(str(folder), "biharmonic", n=2, crop=32, last=4)
    for last in (0, -3, 1):
        with pytest.raises(BadInput, match=f"--last must be at least 2, got {last}"):
            benchmark.measure("fashion-10k", "biharmonic", n=2, last=last)
    found = benchmark.measure(str(folder), "biharmonic", n=4, crop=8, features="random")
    assert found.images == 4 and 0 < found.rows["all"]["biharmonic"]["features"].value < 4
    with pytest.raises(BadInput, match="1 x 1 pixels have no room for a hole"):
        hole_masks.draw(1, 1, 1, np.random.default_rng(0))


def test_evaluate_prints_the_classical_rows(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 1), dtype=np.uint8)
    small = {"width": 4, "d_width": 4, "batch_size": 8, "judge": 0, "blocks": 1, "total_kimg": 0.02}
    run = ganloom.train("lama", images, tmp_path / "run", **small)
    rows = run.evaluate(n=24, features="random", intervals=False)["rows"]
    assert {"generated", "mean colour", "biharmonic"} <= set(rows)
    assert {"masked_l1", "psnr", "features_fashion"} <= set(rows["generated"]) & set(rows["biharmonic"])
    assert "masked_l1_large" in rows["biharmonic"]
