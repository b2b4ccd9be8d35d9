"""PNG files of 16 bits per channel: exact for all filters and channels, and limits for damaged and crafted files."""

import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganloom.core.errors import BadInput
from ganloom.imaging import png16


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_file(width: int, height: int, kind: int, packed: bytes, interlaced: int = 0, depth: int = 16) -> bytes:
    """A PNG by hand; ``packed`` is its compressed image data."""
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_16_bits(tmp_path: Path, channels: int) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 65536, (9, 13, channels), dtype=np.uint16)
    png16.write16(pixels, tmp_path / "x.png")
    assert np.array_equal(png16.read16((tmp_path / "x.png").read_bytes()), pixels)
    with Image.open(tmp_path / "x.png") as image:
        assert image.size == (13, 9) and (channels != 1 or np.array_equal(np.asarray(image), pixels[..., 0]))
    coded = rng.integers(0, 256, (9, 13, 6), dtype=np.uint8)
    kinds = np.array([0, 1, 2, 3, 4, 4, 3, 2, 1], np.uint8)
    plain = np.zeros((10, 14, 6), int)
    for y in range(9):
        for x in range(13):
            a, b, c = plain[y + 1, x], plain[y, x + 1], plain[y, x]
            p = a + b - c
            near = [min((abs(p[i] - v), k, v) for k, v in enumerate((a[i], b[i], c[i])))[2] for i in range(6)]
            guess = [np.zeros(6, int), a, b, (a + b) // 2, np.array(near)][kinds[y]]
            plain[y + 1, x + 1] = (coded[y, x] + guess) % 256
    lines = b"".join(bytes([kind]) + row.tobytes() for kind, row in zip(kinds, coded, strict=True))
    decoded = png16.read16(png_file(13, 9, 2, zlib.compress(lines)))
    assert decoded is not None and decoded.dtype == np.uint16 and decoded.shape == (9, 13, 3)
    assert np.array_equal(decoded, plain[1:, 1:].astype(np.uint8).view(">u2"))


ROW = b"\0" + bytes(range(12))
"""A row of two RGB pixels without a filter."""


def test_other_files_are_not_read(tmp_path: Path) -> None:
    for content in (b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", png_file(2, 1, 2, zlib.compress(ROW[:7]), depth=8)):
        assert png16.read16(content) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png_file(2, 2, 2, zlib.compress(ROW)), "ends before its last row"),
        (png_file(2, 2, 2, zlib.compress(ROW + ROW[:5])), "damaged"),
        (png_file(2, 1, 2, zlib.compress(ROW)[:-8]), "damaged"),
        (png_file(2, 1, 2, b"not zlib"), "damaged PNG of 16 bits .*incorrect header"),
        (png_file(2, 1, 2, b""), "ends before its last row"),
        (png_file(2, 1, 2, zlib.compress(b"\5" + ROW[1:])), "Invalid PNG Filter Type"),
        (png_file(2, 1, 2, zlib.compress(ROW), interlaced=1), "is interlaced: save it without"),
        (png_file(2, 1, 3, zlib.compress(ROW)), "damaged"),
        (png_file(0, 1, 2, zlib.compress(ROW)), "0 x 1 pixels: the limit is 64 million"),
        (png_file(8001, 8000, 2, zlib.compress(ROW)), "8001 x 8000 pixels: the limit is 64 million"),
        (png_file(2**31 - 1, 2**31 - 1, 2, zlib.compress(ROW)), "the limit is 64 million"),
        (png_file(2, 1, 2, zlib.compress(ROW)).replace(b"IDATx\x9c", b"IDATx\x9d"), "damaged .*Checksum error"),
        (png_file(2, 1, 2, zlib.compress(ROW))[:-30], "damaged"),
        (png_file(2, 1, 2, zlib.compress(ROW))[:33], "damaged .*no IDAT|damaged .*No more chunks"),
        (png_file(2, 1, 2, zlib.compress(ROW)).replace(b"IDAT", b"IDAX"), "damaged"),
        (png_file(2, 1, 2, zlib.compress(ROW))[:33] + b"\xff\xff\xff\xffIDAT", "damaged"),
    ],
)
def test_damaged_files_are_refused_in_one_line(content: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message) as error:
        png16.read16(content)
    assert "\n" not in str(error.value) and len(str(error.value)) < 200


def test_a_small_file_cannot_fill_the_memory() -> None:
    """64 MiB of zeros in one part of the file: only what the image's size needs is unpacked."""
    squeeze = zlib.compressobj(9)
    packed = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(64)) + squeeze.flush()
    begun = time.process_time()
    tracemalloc.start()
    try:
        pixels = png16.read16(png_file(100, 100, 2, packed))
        assert pixels is not None and not pixels.any() and tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()
    assert time.process_time() - begun < 20


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=4), st.integers(0, 90))
def test_changed_bytes_are_read_or_refused(changes: list[tuple[int, int]], end: int) -> None:
    content = bytearray(png_file(2, 1, 2, zlib.compress(ROW)))
    for place, value in changes:
        content[min(place, len(content) - 1)] = value
    try:
        pixels = png16.read16(bytes(content[:end]))
    except BadInput as error:
        assert "\n" not in str(error)
    else:
        assert pixels is None or pixels.ndim == 3
