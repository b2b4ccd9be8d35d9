"""Random crops of photographs: keyed by seed and position, bounded memory, any source of images."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganloom import data
from ganloom.core.errors import BadInput
from ganloom.core.randomness import Rng
from ganloom.data import crops


def photographs(folder: Path, sizes: list[tuple[int, int]], mode: str = "RGB") -> Path:
    """Images whose red channel is the column and whose green channel is the row, so that a crop tells its place."""
    folder.mkdir()
    for i, (w, h) in enumerate(sizes):
        y, x = np.mgrid[:h, :w]
        pixels = np.stack([x % 256, y % 256, np.full((h, w), 10 * i)], 2).astype(np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{i}.png")
    return folder


def test_crops_lie_in_the_photographs_and_are_a_function_of_seed_and_position(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "p", [(200, 100), (90, 250), (64, 64), (120, 120)])
    d = data.open(folder, inputs="crops", shape=(3, 32, 48), flip=True)
    assert d.shape == (3, 32, 48) and len(d) == 4 and d.kind == "images"
    first, later = d.draw(16, Rng(5, 3, 48)).x, d.draw(16, Rng(5, 4, 64)).x
    assert first.shape == (16, 3, 32, 48) and first.dtype == torch.float32
    assert torch.equal(first, data.open(folder, inputs="crops", shape=(3, 32, 48), flip=True).draw(16, Rng(5, 3, 48)).x)
    assert not torch.equal(first, later) and not torch.equal(first, d.draw(16, Rng(6, 3, 48)).x)
    red = ((first[:, 0] + 1) * 127.5).round()
    steps = red.diff(dim=2)
    assert set(steps[:, 0, 0].tolist()) >= {1.0, -1.0}, "some are mirrored, and those at full size step by one pixel"
    assert float(steps.abs().max()) > 1, "others are reduced"
    halves = [d.draw(16, Rng(5, 3, 48, rank, 2)).x for rank in (0, 1)]
    assert torch.equal(torch.stack(halves, 1).flatten(0, 1), first), "two processes share the crops of one"


def test_few_photographs_are_in_memory_at_a_time_and_all_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crops, "MEMORY", 0)
    monkeypatch.setattr(crops, "FEWEST", 3)
    monkeypatch.setattr(crops, "TURN", 4)
    folder = photographs(tmp_path / "p", [(40, 40)] * 12)
    d, again = (data.open(folder, inputs="crops", shape=(3, 16, 16)) for _ in range(2))
    used = []
    for step in range(30):
        x = d.draw(8, Rng(0, step, 8 * step)).x
        used += ((x[:, 2].amax((1, 2)) + 1) * 12.75).round().int().tolist()
        assert len(d._decoded) <= 3
    assert set(used) == set(range(12))
    assert len(set(used[:4])) <= 3 and len(set(used[8:12])) <= 3
    assert torch.equal(x, again.draw(8, Rng(0, 29, 8 * 29)).x), "what is in memory does not decide what is drawn"


def test_small_and_damaged_files_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = photographs(tmp_path / "p", [(60, 60), (20, 60), (70, 60)])
    (folder / "3.png").write_bytes(b"no image")
    whole = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(whole[: len(whole) // 2])
    d = data.open(folder, inputs="crops", shape=(3, 32, 32))
    assert len(d) == 2 and sorted(Path(path).name for path, _ in d.bad_files) == ["1.png", "3.png"]
    x = d.draw(12, Rng(0)).x
    assert float(x[:, 2].max()) < -0.99, "the truncated photograph is replaced by the next one"
    assert capsys.readouterr().err.count("left out 2.png") == 1
    with pytest.raises(BadInput, match="60 x 60"):
        data.open(folder, inputs="crops", shape=(3, 64, 64))


def test_every_source_and_mode(tmp_path: Path) -> None:
    grey = data.open(photographs(tmp_path / "g", [(50, 40)] * 2, "L"), inputs="crops", default_size=128)
    assert grey.shape == (1, 40, 40) and grey.get([0, -1]).shape == (2, 1, 40, 40)
    fashion = data.open("fashion-10k", inputs="crops", shape=(1, 16, 16))
    assert fashion.draw(4, Rng(0)).x.shape == (4, 1, 16, 16)
    rows = np.random.default_rng(0).integers(0, 256, (9, 30, 30, 3), dtype=np.uint8)
    of_array = data.open(rows, inputs="crops")
    assert of_array.shape == (3, 24, 24)
    assert (of_array.uint8([2])[0] == rows[2, 3:27, 3:27]).all()
    first, second = of_array.split(4)
    assert (len(first), len(second)) == (4, 5)
    paths = data.open([tmp_path / "g" / "0.png", tmp_path / "g" / "1.png"], inputs="crops", shape=(1, 8, 8))
    assert len(paths) == 2
    with pytest.raises(BadInput, match="crops"):
        data.open("ring", inputs="crops")


def test_reopened_from_its_record(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "p", [(200, 100), (90, 250), (64, 64), (120, 120)])
    d = data.open(folder, inputs="crops", default_size=32, flip=True)
    again = data.reopen(json.loads(json.dumps(d.source)))
    assert isinstance(again, data.Crops) and again.fingerprint == d.fingerprint and again.shape == d.shape
    assert torch.equal(again.draw(6, Rng(1, 2, 12)).x, d.draw(6, Rng(1, 2, 12)).x)
    half = d.split(0.5)[0]
    assert data.reopen(half.source).fingerprint == half.fingerprint != d.fingerprint


def test_large_photographs_are_reduced(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    Image.new("RGB", (3000, 1500), (200, 10, 10)).save(tmp_path / "p" / "a.jpg")
    d = data.open(tmp_path / "p", inputs="crops")
    assert d.photo(0).shape == (700, 1400, 3) and abs(int(d.photo(0)[5, 5, 0]) - 200) < 4
