"""What pixel numbers mean: one rule for the whole set, for files and arrays alike; nothing is trained black."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganloom import data
from ganloom.core.errors import BadInput
from ganloom.data.pixel_scale import UnclearScale, choose
from ganloom.imaging.png16 import write16

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (5, 9, 7, 1), np.uint8)
GREY[0, 0, 0] = 255
GREY[1] //= 3  # a dark image among brighter ones stays dark


def folder(root: Path, arrays: Any, ending: str = "png") -> Path:
    """Write images of any type; colours of 16 bits as PNG only."""
    root.mkdir(exist_ok=True)
    for i, array in enumerate(arrays):
        path = root / f"{i}.{ending}"
        if array.dtype == np.uint16 and array.shape[2] > 1:
            write16(array, path)
        else:
            Image.fromarray(array[..., 0] if array.shape[2] == 1 else array).save(path)
    return root


def rgba(rows: np.ndarray) -> np.ndarray:
    """Pillow reads grey and alpha of 16 bits as RGBA."""
    return rows[..., [0, 0, 0, 1]] if rows.shape[3] == 2 else rows


def images(source: Any, **options: Any) -> data.Images:
    dataset = data.open(source, **options)
    assert isinstance(dataset, data.Images)
    return dataset


@pytest.mark.parametrize(("bits", "factor"), [(8, 1), (10, 4), (12, 16), (14, 64)])
@pytest.mark.parametrize("kind", ["png", "tif", "npy", "array", "zip"])
def test_narrow_numbers_in_16_bits_are_scaled_by_their_own_white(
    tmp_path: Path, bits: int, factor: int, kind: str
) -> None:
    deep = GREY.astype(np.uint16) * factor
    source: Any = deep
    if kind == "npy":
        source = tmp_path / "deep.npy"
        np.save(source, deep)
    elif kind != "array":
        source = folder(tmp_path / "deep", deep, "png" if kind == "zip" else kind)
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "deep.zip", "w") as archive:
            for path in source.iterdir():
                archive.write(path, path.name)
        source = tmp_path / "deep.zip"
    dataset = images(source)
    assert np.abs(dataset.rows.astype(int) - GREY).max() <= 1 and dataset.rows[1].max() < 90
    assert len(dataset.facts.notes) == 1 and f"{bits}-bit numbers: {2**bits - 1} is white" in dataset.facts.notes[0]
    assert dataset.source["scales_used"] == {"uint16": [0.0, 2.0**bits - 1]}
    assert any(f"{bits}-bit" in line for line in data.check(source).lines())
    assert kind == "array" or data.reopen(dataset.source).fingerprint == dataset.fingerprint


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_narrow_colours_of_16_bit_pngs(tmp_path: Path, channels: int) -> None:
    """Pillow keeps only the high byte of these, which is 0 to 15 for 12-bit numbers."""
    small = RANDOM.integers(0, 256, (4, 6, 8, channels), np.uint8)
    small[0, 0, 0] = 255
    for factor, opaque in ((1, False), (16, False), (16, True)):
        deep = small.astype(np.uint16) * factor
        expected = small.copy()
        if opaque and channels != 3:
            deep[..., -1], expected[..., -1] = 65535, 255
        rows = images(folder(tmp_path / f"{factor}{opaque}", deep)).rows
        assert np.abs(rows.astype(int) - rgba(expected)).max() <= 1


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_full_range_is_decoded_as_pillow_does(tmp_path: Path, channels: int) -> None:
    deep = RANDOM.integers(0, 65536, (4, 6, 8, channels)).astype(np.uint16)
    deep[1] //= 300  # a dark image does not change the scale of the set
    dataset = images(folder(tmp_path / "full", deep))
    expected = np.rint(deep / 257) if channels == 1 else deep >> 8
    assert np.array_equal(dataset.rows, rgba(expected.astype(np.uint8))) and dataset.facts.notes == []


def test_a_set_of_8_and_16_bits_is_scaled_by_type(tmp_path: Path) -> None:
    root = folder(tmp_path / "mixed", [*GREY[:2], *(GREY[2:].astype(np.uint16) * 16)])
    assert np.abs(images(root).rows.astype(int) - GREY).max() <= 1


@pytest.mark.parametrize(
    ("low", "high", "white"), [(0.0, 1.0, 1.0), (-1.0, 1.0, 1.0), (0.0, 255.0, 255.0), (0.0, 0.4, 1.0)]
)
@pytest.mark.parametrize("kind", ["tif", "npy"])
def test_floats(tmp_path: Path, low: float, high: float, white: float, kind: str) -> None:
    values = (low + RANDOM.random((4, 8, 8, 1)) * (high - low)).astype(np.float32)
    values[0, 0, 0], values[0, 0, 1] = low, high
    source = tmp_path / "f.npy"
    if kind == "npy":
        np.save(source, values)
    else:
        source = folder(tmp_path / "f", values, "tif")
    black = -1.0 if low < 0 else 0.0
    expected = np.rint((values - black) / (white - black) * 255)
    assert np.abs(images(source).rows - expected).max() <= 1


def test_pfm_and_ppm_of_16_bits(tmp_path: Path) -> None:
    for name, values in (("a", GREY[0, ..., 0]), ("b", GREY[1, ..., 0])):
        (tmp_path / f"{name}.pfm").write_bytes(b"Pf\n7 9\n-1.0\n" + values[::-1].astype("<f4").tobytes())
    rows = images(tmp_path).rows[..., 0]
    assert np.array_equal(rows, GREY[:2, ..., 0])
    colours = tmp_path / "ppm"
    colours.mkdir()
    dark = RANDOM.integers(0, 256, (4, 5, 3)).astype(">u2")
    (colours / "x.ppm").write_bytes(b"P6\n5 4\n65535\n" + dark.tobytes())
    with pytest.raises(BadInput, match="do not use all 16 bits"):
        data.open(colours)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.array([-1024, 3071], np.int32), "negative"),
        (np.array([0.0, 9000.0], np.float32), "scale floats to"),
        (np.array([0.0, 0.01], np.float32), "almost black"),
        (np.array([-0.05, 0.9], np.float32), "clip them"),
        (np.array([0.0, np.nan], np.float32), "NaN"),
        (np.array([0, 12], np.uint16), "labels, or very dark"),
        (np.array([0, 1], np.uint16), "white or nearly black"),
        (np.array([0, 100_000], np.int32), "give uint8"),
    ],
)
def test_unclear_numbers_are_refused_alike(tmp_path: Path, values: Any, reason: str) -> None:
    square = values.repeat(32).reshape(1, 8, 8, 1)
    for source in (square, folder(tmp_path / "x", square, "tif")):
        with pytest.raises(BadInput, match=reason) as fault:
            data.open(source)
        assert "\n" not in str(fault.value)


def test_unclear_files_among_others_are_left_out_and_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", GREY)
    Image.fromarray(np.full((9, 7), 7, np.uint16)).save(root / "map1.png")
    Image.fromarray(np.full((9, 7), 30, np.uint16)).save(root / "map2.png")
    dataset = images(root)
    assert len(dataset) == 5 and [Path(path).name for path, _ in dataset.bad_files] == ["map1.png", "map2.png"]
    assert "left out 2 files such as map1.png: uint16 values from 7 to 30" in dataset.facts.notes[0]


def test_masks_of_0_and_1_and_nearly_black_images(tmp_path: Path) -> None:
    mask = (GREY > 127).astype(np.uint8)
    for source in (mask, folder(tmp_path / "mask", mask)):
        with pytest.raises(BadInput, match="is 1 white or nearly black"):
            data.open(source)
    dim = images(folder(tmp_path / "dim", GREY // 32))
    assert "no pixel of any image is above 7" in dim.facts.notes[0]
    assert images(np.zeros((2, 5, 5), np.uint8)).facts.notes == ["all pixels are black"]


def test_signed_files_without_negative_values(tmp_path: Path) -> None:
    values = np.array([0, 2048, 4095, 100], "<i2").repeat(16).reshape(8, 8)
    tags = [(256, 4, 8), (257, 4, 8), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, 8),
            (279, 4, 128), (339, 3, 2)]  # fmt: skip
    entries = b"".join(
        tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little") + n.to_bytes(4, "little")
        for tag, kind, n in tags
    )
    directory = len(tags).to_bytes(2, "little") + entries + bytes(4)
    (tmp_path / "s.tif").write_bytes(b"II*\0" + (136).to_bytes(4, "little") + values.tobytes() + directory)
    signed = (
        (tmp_path / "s.tif")
        .read_bytes()
        .replace(bytes((2, 1, 3, 0, 1, 0, 0, 0, 16)), bytes((2, 1, 3, 0, 1, 0, 0, 0, 8)))
    )
    (tmp_path / "eight.tif").write_bytes(signed)
    dataset = images(tmp_path)
    assert dataset.bad_files[0][1] == "a TIFF of signed 8-bit numbers; save it with unsigned numbers"
    assert dataset.rows[0, ::2, 0, 0].tolist() == [0, 128, 255, 6]
    assert "int16 values from 0 to 4095 are taken for 12-bit" in dataset.facts.notes[0]


def test_another_set_can_be_read_with_the_scale_of_the_first(tmp_path: Path) -> None:
    train = images(folder(tmp_path / "train", GREY.astype(np.uint16) * 16))
    dark = folder(tmp_path / "dark", GREY[1:2].astype(np.uint16) * 8)  # alone it would be taken for 10 bits
    assert images(dark, scales=train.source["scales_used"]).rows.max() < 45
    assert images(dark).rows.max() > 150
    brighter = folder(tmp_path / "bright", GREY.astype(np.uint16) * 200)
    assert images(brighter, scales=train.source["scales_used"]).rows.max() < 255, "outside: the rule decides again"


def test_pairs_have_a_scale_for_each_side_and_the_hold_out_set_shares_it(tmp_path: Path) -> None:
    for part, rows in (("train", GREY), ("test", GREY[1:2])):
        (tmp_path / part).mkdir()
        folder(tmp_path / part / "A", rows.astype(np.uint16) * 16)
        folder(tmp_path / part / "B", rows.astype(np.uint16) * 257)
    d = data.open(tmp_path / "train", inputs="pairs")
    assert d.inputs is not None and np.abs(d.inputs.rows.astype(int) - GREY).max() <= 1
    assert d.source["scales_used"] == {"a": {"uint16": [0.0, 4095.0]}, "b": {"uint16": [0.0, 65535.0]}}
    (tmp_path / "both").mkdir()
    for name, source in (("trainA", "train/A"), ("trainB", "train/B"), ("testA", "test/A"), ("testB", "test/B")):
        (tmp_path / source).rename(tmp_path / "both" / name)
    for inputs in ("pairs", "domains"):
        held = data.open(tmp_path / "both", inputs=inputs).held
        assert held is not None and held.inputs.rows.max() < 90 and held.rows.max() < 90


def test_label_maps_of_16_bits_keep_their_labels(tmp_path: Path) -> None:
    labels = (np.arange(63).reshape(1, 9, 7, 1) % 12).astype(np.uint16)
    folder(tmp_path / "A", labels)
    folder(tmp_path / "B", GREY[:1])
    d = data.open(tmp_path, inputs="pairs", label_maps=True)
    (tmp_path / "A" / "0.png").unlink()
    folder(tmp_path / "A", labels.astype(np.uint8))
    assert d.inputs is not None
    assert np.array_equal(d.inputs.rows, data.open(tmp_path, inputs="pairs", label_maps=True).inputs.rows)


def test_a_set_of_8_bits_is_not_examined_for_scales(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganloom.data import file_index, translation_layout

    names: list[str] = []
    header = file_index.header
    monkeypatch.setattr(file_index, "header", lambda file, name: (names.append(name), header(file, name))[1])
    root = folder(tmp_path / "x", GREY.repeat(8, 0))
    assert len(images(root, shape=(1, 9, 7))) == 40
    assert len(names) <= translation_layout.EXAMINED, "headers are read to find pairs A|B, not for the scale"


def test_integers_of_numpys_default_type_are_taken_for_8_bits() -> None:
    dark = images(GREY.astype(np.int64) // 8)
    assert np.array_equal(dark.rows, GREY // 8) and "dark 8-bit numbers: 255 is white" in dark.facts.notes[0]
    assert images(GREY.astype(np.int64)).facts.notes == []


@pytest.mark.parametrize("white", [65535, 40000, 16384])
def test_choose_names_the_full_range_without_a_note(white: int) -> None:
    assert choose("uint16", 0, white) == (0.0, 65535.0, "")
    with pytest.raises(UnclearScale):
        choose("uint16", 0, 63)


def test_bits_below_eight_are_spread(tmp_path: Path) -> None:
    for bits in (1, 2, 4):
        file = io.BytesIO()
        image = Image.fromarray(GREY[0, ..., 0]).quantize(2**bits)
        image.save(file, "PNG", bits=bits)
        (tmp_path / f"{bits}.png").write_bytes(file.getvalue())
    Image.fromarray(GREY[0, ..., 0] > 127).save(tmp_path / "one.tif")
    assert images(tmp_path).rows.max() == 255


def test_commands_read_images_with_the_scale_of_the_training(tmp_path: Path) -> None:
    """``translate``, ``latent project`` and ``evaluate`` take a dark 12-bit image for one of 12 bits, as in the training."""
    import json

    import safetensors.torch

    from ganloom import testing
    from ganloom.apps import projection, translate
    from ganloom.core import config
    from ganloom.data.file_index import scan_folder
    from ganloom.data.file_scales import FileScales
    from ganloom.evaluation.evaluate import data_of, recorded_scales

    grey = RANDOM.integers(0, 256, (4, 16, 16, 1), np.uint8)
    grey[0, 0, 0] = 255
    (tmp_path / "d").mkdir()
    for side, rows in (("trainA", grey), ("trainB", grey[::-1])):
        folder(tmp_path / "d" / side, rows.astype(np.uint16) * 16)
    source = data.open(tmp_path / "d", inputs="domains").source
    gan = testing.build("cyclegan", (1, 16, 16))
    run = tmp_path / "run"
    run.mkdir()
    described = {"format": 1, "recipe": "cyclegan", "config": config.to_dict(gan.cfg), "data": {"source": source}}
    (run / "config.json").write_text(json.dumps(described))
    weights = {name: tensor.contiguous() for name, tensor in gan.state_dict().items()}
    safetensors.torch.save_file(weights, run / "G.safetensors")
    scales = recorded_scales(run)
    assert scales == {side: {"uint16": [0.0, 4095.0]} for side in "ab"}
    dark = folder(tmp_path / "dark", grey[1:3].astype(np.uint16) * 2)
    done = translate.translate_files(run, dark, tmp_path / "out", device="cpu")
    assert len(done.files) == 2 and (tmp_path / "out" / ".ganloom-output").exists()
    listing = scan_folder(str(dark))
    listing.scales = FileScales(scales["a"])
    pixels = translate.read(listing, 0)
    assert pixels.dtype == np.uint16 and np.abs(pixels / 65535 - grey[1] / 2047.5).max() < 1e-4
    alone = translate.read(scan_folder(str(dark)), 0)
    assert alone.max() > 3.5 * pixels.max(), "without the run, these are taken for 10 bits"
    opened, _, _ = data_of(run, str(tmp_path / "d"), gan)
    assert opened.source["scales"] == scales
    image = projection.read_image(dark / "0.png", (1, 16, 16), scales=scales["a"])
    assert torch_close(image, grey[1, ..., 0] / 2047.5)
    assert not torch_close(projection.read_image(dark / "0.png", (1, 16, 16)), grey[1, ..., 0] / 2047.5)
    (run / "config.json").write_text(json.dumps(described | {"data": "d", "scales": scales}))
    assert recorded_scales(run) == scales, "a model/ folder"
    for damaged in ({"uint16": "x"}, {"uint16": [1]}, {"a": 3}, {"uint16": [5, 5]}, [1]):
        with pytest.raises(BadInput, match="scales"):
            data.open(dark, scales=damaged)  # type: ignore[arg-type]


def torch_close(image: Any, expected: np.ndarray) -> bool:
    """Whether an image in [-1, 1] is this one in [0, 1], to 1 of 255."""
    return bool(np.abs((image[0, 0].numpy() + 1) / 2 - expected).max() < 1.1 / 255)


def test_translate_names_files_that_it_does_not_read(tmp_path: Path) -> None:
    from ganloom.apps import translate

    folder(tmp_path / "in", GREY)
    (tmp_path / "in" / "a.nef").write_bytes(b"raw")
    listing = translate.inputs_of(tmp_path / "in")
    assert [name for name, _ in listing.bad] == ["a.nef"]
    with pytest.raises(BadInput, match="camera raw"):
        translate.inputs_of(tmp_path / "in" / "a.nef")
