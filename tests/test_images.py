"""Images: every grey level survives, grids have the shape they promise, equal pixels give equal bytes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganloom.core.errors import BadInput
from ganloom.imaging import grid, levels


def test_to_uint8_undoes_the_scaling_of_every_level() -> None:
    every = torch.arange(256)
    x = (every / 127.5 - 1).reshape(1, 1, 16, 16)
    assert grid.to_uint8(x).ravel().tolist() == every.tolist()


def test_levels_to_floats_and_back() -> None:
    every = np.arange(2 * 4 * 8 * 3, dtype=np.uint8).reshape(2, 4, 8, 3)
    every.flags.writeable = False  # as an array of a PIL image is
    x = levels.from_uint8(every)
    assert x.shape == (2, 3, 4, 8) and x.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(x, torch.tensor(every).permute(0, 3, 1, 2).float() / 127.5 - 1), "bit for bit"
    assert (grid.to_uint8(x) == every).all() and torch.equal(levels.from_uint8(torch.tensor(every)), x)
    floats = torch.tensor([0.0, 255.0])
    assert levels.from_levels(floats).tolist() == [-1, 1] and floats.tolist() == [0, 255], "the input is not changed"
    assert torch.equal(levels.rounded(x + 0.003), x) and levels.rounded(torch.tensor([-3.0, 3.0])).tolist() == [-1, 1]


def test_to_uint8_clips_rounds_halves_up_and_survives_bad_values() -> None:
    x = torch.tensor([-9.0, 9.0, 0.0, float("nan"), float("inf"), -float("inf")]).reshape(1, 1, 1, 6)
    array = grid.to_uint8(x)
    assert array.shape == (1, 1, 6, 1) and array.dtype == np.uint8
    assert array.ravel().tolist() == [0, 255, 128, 128, 255, 0]
    assert grid.to_uint8(x.bfloat16()).ravel().tolist() == [0, 255, 128, 128, 255, 0]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_grid_of_any_channel_count(channels: int, mode: str) -> None:
    image = grid.grid(torch.zeros(6, channels, 48, 32), columns=3, pad=2, scale=1)
    assert image.mode == mode
    assert image.size == (3 * 34 + 2, 2 * 50 + 2)


def test_grid_puts_each_image_in_its_place() -> None:
    x = torch.linspace(-1, 1, 5).reshape(5, 1, 1, 1).expand(5, 1, 4, 6)
    sheet = np.asarray(grid.grid(x, columns=2, pad=1, scale=3))
    assert sheet.shape == (3 * 13 + 1, 2 * 19 + 1)
    for i in range(5):
        top, left = 1 + i // 2 * 13, 1 + i % 2 * 19
        tile = sheet[top : top + 12, left : left + 18]
        assert (tile == grid.to_uint8(x)[i, 0, 0, 0]).all()


@pytest.mark.parametrize("shape", [(64, 1, 28, 28), (1, 3, 1, 1), (3, 3, 48, 32), (5, 1, 200, 700)])
def test_small_grids_are_enlarged_by_whole_factors(shape: tuple[int, ...]) -> None:
    assert grid.grid(torch.zeros(shape)).width >= 512
    assert grid.grid(torch.zeros(2, 3, 600, 600), columns=1, pad=0).size == (600, 1200)


@pytest.mark.parametrize("shape", [(4, 5, 8, 8), (0, 3, 8, 8), (3, 8, 8)])
def test_grid_refuses_what_is_no_image(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput):
        grid.grid(torch.zeros(shape))


def test_equal_pixels_give_equal_bytes_and_no_traces(tmp_path: Path) -> None:
    image = grid.grid(torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    first = grid.save_png(image, tmp_path / "a" / "x.png").read_bytes()
    image.info = {"dpi": (72, 72), "Comment": "made today", "icc_profile": b"x"}
    assert grid.save_png(image, tmp_path / "y.png").read_bytes() == first
    assert grid.save_png(np.asarray(image), tmp_path / "z.png").read_bytes() == first
    assert image.info, "the caller's image was changed"
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["x.png", "y.png", "z.png"]
    with Image.open(tmp_path / "z.png") as saved:
        assert (np.asarray(saved) == np.asarray(image)).all()


def test_a_failed_save_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = grid.save_png(np.zeros((2, 2), np.uint8), tmp_path / "x.png")
    before = path.read_bytes()

    def full(self: Image.Image, file: Path, **_: object) -> None:
        Path(file).write_bytes(b"half a file")
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="no space"):
        grid.save_png(np.ones((2, 2), np.uint8), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_save_png_refuses_floats(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="float64"):
        grid.save_png(np.zeros((2, 2, 3)), tmp_path / "x.png")  # type: ignore[arg-type]


def test_scatter_draws_points_modes_and_counts_the_rest() -> None:
    modes = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    points = torch.tensor([[1.0, 0.0], [0.0, 1.0], [50.0, 0.0], [float("nan"), 0.0]])
    image = grid.scatter(points, modes, extent=2.0)
    array = np.asarray(image).astype(int)
    assert image.mode == "RGB" and image.size == (512, 512)
    assert array[256, 384, 2] - array[256, 384, 0] > 40, "a blue point at (1, 0)"
    assert array[128, 256, 2] - array[128, 256, 0] > 40, "y points up"
    quiet = np.asarray(grid.scatter(points[:2], modes, extent=2.0)).astype(int)
    assert (array[:24] != quiet[:24]).any(), "how many lie outside is said"
    assert grid.scatter(torch.zeros(0, 2)).size == grid.scatter(points.double()).size == (512, 512)
    with pytest.raises(BadInput):
        grid.scatter(torch.zeros(4, 3))


@pytest.mark.parametrize(
    ("n", "classes", "columns", "rows"),
    [(64, 10, 6, list(range(10))), (64, 2, 8, [0] * 4 + [1] * 4), (64, 16, 4, list(range(16))), (4, 1, 2, [0, 0]),
     (1, 5, 1, [0])],
)  # fmt: skip
def test_class_rows(n: int, classes: int, columns: int, rows: list[int]) -> None:
    assert grid.class_rows(n, classes) == (columns, rows)


def test_of_many_classes_evenly_spaced_ones_are_shown() -> None:
    columns, rows = grid.class_rows(64, 1000)
    assert columns * len(rows) <= 64 and len(set(rows)) == len(rows)
    assert rows[0] == 0 and rows[-1] >= 900
