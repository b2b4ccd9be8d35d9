"""Measuring super-resolution: the pattern on flat areas by hand, and ``bench restore``."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import call
from PIL import Image

import ganloom
from ganloom.bench.restore import benchmark
from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.grid_pattern import grid_pattern, grid_peak


def ramps(n: int = 2, side: int = 64) -> torch.Tensor:
    """Flat at the left, noise at the right."""
    y, x = torch.meshgrid(torch.linspace(-0.5, 0.5, side), torch.linspace(-0.5, 0.5, side), indexing="ij")
    images = torch.stack([torch.stack([x, y, x + y]) * (i + 1) / n for i in range(n)])
    images[..., side // 2 :] = torch.rand(n, 3, side, side // 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return images


def test_a_pattern_of_known_strength_is_found_on_flat_blocks_only() -> None:
    true = ramps()
    none = grid_pattern(true, true, 4)
    assert [len(values) for values in none] == [8, 8], "half of 16 blocks of 16 x 16 are flat"
    assert float(torch.cat(none).max()) < 1e-5, "a plane has no pattern"
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    checks = ((x + y) % 2 * 2 - 1) / 127.5
    found = torch.cat(grid_pattern(true + 3 * checks, true, 4))
    assert found.tolist() == pytest.approx([3.0] * 16, abs=1e-4), "3 levels, in each flat block"
    third = ((x % 3 == 0).float() * 3 - 1) / 127.5
    assert float(torch.cat(grid_pattern(true + third, true, 4)).mean()) < 0.5, "another period is no pattern of 4"
    noise = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) / 127.5
    assert float(torch.cat(grid_pattern(true + noise, true, 4)).mean()) == pytest.approx(0.25, abs=0.03)
    assert [len(v) for v in grid_pattern(true[:, :, :30, 32:], true[:, :, :30, 32:], 4)] == [0, 0]


def test_the_peak_tells_a_pattern_from_texture() -> None:
    true = ramps()[..., :32].repeat(1, 1, 1, 2)  # flat
    assert grid_peak(true, true, 4).tolist() == pytest.approx([1, 1]), "a plane has none"
    noise = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) / 127.5
    soft = torch.nn.functional.avg_pool2d(2 * noise, 3, 1, 1, count_include_pad=False)
    for texture in (noise, soft):
        assert grid_peak(true + texture, true, 4).tolist() == pytest.approx([1, 1], abs=0.3), "texture has none"
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    for cells in (x % 4 == 1, (x % 2 == 0) & (y % 4 < 2), (x + y) % 2 == 0):  # periods of 4 and 2 pixels
        pattern = (cells.float() - cells.float().mean()) / 127.5
        assert (grid_peak(true + noise + pattern, true, 4) > 2).all(), "a pattern half as strong as the noise is found"
    third = (x % 3 == 0).float() / 127.5
    assert grid_peak(true + noise + third, true, 4).tolist() == pytest.approx([1, 1], abs=0.3), "of another period"
    assert grid_peak(true, 5 * noise, 4).isnan().all(), "no flat block"


def photographs(folder: Path, count: int = 2) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        small = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
        picture = np.array(Image.fromarray(small).resize((240, 180), Image.Resampling.BICUBIC))
        picture[:, :120] = 90 + 20 * i  # a flat area
        Image.fromarray(picture).save(folder / f"{i}.png")
    return folder


def test_bench_restore(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = photographs(tmp_path / "p")
    run = ganloom.train(
        "srgan", folder, tmp_path / "run", net="compact", width=8, blocks=1, d_width=4, batch_size=4, shape=(3, 32, 32),
        pixel_kimg=0.008, total_kimg=0.012, judge=0, doctor=False, perceptual_net="random",
    )  # fmt: skip
    options = ("--n", 4, "--crop", 64, "--features", "random")
    code, out, _ = call(capsys, "bench", "restore", folder, *options, "--model", "compact", run.path)
    assert code == 0 and f"model {run.path} minus model compact" in out and "flat blocks" in out
    code, out, _ = call(capsys, "bench", "restore", folder, *options, "--json")
    found = json.loads(out)
    assert list(found["rows"]) == ["model compact", "bicubic", "Lanczos", "true images"] and found["images"] == 4
    assert found["rows"]["model compact"]["psnr"]["value"] > 20 and found["flat"] > 0
    assert set(found["rows"]["true images"]) == {"grid", "grid_worst", "grid_peak"} and not found["differences"]
    for wrong in (("--model", "compact", "compact"), ("--crop", 66), ("--n", 1), ("--crop", 1000)):
        code, _, err = call(capsys, "bench", "restore", folder, *options, *wrong)
        assert code == 2 and len(err.strip().splitlines()) == 1, err


def test_differences_are_those_of_pairs(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "p")
    run = ganloom.train(
        "srgan", folder, tmp_path / "run", net="compact", width=8, blocks=1, d_width=4, batch_size=4, shape=(3, 32, 32),
        pixel_kimg=0.008, total_kimg=0.008, judge=0, doctor=False,
    )  # fmt: skip
    found = benchmark.measure(str(folder), ("compact", str(run.path)), n=4, crop=64, features="random")
    first, second = found.rows["model compact"], found.rows[f"model {run.path}"]
    for key, value in found.differences[f"model {run.path}"].items():
        assert value.value == pytest.approx(second[key].value - first[key].value, abs=1e-6)
        assert value.low is not None and value.low < value.value < value.high
    with pytest.raises(BadInput, match="one factor"):
        other = ganloom.train(
            "srgan", folder, tmp_path / "x2", net="compact", width=4, blocks=1, scale=2, batch_size=4, shape=(3, 32, 32),
            pixel_kimg=0.008, total_kimg=0.008, judge=0, doctor=False,
        )  # fmt: skip
        benchmark.measure(str(folder), ("compact", str(other.path)), n=4, crop=64, features="random")
