"""Python data gets the rule of pixel numbers that files and arrays get: over the whole list, with a note or a reason."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tables
import torch
from PIL import Image
from torch.utils.data import TensorDataset

import ganloom
from ganloom import data
from ganloom.core.errors import BadInput
from ganloom.imaging.png16 import write16

GREY = np.random.default_rng(1).integers(0, 256, (5, 9, 7, 1), np.uint8)
GREY[0, 0, 0] = 255
GREY[1] //= 3  # a dark image among brighter ones stays dark
DEEP = GREY.astype(np.uint16) * 16
PILLOW = [Image.fromarray(image[..., 0]) for image in DEEP]
LABELS = [0, 1, 0, 1, 1]


def encoded(image: Image.Image) -> dict[str, Any]:
    file = io.BytesIO()
    image.save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


SOURCES: dict[str, Any] = {
    "Pillow images": lambda paths: PILLOW,
    "Pillow images of int32": lambda paths: [Image.fromarray(image[..., 0].astype(np.int32)) for image in DEEP],
    "opened files": lambda paths: [Image.open(path) for path in paths],
    "(path, label)": lambda paths: list(zip(paths, LABELS, strict=True)),
    "paths": lambda paths: paths,
    "bytes": lambda paths: [{"image": encoded(image), "label": 0} for image in PILLOW],
    "Hugging Face": lambda paths: tables.Dataset(
        {"image": PILLOW, "label": LABELS}, {"image": tables.Image(), "label": tables.ClassLabel(["a", "b"])}),
    "arrays": lambda paths: list(DEEP),
    "torch": lambda paths: TensorDataset(torch.from_numpy(DEEP.astype(np.int32)), torch.tensor(LABELS)),
    "dictionary": lambda paths: {"x": DEEP, "y": LABELS},
}  # fmt: skip


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    for i, image in enumerate(PILLOW):
        image.save(tmp_path / f"{i}.png")
    return [str(tmp_path / f"{i}.png") for i in range(5)]


@pytest.mark.parametrize("name", SOURCES)
def test_one_scale_for_the_whole_list(name: str, paths: list[str]) -> None:
    opened = data.open(SOURCES[name](paths))
    assert isinstance(opened, data.Images) and np.abs(opened.rows.astype(int) - GREY).max() <= 1
    found = [note for note in opened.notes if "12-bit numbers: 4095 is white" in note]
    assert len(found) == 1
    assert list(opened.source["scales_used"].values()) == [[0.0, 4095.0]]
    wider = data.open(SOURCES[name](paths), scales={kind: [0, 8190] for kind in opened.source["scales_used"]})
    assert isinstance(wider, data.Images) and wider.rows.max() == 127
    report = data.check(SOURCES[name](paths))
    assert sum("12-bit" in note for note in report.notes) == 1


def test_arrays_of_several_sizes(paths: list[str]) -> None:
    arrays = [np.tile(image, (1 + i % 2, 1, 1)) for i, image in enumerate(DEEP)]
    opened = data.open(arrays, shape=(1, 9, 7))
    assert isinstance(opened, data.Images) and np.abs(opened.rows[::2].astype(int) - GREY[::2]).max() <= 1
    assert any("12-bit" in note for note in opened.notes)


def test_opened_colours_of_16_bits(tmp_path: Path) -> None:
    """Pillow keeps only the high byte of these, so they are read from their file."""
    colours = GREY.repeat(3, 3).astype(np.uint16) * 16
    for i, image in enumerate(colours):
        write16(image, tmp_path / f"{i}.png")
    lazy = [Image.open(tmp_path / f"{i}.png") for i in range(5)]
    opened = data.open(lazy)
    assert isinstance(opened, data.Images) and np.abs(opened.rows.astype(int) - GREY).max() <= 1
    assert all(np.asarray(image).shape == (9, 7, 3) for image in lazy), "the images of the caller can still be loaded"


def test_unclear_numbers_are_left_out_with_their_labels() -> None:
    dark = Image.fromarray(np.full((9, 7), 9, np.uint16))
    images = [Image.fromarray(GREY[0, ..., 0]), dark, Image.fromarray(GREY[2, ..., 0])]
    opened = data.open(images, labels=["a", "b", "c"])
    assert opened.labels is not None and [opened.class_names[i] for i in opened.labels] == ["a", "c"]
    assert [name for name, _ in opened.bad_files] == ["image 1"]
    assert any(note.startswith("left out image 1: uint16 values from 9 to 9") for note in opened.notes)
    with pytest.raises(BadInput, match="none of the 1 images.*uint16 values from 9 to 9"):
        data.open([dark])
    with pytest.raises(BadInput, match="is 1 white"):
        data.open([Image.fromarray(np.eye(8, dtype=np.uint8))] * 2)
    nan = Image.fromarray(np.full((9, 7), np.nan, np.float32))
    assert data.open([images[0], nan]).bad_files == [("image 1", "NaN or infinite values")]


def test_files_that_are_not_read_are_named_in_lists(paths: list[str], tmp_path: Path) -> None:
    Image.open(paths[0]).save(tmp_path / "x.tif")
    raw = (tmp_path / "x.tif").rename(tmp_path / "x.nef")  # camera raw files are TIFF files with a small preview
    for source in (
        [*paths, str(raw)],
        [(path, 0) for path in [*paths, raw]],
        tables.DataFrame({"path": [*paths, str(raw)]}),
    ):
        opened = data.open(source)
        assert len(opened) == 5 and "camera raw" in opened.bad_files[0][1]


def test_crop_note_of_lists() -> None:
    wide = [Image.new("RGB", (40 + i, 10), "red") for i in range(3)]
    for source in (wide, [np.asarray(image) for image in wide]):
        notes = data.open(source, shape=(3, 8, 8)).notes
        assert sum("fit crop cuts away" in note for note in notes) == 1


@pytest.mark.parametrize("kind", ["arrays", "images", "npz"])
@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_pairs_have_a_scale_for_each_side(kind: str, direction: str, tmp_path: Path) -> None:
    inputs, targets = DEEP, DEEP * 4
    source: Any = (inputs, targets)
    if kind == "images":
        source = PILLOW, [Image.fromarray(image[..., 0]) for image in targets]
    if kind == "npz":
        source = str(tmp_path / "pairs.npz")
        np.savez(source, images=targets, inputs=inputs, labels=[0, 2, 2, 0, 0])
    opened = data.open(source, inputs="pairs", direction=direction)
    assert isinstance(opened, data.Domains)
    for rows in (opened.rows, opened.inputs.rows):
        assert np.abs(rows.astype(int) - GREY).max() <= 1
    assert opened.source["scales_used"] == {"a": {"uint16": [0.0, 4095.0]}, "b": {"uint16": [0.0, 16383.0]}}
    assert [note for note in opened.notes if "inputs: " in note and "12-bit" in note]
    again = data.open(source, inputs="pairs", scales={"a": {"uint16": [0, 8190]}, "b": {"uint16": [0, 16383]}})
    assert isinstance(again, data.Domains) and again.inputs.rows.max() == 127 and again.rows.max() == 254


def test_a_run_on_pairs_in_memory_records_the_scale_of_its_inputs(tmp_path: Path) -> None:
    from ganloom.apps.translate import _scales

    square = np.tile(DEEP[:, :8, :7], (1, 2, 2, 1))[:, :8, :8]
    square[0, 0, 0] = 4080
    options: dict[str, Any] = {
        "shape": (1, 8, 8), "in_channels": 1, "batch_size": 1, "width": 4, "blocks": 1, "judge": 0, "grid": 4, "doctor": False,
    }  # fmt: skip
    run = ganloom.train(
        "cyclegan", data=(square, square * 4), direction="BtoA", out=tmp_path / "run", total_kimg=0.001, **options
    )
    assert _scales(run.path, False) == {"uint16": [0.0, 16383.0]}, "the inputs are domain B"
    assert _scales(run.path, True) == {"uint16": [0.0, 4095.0]}
