"""The biharmonic fill against scikit-image and against a dense solution, and the random holes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganloom.data import hole_masks
from ganloom.nn import biharmonic


def surface(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width] / 16
    waves = [np.sin(2 * x + y) + 0.3 * np.cos(5 * y * x), np.cos(x - y), np.hypot(x, y)]
    return np.stack([0.5 + 0.3 * wave for wave in waves], -1).astype(np.float32)


def holes(kind: str, size: int) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    if kind == "box":
        mask[size // 4 : size // 4 + size // 2, size // 3 : size // 3 + size // 2] = True
    elif kind == "corner":
        mask[: size // 2, : size // 3] = True
    elif kind == "band":
        mask[size // 4 : size // 2] = True
    elif kind == "points":
        mask |= np.random.default_rng(0).random((size, size)) < 0.4
    else:
        hole_masks.draw_line(mask, (2, 3), (size, size // 2), 5)
        mask[1:3, -3:] = True
    return mask


KINDS = ("box", "corner", "band", "points", "stroke")


def exact(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Solve the equations with a dense matrix."""
    height, width = mask.shape
    unit = torch.eye(height * width, dtype=torch.float64).view(-1, 1, height, width)
    full = biharmonic.laplacian(biharmonic.laplacian(unit)).flatten(1).numpy()
    hole, out = mask.ravel(), pixels.reshape(-1, pixels.shape[2]).astype(np.float64)
    inner = np.linalg.solve(full[hole][:, hole], -full[hole][:, ~hole] @ out[~hole])
    out[hole] = inner.clip(out[~hole].min(0), out[~hole].max(0))
    return out.reshape(pixels.shape)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [9, 21, 40])
def test_fill_solves_the_equations(kind: str, size: int) -> None:
    pixels, mask = surface(size, size), holes(kind, size)
    true = exact(pixels, mask)
    assert np.abs(biharmonic.fill_pixels(pixels, mask) - true).max() < 1e-4
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    batch = biharmonic.fill(x, torch.from_numpy(mask)[None, None].float())
    assert np.abs(batch[0].permute(1, 2, 0).numpy() - true).max() < 1e-4
    assert torch.equal(batch[0].permute(1, 2, 0)[~torch.from_numpy(mask)], torch.from_numpy(pixels[~mask]))


@pytest.mark.parametrize("kind", KINDS)
def test_fill_equals_that_of_scikit_image(kind: str) -> None:
    restoration = pytest.importorskip("skimage.restoration")
    pixels, mask = surface(96, 96), holes(kind, 96)
    theirs = restoration.inpaint_biharmonic(pixels.astype(np.float64), mask, channel_axis=-1)
    assert np.abs(biharmonic.fill_pixels(pixels, mask) - theirs).max() < 1e-3


def test_fill_of_an_image_does_not_depend_on_the_batch() -> None:
    x = torch.from_numpy(np.stack([surface(32, 32), surface(32, 32)[::-1]])).permute(0, 3, 1, 2).contiguous()
    mask = torch.from_numpy(np.stack([holes("box", 32), holes("points", 32)]))[:, None]
    for tolerance in (1e-6, 1e-3):
        both = biharmonic.fill(x, mask, tolerance=tolerance)
        alone = torch.cat([biharmonic.fill(x[i : i + 1], mask[i : i + 1], tolerance=tolerance) for i in range(2)])
        assert float((both - alone).abs().max()) < 1e-6


def test_fill_ignores_the_pixels_in_the_hole() -> None:
    pixels, mask = surface(20, 20), holes("box", 20)
    other = pixels.copy()
    other[mask] = np.nan
    assert np.array_equal(biharmonic.fill_pixels(pixels, mask), biharmonic.fill_pixels(other, mask))
    x = torch.from_numpy(other).permute(2, 0, 1)[None]
    assert bool(biharmonic.fill(x, torch.from_numpy(mask)[None, None].float()).isfinite().all())


def test_a_plane_is_continued_exactly_and_extreme_masks_are_harmless() -> None:
    y, x = np.mgrid[:24, :24]
    plane = (0.2 + 0.02 * x + 0.01 * y).astype(np.float32)[..., None]
    assert np.abs(biharmonic.fill_pixels(plane, holes("box", 24)) - plane).max() < 1e-5
    assert np.array_equal(biharmonic.fill_pixels(plane, np.zeros((24, 24), bool)), plane)
    assert not biharmonic.fill_pixels(plane, np.ones((24, 24), bool)).any()
    nearly = np.ones((24, 24), bool)
    nearly[5, 7] = False
    assert np.allclose(biharmonic.fill_pixels(plane, nearly), plane[5, 7, 0], atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 10**6), st.floats(0.001, 0.1))
def test_regions_hold_each_hole_pixel_once(height: int, width: int, seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    seen, boxes = np.zeros(mask.shape, int), list(biharmonic.regions(mask)) if mask.any() else []
    for rows, columns, hole in boxes:
        seen[rows, columns] += hole
        edge = np.ones_like(hole)
        edge[2:-2, 2:-2] = False
        inside = np.zeros(mask.shape, bool)
        inside[2 : height - 2, 2 : width - 2] = True
        assert not (hole & edge & inside[rows, columns]).any() or min(hole.shape) < 5, "a hole at the edge of its box"
    assert np.array_equal(seen, mask.astype(int))


# ------------------------------------------------------------------------------------------------------- random holes


def test_strokes_and_boxes_have_the_numbers_of_the_authors() -> None:
    strokes, boxes = hole_masks.Strokes(), hole_masks.Boxes()
    assert (strokes.max_angle, strokes.max_length, strokes.max_width) == (4, 200, 100)
    assert (boxes.margin, boxes.min_side, boxes.max_side) == (10, 30, 151)
    rng = np.random.default_rng(0)
    for _ in range(200):
        mask = np.zeros((256, 256), bool)
        hole_masks.draw_boxes(mask, rng, boxes)
        assert not mask[:10].any() and not mask[:, -10:].any() and mask.sum() >= 900
    shares = hole_masks.draw(400, 128, 128, rng).mean((1, 2))
    # 3,000 masks of the authors' generator at 256 px: mean share 0.352, a tenth below 0.105
    assert 0.32 < shares.mean() < 0.385 and 0.08 < np.quantile(shares, 0.1) < 0.13


@pytest.mark.parametrize("shape", [(1, 2), (4, 4), (7, 300), (28, 28), (256, 256)])
def test_holes_of_any_size(shape: tuple[int, int]) -> None:
    masks = hole_masks.draw(20, *shape, np.random.default_rng(1))
    assert masks.shape == (20, *shape) and masks.any((1, 2)).all() and not masks.all((1, 2)).any()


def test_holes_are_keyed() -> None:
    all_rows = hole_masks.keyed(3, [0, 1, 2, 5], 32, 32)
    assert np.array_equal(all_rows[[3, 1]], hole_masks.keyed(3, [5, 1], 32, 32))
    assert not np.array_equal(all_rows, hole_masks.keyed(4, [0, 1, 2, 5], 32, 32))


def test_lines_are_those_of_opencv() -> None:
    cv2 = pytest.importorskip("cv2")
    rng, ours_all, differs = np.random.default_rng(2), 0, 0
    for _ in range(100):
        start, end = (tuple(int(v) for v in rng.integers(0, 128, 2)) for _ in range(2))
        width = int(rng.integers(5, 60))
        ours, theirs = np.zeros((128, 128), bool), np.zeros((128, 128), np.float32)
        hole_masks.draw_line(ours, start, end, width + 1)
        cv2.line(theirs, start, end, 1.0, width)
        ours_all, differs = ours_all + int(ours.sum()), differs + int((ours != (theirs > 0)).sum())
    assert differs < 0.03 * ours_all


def test_quarter_and_classes() -> None:
    shares = hole_masks.quarter(200, 28, 28, np.random.default_rng(0)).mean((1, 2))
    assert 0.18 < shares.min() and 0.22 < shares.mean() < 0.32
    assert [hole_masks.size_class(s) for s in (0.0, 0.0999, 0.1, 0.25, 0.9, 1.0)] == [
        "small", "small", "medium", "large", "large", "large",
    ]  # fmt: skip
