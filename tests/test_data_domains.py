"""Image-to-image data: pairs, two domains, their folders, and one-line errors for wrong ones."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganloom import data
from ganloom.core.errors import BadInput
from ganloom.core.randomness import Rng
from ganloom.data import label_maps, translation_sets


def image(path: Path, value: int, size: tuple[int, int] = (20, 16), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, value, value)).save(path)


def two_folders(root: Path, a: str = "A", b: str = "B", n: int = 6, mode: str = "RGB") -> Path:
    for i in range(n):
        image(root / a / f"{i}.png", 100 + i, mode=mode)
        image(root / b / f"{i}.png", 200 + i)
    return root


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_pairs_of_equal_names(tmp_path: Path, direction: str) -> None:
    d = data.open(two_folders(tmp_path, mode="L"), inputs="pairs", direction=direction, cache=False)
    assert d.paired and len(d) == 6
    shapes = (1, 16, 20), (3, 16, 20)
    assert (d.inputs.shape, d.shape) == (shapes if direction == "AtoB" else shapes[::-1])
    batch = d.draw(4, Rng(0))
    assert batch.y is None and batch.c is not None
    gap = (batch.x - batch.c[:, :1]).mul(127.5).mean((1, 2, 3))
    assert torch.allclose(gap, torch.full((4,), 100.0 if direction == "AtoB" else -100.0), atol=1e-3)
    again = data.reopen(d.source, cache=False)
    assert again.fingerprint == d.fingerprint and again.paired


def test_images_side_by_side(tmp_path: Path) -> None:
    for i in range(3):
        whole = np.zeros((8, 20, 3), np.uint8)
        whole[:, 10:] = 50 + i
        (tmp_path / "train").mkdir(exist_ok=True)
        Image.fromarray(whole).save(tmp_path / "train" / f"{i}.png")
    image(tmp_path / "val" / "0.png", 9, (20, 8))
    d = data.open(tmp_path, inputs="pairs", cache=False)
    assert d.shape == (3, 8, 10) and int(d.inputs.rows.max()) == 0 and sorted(d.rows[:, 0, 0, 0]) == [50, 51, 52]
    assert d.held is not None and len(d.held) == 1 and d.held.shape == d.shape
    with pytest.raises(BadInput, match=r"is 17 x 16.*A\|B"):
        image(tmp_path / "train" / "x.png", 3, (17, 16))
        data.open(tmp_path, inputs="pairs", cache=False)


def test_two_domains_are_drawn_independently(tmp_path: Path) -> None:
    two_folders(tmp_path, "trainA", "trainB")
    image(tmp_path / "trainA" / "more.png", 120)
    two_folders(tmp_path, "testA", "testB", n=2)
    d = data.open(tmp_path, inputs="domains", cache=False)
    assert not d.paired and len(d) == 6 and len(d.inputs) == 7
    batch = d.draw(6, Rng(3))
    assert batch.c is None and batch.x.shape == batch.y.shape
    assert not torch.allclose((batch.x - batch.y).mul(127.5).mean((1, 2, 3)), torch.full((6,), 100.0), atol=1e-3)
    assert torch.equal(batch.y, d.draw(6, Rng(3)).y)
    assert d.held is not None and d.held.paired and len(d.held) == 2
    first = torch.cat([d.draw(3, Rng(3, i, 3 * i, r, 1)).y for i in range(2) for r in (0,)])
    assert torch.equal(first, batch.y), "the order of inputs is a function of the position"


def test_two_paths_and_two_arrays(tmp_path: Path) -> None:
    two_folders(tmp_path, "cats", "dogs")
    (tmp_path / "dogs" / "0.png").unlink()
    paths = f"{tmp_path / 'cats'},{tmp_path / 'dogs'}"
    d = data.open(paths, inputs="domains", cache=False)
    assert len(d.inputs) == 6 and len(d) == 5 and data.reopen(d.source, cache=False).fingerprint == d.fingerprint
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 255, (9, 8, 8, c), dtype=np.uint8) for c in (1, 3))
    e = data.open((a, b), inputs="pairs")
    assert e.paired and e.shape == (3, 8, 8) and e.inputs.shape == (1, 8, 8)
    e.save(tmp_path / "saved.npz")
    saved = data.open(tmp_path / "saved.npz")
    assert saved.fingerprint == e.fingerprint and np.array_equal(saved.inputs.rows, a)
    half, rest = e.split(4)
    assert half.paired and len(half) == len(half.inputs) == 4 and len(rest.inputs) == 5
    unpaired = e.unpaired()
    assert not unpaired.paired and unpaired.draw(3, Rng(0)).y.shape == (3, 1, 8, 8)


def test_errors_are_one_line(tmp_path: Path) -> None:
    two_folders(tmp_path / "missing")
    (tmp_path / "missing" / "B" / "3.png").unlink()
    two_folders(tmp_path / "sizes")
    image(tmp_path / "sizes" / "B" / "2.png", 1, (30, 16))
    two_folders(tmp_path / "half")
    for path in (tmp_path / "half" / "B").iterdir():
        path.unlink()
    (tmp_path / "half" / "B").rmdir()
    labels = tmp_path / "labels"
    for i in range(4):
        image(labels / "B" / f"{i}.png", 90)
        (labels / "A").mkdir(exist_ok=True)
        Image.fromarray((np.arange(320).reshape(16, 20) % 12).astype(np.uint8)).save(labels / "A" / f"{i}.png")
    for name, text in {
        "missing": "an image in .*A has no partner in .*B, such as 3", "sizes": "pair 2 is 20 x 16 in .* and 30 x 16",
        "half": "has A/ and no B/", "labels": "12 grey values from 0 to 11.*--label-maps",
    }.items():  # fmt: skip
        with pytest.raises(BadInput, match=text) as caught:
            data.open(tmp_path / name, inputs="pairs", cache=False)
        assert "\n" not in str(caught.value)
    d = data.open(labels, inputs="pairs", label_maps=True, cache=False)
    colours = {tuple(c) for c in d.inputs.rows.reshape(-1, 3)}
    assert d.inputs.shape == (3, 16, 20) and colours == {tuple(c) for c in label_maps.colours()[:12]}
    with pytest.raises(BadInput, match="AtoB or BtoA"):
        data.open(labels, inputs="pairs", direction="up")


def test_colours_of_labels_differ() -> None:
    assert len({tuple(c) for c in label_maps.colours()}) == 256


def test_unpaired_fashion_hides_its_pairs() -> None:
    d = data.open("unpaired-fashion")
    assert not d.paired and d.shape == d.inputs.shape == (3, 28, 28)
    held = d.held
    assert held is not None and held.paired and len(held) == 1000
    assert np.array_equal(translation_sets.recoloured(held.inputs.rows[..., 0]), held.rows)
    recoloured = {row.tobytes() for row in translation_sets.recoloured(d.inputs.rows[..., 0])}
    shown = {row.tobytes() for row in d.rows}
    hidden = {row.tobytes() for row in held.rows}
    assert len(recoloured & shown) < 5 and len(hidden & (recoloured | shown)) < 5  # fashion-10k has a few duplicates


def test_glyphs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path))
    monkeypatch.setenv("GANLOOM_EMOJI_FONT", str(tmp_path / "none.ttf"))
    with pytest.raises(BadInput, match="apt install fonts-noto-color-emoji"):
        data.open("edges-to-emoji")
    monkeypatch.setattr(translation_sets, "FONTS", (str(tmp_path),))
    with pytest.raises(BadInput, match="apt install fonts-dejavu-core"):
        data.open("regular-to-bold")


def test_edges_are_where_colours_change() -> None:
    x = np.full((16, 16, 3), 255, np.uint8)
    x[4:12, 4:12] = (200, 30, 30)
    drawing = translation_sets.edges(x)[..., 0]
    assert (drawing[6:10, 6:10] == 255).all() and (drawing[0] == 255).all()
    assert (drawing[8] == 0).sum() in (2, 4) and (drawing[:, 8] == 0).sum() in (2, 4)


@pytest.mark.skipif(not translation_sets.bold_families(), reason="no font family with a bold face")
def test_regular_to_bold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path))
    d = data.open("regular-to-bold", shape=(1, 32, 32))
    assert d.paired and d.shape == d.inputs.shape == (1, 32, 32)
    assert d.rows.mean() < d.inputs.rows.mean(), "bold letters have more ink"
    assert d.held is not None and d.held.paired and 20 < len(d.held) < len(d) / 5


@pytest.mark.parametrize("name", ["regular-to-bold", "unpaired-fashion"])
def test_a_shape_of_two_numbers_is_refused(name: str) -> None:
    for source in (name, data.open("unpaired-fashion")):
        with pytest.raises(BadInput, match="images have"):
            data.open(source, shape=(3, 32))  # type: ignore[arg-type]
