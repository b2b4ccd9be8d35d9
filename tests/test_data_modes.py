"""Image files of every kind: modes, bit depth, orientation, animation; conversion of channels and resizing."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganloom import data
from ganloom.data.decode import BadImage, convert, decode, from_array, header, quiet, to_array
from ganloom.data.resize import crop_box, fit_image, kept_share, padded_share


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def read(image: Image.Image, kind: str = "PNG", name: str = "a.png", **options: Any) -> np.ndarray:
    with quiet():
        return to_array(decode(saved(image, kind, **options), name))


def ramp(channels: int, height: int = 6, width: int = 9) -> np.ndarray:
    return np.random.default_rng(channels).integers(0, 256, (height, width, channels), np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_plain_modes_come_back_exactly(channels: int) -> None:
    pixels = ramp(channels)
    assert np.array_equal(read(from_array(pixels)), pixels)
    head = header(saved(from_array(pixels)), "a.png")
    assert (head.size, head.channels, head.bits) == ((9, 6), channels, 8)


def test_one_bit_is_black_and_white() -> None:
    bits = ramp(1)[:, :, 0] > 127
    image = Image.fromarray(bits)
    assert image.mode == "1"
    assert np.array_equal(read(image)[:, :, 0], bits * np.uint8(255))
    assert header(saved(image), "a.png")[1:] == (1, "1", "PNG", 1)


def test_palette_is_looked_up() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert read(image).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    assert header(saved(image), "a.png").channels == 3


def test_palette_with_transparency_has_alpha() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert read(image, transparency=0).tolist() == [[[10, 20, 30, 0], [200, 100, 50, 255]]]
    assert header(saved(image, transparency=0), "a.png").channels == 4


def test_cmyk_jpeg_becomes_rgb() -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    pixels = read(image, "JPEG", "a.jpg", quality=95)
    assert pixels.shape == (16, 16, 3)
    assert pixels[8, 8, 0] > 230 and pixels[8, 8, 1:].max() < 40


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    image = Image.fromarray(values)
    assert image.mode == "I;16"
    assert read(image, kind).ravel().tolist() == [0, 1, 128, 255]
    assert header(saved(image, kind), "a.png").bits == 16


def test_float_tiff_is_scaled_and_out_of_range_refused() -> None:
    assert read(Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)), "TIFF").ravel().tolist() == [0, 128, 255]
    for bad, reason in ((-0.1, "clip them"), (7.0, "scale floats to"), (float("nan"), "NaN")):
        with pytest.raises(BadImage, match=reason):
            read(Image.fromarray(np.full((2, 2), bad, np.float32)), "TIFF")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:16, :24] = (255, 0, 0)  # top left
    upright[16:, 24:] = (0, 0, 255)  # bottom right
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo(upright)))
    pixels = read(stored, kind, exif=exif.tobytes()).astype(int)
    assert pixels.shape == upright.shape
    assert np.abs(pixels - upright).mean() < 6
    assert header(saved(stored, kind, exif=exif.tobytes()), "a.png").size == (48, 32)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    pixels = read(frames[0], kind, "a." + kind.lower(), save_all=True, append_images=frames[1:], duration=50, **options)
    assert pixels.shape[:2] == (8, 8)
    assert np.abs(pixels[..., :3].astype(int) - (255, 0, 0)).max() <= 3


def interlaced_png(pixels: np.ndarray) -> bytes:
    """An Adam7 interlaced PNG; Pillow cannot write one."""
    import struct
    import zlib

    height, width, _ = pixels.shape
    raw = b""
    for x0, y0, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        part = pixels[y0::dy, x0::dx]
        if part.size:
            raw += b"".join(b"\0" + row.tobytes() for row in part)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def test_interlaced_png_and_progressive_jpeg() -> None:
    pixels = ramp(3, 13, 17)
    with quiet():
        assert np.array_equal(to_array(decode(io.BytesIO(interlaced_png(pixels)), "a.png")), pixels)
    smooth = Image.new("RGB", (40, 40), (90, 120, 150))
    assert np.abs(read(smooth, "JPEG", "a.jpg", progressive=True).astype(int) - (90, 120, 150)).max() <= 3


def test_a_jpeg_decoded_small_looks_like_the_whole() -> None:
    x, y = np.meshgrid(np.linspace(0, 255, 512), np.linspace(0, 255, 384))
    image = Image.fromarray(np.stack([x, y, 255 - x], 2).astype(np.uint8))
    file = saved(image, "JPEG", quality=95)
    with quiet():
        small = decode(file, "a.jpg", at_least=64)
        file.seek(0)
        whole = decode(file, "a.jpg")
    assert small.width < 512 and min(small.size) >= 64 and whole.size == (512, 384)
    a, b = (fit_image(p, (3, 32, 32), "crop").astype(int) for p in (small, whole))
    assert np.abs(a - b).mean() < 2


@pytest.mark.parametrize(
    ("pixel", "channels", "expected"),
    [
        ((100,), 1, (100,)),
        ((100,), 2, (100, 255)),
        ((100,), 3, (100, 100, 100)),
        ((100,), 4, (100, 100, 100, 255)),
        ((0, 0), 1, (255,)),  # transparent becomes white
        ((100, 255), 1, (100,)),
        ((100, 60), 2, (100, 60)),
        ((0, 0), 3, (255, 255, 255)),
        ((100, 60), 4, (100, 100, 100, 60)),
        ((255, 0, 0), 1, (76,)),
        ((255, 0, 0), 2, (76, 255)),
        ((255, 0, 0), 3, (255, 0, 0)),
        ((255, 0, 0), 4, (255, 0, 0, 255)),
        ((9, 9, 9, 0), 1, (255,)),
        ((255, 0, 0, 60), 2, (76, 60)),
        ((0, 0, 0, 128), 3, (127, 127, 127)),
        ((255, 0, 0, 60), 4, (255, 0, 0, 60)),
    ],
)
def test_channel_conversions(pixel: tuple[int, ...], channels: int, expected: tuple[int, ...]) -> None:
    output = to_array(convert(from_array(np.array([[pixel]], np.uint8)), channels))
    assert output.shape == (1, 1, channels)
    assert tuple(output[0, 0].tolist()) == expected


def stripes() -> Image.Image:
    """40 wide, 20 high: red, green, green, blue quarters from left to right."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :10, 0] = pixels[:, 10:30, 1] = pixels[:, 30:, 2] = 255
    return Image.fromarray(pixels)


def test_crop_cuts_the_centre() -> None:
    assert (fit_image(stripes(), (3, 20, 20), "crop") == (0, 255, 0)).all()
    assert kept_share((40, 20), (3, 20, 20), "crop") == 0.5
    assert kept_share((40, 20), (3, 20, 20), "pad") == 1.0
    exact = ramp(3, 21, 34)
    assert np.array_equal(fit_image(from_array(exact), (3, 21, 20), "crop"), exact[:, 7:27])


def test_crop_takes_every_aspect() -> None:
    rng = np.random.default_rng(0)
    for side, other, height, width in rng.integers(1, 130, (3000, 4)).tolist():
        left, top, right, bottom = crop_box((side, other), width, height)
        assert 0 <= left < right <= side and 0 <= top < bottom <= other, (side, other, height, width)


def test_pad_keeps_all_and_fills_with_the_border() -> None:
    pixels = np.full((20, 40, 3), 240, np.uint8)
    pixels[5:15, 10:30] = 0
    output = fit_image(Image.fromarray(pixels), (3, 40, 40), "pad")
    assert np.array_equal(output[10:30], pixels)
    assert (output[:10] == 240).all() and (output[30:] == 240).all()
    assert padded_share((40, 20), (3, 40, 40), "pad") == 0.5
    assert padded_share((40, 20), (3, 40, 40), "crop") == 0.0


def test_squash_scales_each_side() -> None:
    output = fit_image(stripes(), (3, 20, 20), "squash")
    assert (
        (output[:, 1] == (255, 0, 0)).all() and (output[:, 10] == (0, 255, 0)).all() and (output[:, 18, 2] > 250).all()
    )


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("target", [(3, 16, 48), (3, 48, 16), (1, 7, 5), (4, 64, 64), (2, 1, 1)])
@pytest.mark.parametrize("size", [(40, 20), (1, 200), (64, 64)])
def test_any_size_reaches_any_shape(fit: str, target: tuple[int, int, int], size: tuple[int, int]) -> None:
    output = fit_image(Image.new("RGB", size, (50, 100, 150)), target, fit)
    assert output.shape == (target[1], target[2], target[0]) and output.dtype == np.uint8
    if target[0] >= 3:
        assert (
            np.abs(output[..., :3].astype(int) - (50, 100, 150)).max() <= 1
        )  # a plain image stays plain, border included
    assert 0 < kept_share(size, target, fit) <= 1 and 0 <= padded_share(size, target, fit) < 1


def test_geometry_of_non_square_targets() -> None:
    tall = fit_image(stripes(), (3, 40, 10), "crop")  # 5 of 40 columns, from the middle
    assert (tall == (0, 255, 0)).all()
    wide = fit_image(stripes(), (3, 10, 40), "crop")  # every column, the middle 10 rows
    assert (wide[:, 2] == (255, 0, 0)).all() and (wide[:, 37] == (0, 0, 255)).all()


def test_modes_mixed_in_one_folder(tmp_path: Path) -> None:
    for i, mode in enumerate(["1", "L", "LA", "P", "RGB", "RGBA", "RGB"]):
        Image.new(mode, (8, 8)).save(tmp_path / f"{i}.png")
    Image.new("CMYK", (8, 8)).save(tmp_path / "7.jpg")
    dataset = data.open(tmp_path, cache=False)
    assert len(dataset) == 8 and dataset.shape == (3, 8, 8)
    x = dataset.get(slice(None))
    assert x.dtype == torch.float32 and x.min() >= -1 and x.max() <= 1
    for channels in (1, 2, 3, 4):
        assert data.open(tmp_path, shape=(channels, 8, 8), cache=False).get(0).shape == (1, channels, 8, 8)
