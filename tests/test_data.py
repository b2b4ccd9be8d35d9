"""Arrays and built-in sets, the order of batches, flips, fingerprints, saving and splitting."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ganloom
from ganloom import data
from ganloom.core.errors import BadInput
from ganloom.data import shapes
from ganloom.gan import Rng

RANDOM = np.random.default_rng(0)
NHWC = RANDOM.integers(0, 256, (6, 9, 7, 3), np.uint8)


def images(source: Any, **options: Any) -> data.Images:
    dataset = data.open(source, **options)
    assert isinstance(dataset, data.Images)
    return dataset


def refused(source: Any, **options: Any) -> str:
    with pytest.raises(BadInput) as fault:
        data.open(source, **options)
    text = str(fault.value)
    assert "\n" not in text and len(text) < 300
    return text


def numbered(n: int, **options: Any) -> data.Images:
    """n images: all pixels of image i are i, and so is its label."""
    return images(np.arange(n, dtype=np.uint8)[:, None, None].repeat(5, 1).repeat(6, 2), labels=np.arange(n), **options)


# Layouts and ranges


@pytest.mark.parametrize("suffix", [".npy", ".npz", "array", "torch"])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW", "NHW"])
def test_layouts(tmp_path: Path, suffix: str, layout: str) -> None:
    array = {"NHWC": NHWC, "NCHW": NHWC.transpose(0, 3, 1, 2), "NHW": NHWC[..., 0]}[layout]
    source: Any = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(source, array)
    elif suffix == ".npz":
        np.savez(source, x=array, y=np.arange(6))
    else:
        source = torch.from_numpy(array.copy()) if suffix == "torch" else array
    dataset = images(source)
    want = NHWC[..., :1] if layout == "NHW" else NHWC
    assert np.array_equal(dataset.rows, want)
    assert dataset.shape == (want.shape[3], 9, 7)
    assert dataset.n_classes == (6 if suffix == ".npz" else 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a.astype(np.uint16) * 257,
        lambda a: a.astype(np.float32) / 255,
        lambda a: a.astype(np.float64) / 255,
        lambda a: a.astype(np.float32) / 127.5 - 1,
        lambda a: (a / 127.5 - 1).astype(np.float32) * (1 + 2e-5),  # rescaled twice
        lambda a: a.astype(np.int64),
        lambda a: torch.from_numpy(a / 127.5 - 1),
        lambda a: np.asfortranarray(a),
    ],
)
def test_ranges_mean_the_same_pixels(make: Any) -> None:
    whole = NHWC.copy()
    whole[0, 0, 0, :2] = 0, 255
    assert np.array_equal(images(make(whole)).rows, whole)


def test_half_precision_and_bool() -> None:
    near = images(torch.from_numpy(NHWC / 127.5 - 1).bfloat16()).rows.astype(int)
    assert np.abs(near - NHWC).max() <= 1
    assert set(np.unique(images(NHWC > 127).rows)) == {0, 255}


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 3, 8, 3), np.uint8), "may be NHWC or NCHW"),
        (np.zeros((5, 8, 3), np.uint8), "looks like one image"),
        (np.zeros((5, 8, 8, 7), np.uint8), "no axis of 1 to 4"),
        (np.zeros((5, 8), np.uint8), "images are"),
        (np.zeros((0, 8, 8), np.uint8), "no pixels"),
        (np.zeros((2, 0, 8, 3), np.uint8), "no pixels"),
        (np.full((5, 8, 8), 2.5), "scale floats"),
        (np.full((5, 8, 8), np.nan), "NaN"),
        (np.full((5, 8, 8), np.inf), "NaN or infinite"),
        (np.full((5, 8, 8), -3), "negative"),
        (np.full((5, 8, 8), 70_000), "from 70000 to 70000"),
        (np.full((5, 8, 8), 1), "white or nearly black"),
        (np.full((5, 8, 8), 1, np.uint8), "white or nearly black"),
        (np.full((5, 8, 8), 40, np.uint16), "labels, or very dark"),
        (np.full((5, 8, 8), 1j), "complex"),
        (np.full((5, 8, 8), "a"), "<U1"),
        ([[1, 2], [3]], "rows differ"),
        (np.array([None, "x"], object), "array of objects"),
    ],
)
def test_ambiguous_arrays_are_refused(array: Any, message: str) -> None:
    assert message in refused(array)


def test_the_shape_decides_between_layouts() -> None:
    array = RANDOM.integers(0, 256, (5, 3, 8, 4), np.uint8)
    assert np.array_equal(images(array, shape=(4, 3, 8)).rows, array)
    assert np.array_equal(images(array, shape=(3, 8, 4)).rows, array.transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    "labels", [[0, 2, 1, 0, 0, 2], [0.0, 2, 1, 0, 0, 2], np.eye(3)[[0, 2, 1, 0, 0, 2]], [[0], [2], [1], [0], [0], [2]]]
)
def test_labels_of_arrays(labels: Any) -> None:
    dataset = images(NHWC, labels=labels)
    assert dataset.labels is not None and dataset.labels.dtype == np.int64
    assert dataset.labels.tolist() == [0, 2, 1, 0, 0, 2] and dataset.class_names == ["0", "1", "2"]


def test_labels_that_are_names_and_wrong_labels() -> None:
    dataset = images(NHWC, labels=["b", "a", "b", "c", "a", "a"])
    assert dataset.classes == ["a", "b", "c"] and dataset.labels is not None
    assert dataset.labels.tolist() == [1, 0, 1, 2, 0, 0]
    assert images(dataset, labels=False).n_classes == 0
    for wrong in ([0, 1], [0, 1, 2, 3, 4, -1], [0.5] * 6, [10**9] * 6, [[1, 1]] * 6):
        assert "labels of the array" in refused(NHWC, labels=wrong)
    assert "class folders" in refused("fashion-10k", labels=[1])


def test_the_callers_array_may_change_later() -> None:
    array = NHWC.copy()
    dataset = images(array)
    before = dataset.fingerprint, dataset.get(0)
    array[:] = 0
    assert torch.equal(dataset.get(0), before[1]) and images(dataset.rows).rows.any()


def test_npz_files_that_ganloom_did_not_write(tmp_path: Path) -> None:
    for key in ("images", "x", "arr_0", "data", "x_train", "whatever"):
        np.savez(tmp_path / "a.npz", **{key: NHWC})
        assert np.array_equal(images(tmp_path / "a.npz").rows, NHWC)
    np.savez(tmp_path / "a.npz", foo=NHWC, bar=NHWC)
    assert "bar, foo" in refused(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", x=np.array([{}], object))
    assert "cannot read" in refused(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", x=NHWC, labels=np.arange(6), classes=["a"])
    assert "label 5 but only 1 names" in refused(tmp_path / "a.npz")
    np.save(tmp_path / "c.npy", NHWC)
    swapped = {"b.npy": (tmp_path / "a.npz").read_bytes(), "b.npz": (tmp_path / "c.npy").read_bytes()}
    for name, content in swapped.items():
        (tmp_path / name).write_bytes(content)
        assert "cannot read" in refused(tmp_path / name)
    for content in (b"", b"PK\x03\x04", b"\x93NUMPY", b"text"):
        for name in ("b.npz", "b.npy"):
            (tmp_path / name).write_bytes(content)
            assert "cannot read" in refused(tmp_path / name)


# Indices


def test_get_takes_any_indices_and_never_flips() -> None:
    dataset = images(NHWC, flip=True)
    want = torch.from_numpy(NHWC).permute(0, 3, 1, 2).float() / 127.5 - 1
    mask = np.array([1, 0, 0, 1, 0, 0], bool)
    for indices in (
        3,
        -1,
        slice(1, 5, 2),
        [0, 5, 0],
        np.array([2, -6]),
        torch.tensor([4]),
        mask,
        torch.from_numpy(mask),
    ):
        torch.testing.assert_close(dataset.get(indices), want[indices].reshape(-1, 3, 9, 7))  # type: ignore[index]
    assert dataset.get([]).shape == (0, 3, 9, 7)
    for beyond in (6, -7, [0, 99], np.ones(5, bool)):
        with pytest.raises(BadInput):
            dataset.get(beyond)


# The order of batches


def draw_labels(
    dataset: data.Data, n: int, position: int, seed: int = 1, draw: int = 0, rank: int = 0, world: int = 1
) -> list[int]:
    batch = dataset.draw(n, Rng(seed, draw, position, rank, world))
    assert batch.c is not None
    shown = ((batch.x[:, 0, 0, 0] + 1) * 127.5).round().long()
    assert torch.equal(shown, batch.c), "images and labels belong together"
    return batch.c.tolist()


def test_an_epoch_covers_everything_once() -> None:
    dataset = numbered(23)
    run = [i for position in range(0, 69, 3) for i in draw_labels(dataset, 3, position, draw=position)]
    epochs = [run[i : i + 23] for i in (0, 23, 46)]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert [draw_labels(dataset, 23, 23 * i) for i in range(3)] == epochs, "whatever the batch size"


def test_order_is_a_function_of_seed_and_position() -> None:
    assert draw_labels(numbered(50), 20, 40, draw=7) == draw_labels(numbered(50), 20, 40, draw=8)
    assert draw_labels(numbered(50), 20, 40) != draw_labels(numbered(50), 20, 40, seed=2)
    dataset = numbered(50)
    late = draw_labels(dataset, 5, 500)
    draw_labels(dataset, 50, 0)
    assert draw_labels(dataset, 5, 500) == late


def test_a_batch_larger_than_the_data_continues_in_the_next_epoch() -> None:
    dataset = numbered(4)
    run = draw_labels(dataset, 11, 2)
    assert (
        run[:2] == draw_labels(dataset, 2, 2)
        and run[2:6] == draw_labels(dataset, 4, 4)
        and run[6:10] == draw_labels(dataset, 4, 8)
    )
    assert run[10:] == draw_labels(dataset, 1, 12)
    assert draw_labels(numbered(1), 3, 5) == [0, 0, 0]


@pytest.mark.parametrize("position", [0, 8, 22])
@pytest.mark.parametrize("world", [2, 3])
def test_ranks_interleave_to_the_global_batch(position: int, world: int) -> None:
    dataset = images(
        np.random.default_rng(3).integers(0, 256, (23, 8, 8, 3), np.uint8), flip=True, labels=np.arange(23)
    )
    whole = dataset.draw(12, Rng(1, 4, position))
    parts = [dataset.draw(12, Rng(1, 4, position, rank, world)) for rank in range(world)]
    for rank, part in enumerate(parts):
        assert torch.equal(part.x, whole.x[rank::world])
        assert part.c is not None and whole.c is not None and torch.equal(part.c, whole.c[rank::world])


def classes_of(labels: list[int], flip: bool = False) -> data.Data:
    rows = np.arange(len(labels), dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2)
    return images(rows, labels=np.array(labels), flip=flip)


def rows_of(batch: ganloom.Batch) -> list[int]:
    dataset: list[int] = ((batch.x[:, 0, 0, 0] + 1) * 127.5).round().long().tolist()
    return dataset


def test_samples_of_one_group_share_a_label() -> None:
    labels = [0] * 12 + [1] * 9 + [2] * 2
    dataset = classes_of(labels)
    visited: list[int] = []
    for i in range(7):  # an epoch is 12 + 12 + 4 rows: classes whose size is not a multiple of 4 repeat rows
        batch = dataset.draw(4, Rng(1, i, 4 * i), alike=4)
        assert batch.c is not None and len(set(batch.c.tolist())) == 1
        visited += rows_of(batch)
    assert set(visited) == set(range(23)) and [visited.count(i) for i in range(12)] == [1] * 12
    assert (
        sorted(visited.count(i) for i in range(12, 21)) == [1] * 6 + [2] * 3
        and visited.count(21) == visited.count(22) == 2
    )
    batch = dataset.draw(12, Rng(1, 9, 40), alike=4)
    assert batch.c is not None and all(len(set(batch.c[i::3].tolist())) == 1 for i in range(3))  # as D groups them
    assert rows_of(dataset.draw(12, Rng(1, 3, 40), alike=4)) == rows_of(batch), (
        "the batch is a function of the position"
    )
    assert rows_of(dataset.draw(12, Rng(1, 3, 68), alike=4)) != rows_of(batch), "each epoch has another order"


def test_groups_of_one_label_have_their_limits() -> None:
    dataset = classes_of([0, 1] * 8, flip=True)
    whole = dataset.draw(8, Rng(1, 4, 8), alike=4)
    for rank in range(2):
        part = dataset.draw(8, Rng(1, 4, 8, rank, 2), alike=4)
        assert torch.equal(part.x, whole.x[rank::2])
    batch = dataset.draw(6, Rng(1, 4, 0), alike=4)  # groups of the greatest common divisor
    assert batch.c is not None and all(len(set(batch.c[i::3].tolist())) == 1 for i in range(3))
    batch = dataset.draw(8, torch.Generator().manual_seed(0), alike=4)
    assert batch.c is not None and all(len(set(batch.c[i::2].tolist())) == 1 for i in range(2))
    bare = images(np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1), np.uint8))
    assert torch.equal(bare.draw(4, Rng(1, 0, 4), alike=4).x, bare.draw(4, Rng(1, 0, 4)).x), (
        "without labels, alike has no effect"
    )


def test_a_plain_generator_draws_at_random() -> None:
    dataset = numbered(10)
    a, b = (dataset.draw(200, torch.Generator().manual_seed(5)).x for _ in range(2))
    assert torch.equal(a, b) and len(a.unique()) == 10
    with pytest.raises(BadInput, match="batch size"):
        dataset.draw(0, torch.Generator())


def test_what_draw_delivers() -> None:
    batch = images(NHWC).draw(4, Rng(0))
    assert batch.x.dtype == torch.float32 and batch.x.shape == (4, 3, 9, 7) and batch.c is None
    assert batch.x.is_contiguous(memory_format=torch.channels_last)
    assert float(batch.x.min()) >= -1 and float(batch.x.max()) <= 1


# Flips


def sided(n: int) -> np.ndarray:
    rows = np.zeros((n, 8, 6, 3), np.uint8)
    rows[:, :, :3] = 255
    return rows


def test_flips_are_drawn_per_image_about_half() -> None:
    dataset = images(sided(10), flip=True)
    flips = torch.cat([dataset.draw(500, Rng(0, draw, 500 * draw)).x[:, 0, 0, 0] < 0 for draw in range(4)])
    assert 900 < int(flips.sum()) < 1100
    first, again, other = (dataset.draw(64, Rng(0, d, 0)).x for d in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)
    plain = dataset.get(0)[0]
    assert all(torch.equal(row, plain) or torch.equal(row, plain.flip(2)) for row in first), "mirrored left to right"
    assert (dataset.get(slice(None))[:, 0, 0, 0] == 1).all()
    assert (images(sided(10)).draw(64, Rng(0)).x[:, 0, 0, 0] == 1).all()


# Fingerprints, saving, splitting


def test_the_fingerprint_depends_on_what_matters() -> None:
    labels = [0, 1, 0, 1, 0, 1]
    base = images(NHWC, labels=labels).fingerprint
    assert len(base) == 64 and images(NHWC.copy(), labels=labels).fingerprint == base
    other = NHWC.copy()
    other[3, 4, 5, 1] ^= 1
    changed = [
        images(other, labels=labels),
        images(NHWC, labels=labels[::-1]),
        images(NHWC),
        images(NHWC, labels=labels, flip=True),
        images(NHWC[:5], labels=labels[:5]),
        images(NHWC.transpose(0, 2, 1, 3), labels=labels),
    ]
    assert len({base, *(c.fingerprint for c in changed)}) == 7


@pytest.mark.parametrize("flip", [False, True])
def test_save_and_open_again(tmp_path: Path, flip: bool) -> None:
    for i, dataset in enumerate(
        [
            images(NHWC, labels=["b", "a", "b", "a", "c", "c"], flip=flip),
            data.Images(
                NHWC // 255, data.Facts("dark", flip=flip)
            ),  # nearly black, but saved by ganloom: not ambiguous
            images("shapes:12", flip=flip),
            data.Images(
                np.zeros((3, 3, 8, 3), np.uint8), data.Facts("thin", flip=flip)
            ),  # the layout is not ambiguous either
            images(
                np.zeros((2, 200, 150, 3), np.uint8), shape=(3, 200, 150), flip=flip
            ),  # larger than the native limit
        ]
    ):
        dataset.save(tmp_path / f"{i}.npz")
        again = images(tmp_path / f"{i}.npz")
        assert again.fingerprint == dataset.fingerprint and again.flip == flip
        assert (again.name, again.classes, again.captions) == (dataset.name, dataset.classes, dataset.captions)
        assert (again.factors or {}).keys() == (dataset.factors or {}).keys()
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{i}.npz" for i in range(5)], "no temporary file is left"


@pytest.mark.parametrize("name", ["ring:50", "grid:50"])
def test_points_save_and_open_again(tmp_path: Path, name: str) -> None:
    dataset = data.open(name)
    dataset.save(str(tmp_path / "p.npz"))
    again = data.open(tmp_path / "p.npz")
    assert isinstance(again, data.Points) and isinstance(dataset, data.Points)
    assert again.fingerprint == dataset.fingerprint and again.sd == dataset.sd
    assert again.modes is not None and dataset.modes is not None and torch.equal(again.modes, dataset.modes)


def test_save_refuses_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    for place in ("a.zip", "no/such/folder/a.npz"):
        with pytest.raises(BadInput):
            images(NHWC).save(tmp_path / place)


def test_points_are_not_flipped() -> None:
    ring = data.open("ring:30")
    assert data.open(ring, flip=True) is ring and data.open("ring:30", flip=True).fingerprint == ring.fingerprint


def test_split_is_disjoint_and_whole() -> None:
    dataset = images("shapes:50")
    a, b = dataset.split(0.3, seed=1)
    assert (len(a), len(b)) == (15, 35)
    rows = {row.tobytes() for row in a.rows} | {row.tobytes() for row in b.rows}
    assert len(rows) == 50 == len({row.tobytes() for row in dataset.rows})
    assert a.captions is not None and a.factors is not None and a.labels is not None
    assert [c.split()[3] for c in a.captions] == [shapes.KINDS[k] for k in a.labels]
    assert len(a.factors["dx"]) == 15
    c, _ = dataset.split(15, seed=1)
    assert c.fingerprint == a.fingerprint != dataset.split(15, seed=2)[0].fingerprint
    for part in (0, 50, 1.0 - 1e-9, 0.001):
        with pytest.raises(BadInput, match="cannot split"):
            dataset.split(part)


@pytest.mark.parametrize("name", ["fashion-10k", "shapes:30", "ring:40", "grid:40"])
def test_reopen_gives_the_same(name: str) -> None:
    shape = None if ":40" in name else (3, 16, 20)
    dataset = data.open(name, shape=shape, flip=True)
    assert data.reopen(dataset.source).fingerprint == dataset.fingerprint
    half = dataset.split(0.5)[1].split(5, seed=9)[0]
    assert data.reopen(half.source).fingerprint == half.fingerprint
    assert data.reopen(images("shapes:30", labels=False).source).n_classes == 0
    with pytest.raises(BadInput, match="array in memory"):
        data.reopen(images(NHWC).source)


def test_open_a_data_set_again() -> None:
    dataset = images("shapes:20")
    assert data.open(dataset) is dataset
    flipping = data.open(dataset, flip=True)
    assert flipping.flip and not dataset.flip and data.open(flipping).flip
    assert data.open(dataset, shape=(3, 64, 64)).fingerprint == data.open("shapes:20", shape=(3, 64, 64)).fingerprint
    grey = images(images(NHWC), shape=(1, 9, 7))
    assert grey.shape == (1, 9, 7) and len(grey) == 6
    relabelled = images(dataset, labels=np.arange(20))
    assert relabelled.n_classes == 20


# Built-in sets


def test_fashion_10k() -> None:
    dataset = images("fashion-10k")
    assert dataset.shape == (1, 28, 28) and dataset.labels is not None and len(dataset.class_names) == 10
    assert np.bincount(dataset.labels).tolist() == [1000] * 10
    with files("ganloom.data").joinpath("fashion_10k.npz").open("rb") as file:
        assert file.seek(0, 2) < 5 * 2**20
    assert images("fashion-10k", shape=(3, 32, 32), fit="pad").shape == (3, 32, 32)


def test_fashion_mnist_from_a_folder(tmp_path: Path) -> None:
    import gzip

    clothes = RANDOM.integers(0, 256, (20, 28, 28), np.uint8)
    head = bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4, "big") for n in clothes.shape)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + clothes.tobytes()))
    labels = bytes((0, 0, 8, 1)) + (20).to_bytes(4, "big") + bytes(i % 10 for i in range(20))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(labels)
    dataset = images(f"fashion-mnist:{tmp_path}")
    assert np.array_equal(dataset.rows[..., 0], clothes) and dataset.n_classes == 10
    assert data.reopen(dataset.source).fingerprint == dataset.fingerprint
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(labels[:-1])
    assert "is not a complete IDX file" in refused(f"fashion-mnist:{tmp_path}")
    assert "holds only train-images" in refused(f"fashion-mnist-test:{tmp_path}")
    assert "takes no argument" in refused("fashion-10k:5")


def test_captions_of_shapes_agree_with_the_factors() -> None:
    dataset, again = images("shapes:300"), images("shapes:300")
    assert dataset.fingerprint == again.fingerprint and dataset.captions == again.captions
    assert dataset.captions is not None and dataset.factors is not None and dataset.labels is not None
    for i, caption in enumerate(dataset.captions):
        colour, kind, size, place = (int(dataset.factors[k][i]) for k in ("colour", "shape", "size", "place"))
        assert caption == (
            f"a {list(shapes.SIZES)[size]} {list(shapes.COLOURS)[colour]} {shapes.KINDS[kind]} {shapes.PLACES[place]}"
        )
        assert dataset.labels[i] == kind
        differs = np.abs(dataset.rows[i].astype(int) - shapes.BACKGROUND).sum(2) > 60
        y, x = np.argwhere(differs).mean(0)
        assert (int(x * 3 / 32), int(y * 3 / 32)) == (place % 3, place // 3), "the shape is where the caption says"
        painted = dataset.rows[i][differs].astype(int)
        distance = np.abs(painted[:, None] - np.array(list(shapes.COLOURS.values()))).sum(2).min(0)
        assert distance[colour] <= 3, "the shape has the colour of the caption"
    assert images("shapes:20").captions == dataset.captions[:20]
    assert images("shapes:5", shape=(1, 24, 40)).rows.shape == (5, 24, 40, 1)


@pytest.mark.parametrize("wrong", ["shapes:0", "shapes:", "shapes:x", "ring:-1", "grid:99999999999"])
def test_numbers_after_the_colon(wrong: str) -> None:
    assert "after the colon" in refused(wrong)


def test_ring_and_grid() -> None:
    ring, grid = data.open("ring:4000"), data.open("grid:5000")
    assert isinstance(ring, data.Points) and isinstance(grid, data.Points)
    assert ring.modes is not None and grid.modes is not None
    assert len(ring.modes) == 8 and torch.allclose(ring.modes.norm(dim=1), torch.ones(8))
    assert sorted(map(tuple, grid.modes.tolist())) == [
        (float(a), float(b)) for a in range(-4, 5, 2) for b in range(-4, 5, 2)
    ]
    for dataset, sd in ((ring, 0.01), (grid, 0.05)):
        assert (
            dataset.modes is not None
            and dataset.labels is not None
            and dataset.kind == "points"
            and dataset.shape == (2,)
        )
        around = dataset.rows - dataset.modes.numpy()[dataset.labels]
        assert abs(around.std() / sd - 1) < 0.05 and abs(around.mean()) < sd / 10
        assert np.bincount(dataset.labels).min() > 100
        batch = dataset.draw(16, Rng(0))
        assert batch.x.shape == (16, 2) and batch.c is not None and batch.x.dtype == torch.float32
    assert "leave it out" in refused("ring", shape=(3, 8, 8))
    assert data.open("ring:10").fingerprint == data.open("ring:10").fingerprint != data.open("grid:10").fingerprint
