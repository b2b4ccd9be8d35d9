"""PNG files of 16 bits a channel, which Pillow reads and writes for grey only: (H, W, C) uint16 in and out."""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput

_MAGIC = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
MOST_PIXELS = 64_000_000


def read16(content: bytes) -> NDArray[np.uint16] | None:
    """(H, W, 1 to 4) of a PNG of 16 bits a channel, None for any other file. BadInput for a damaged or interlaced one."""
    if content[:8] != _MAGIC or content[12:16] != b"IHDR" or len(content) < 33:
        return None
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", content[16:29])
    if depth != 16 or kind not in _CHANNELS:
        return None
    channels = _CHANNELS[kind]
    if interlaced:
        raise BadInput("a PNG of 16 bits that is interlaced: save it without interlacing")
    if not 0 < width * height <= MOST_PIXELS:
        raise BadInput(f"a PNG of {width} x {height} pixels: the limit is {MOST_PIXELS // 10**6} million")
    packed, at = [], 8
    while at + 12 <= len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        if content[at + 4 : at + 8] == b"IDAT":
            packed.append(content[at + 8 : at + 8 + size])
        at += 12 + size
    stride, rows = 2 * channels * width, height
    try:
        plain = zlib.decompressobj().decompress(b"".join(packed), rows * (stride + 1))
    except zlib.error as error:
        raise BadInput(f"a damaged PNG of 16 bits ({error})") from None
    if len(plain) != rows * (stride + 1):
        raise BadInput("a damaged PNG of 16 bits: it ends before its last row")
    lines = np.frombuffer(plain, np.uint8).reshape(rows, stride + 1)
    pixels = _unfiltered(lines[:, 0], lines[:, 1:].reshape(rows, width, 2 * channels))
    return np.ascontiguousarray(pixels).view(">u2").astype(np.uint16).reshape(height, width, channels)


def _unfiltered(kinds: NDArray[np.uint8], coded: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """PNG's filters undone along the diagonals, on each of which no pixel needs another: (H, W, bytes) uint8."""
    height, width, size = coded.shape
    if kinds.max(initial=0) > 4:
        raise BadInput("a damaged PNG of 16 bits: a row has a filter that does not exist")
    done = np.zeros((height + 1, width + 1, size), np.int16)  # a border of zeros above and on the left
    for d in range(height + width - 1):
        y = np.arange(max(0, d - width + 1), min(height, d + 1))
        x = d - y
        a, b, c = done[y + 1, x], done[y, x + 1], done[y, x]
        pa, pb, pc = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
        paeth = np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))
        kind = kinds[y][:, None]
        guess = np.select([kind == 1, kind == 2, kind == 3, kind == 4], [a, b, (a + b) // 2, paeth], 0)
        done[y + 1, x + 1] = (coded[y, x] + guess) & 255
    return done[1:, 1:].astype(np.uint8)


def write16(pixels: NDArray[np.uint16], path: Path) -> None:
    """Write (H, W, 1 to 4) as PNG: grey, grey and alpha, RGB or RGBA."""
    height, width, channels = pixels.shape
    kind = {n: k for k, n in _CHANNELS.items()}[channels]
    rows = np.ascontiguousarray(pixels.astype(">u2")).view(np.uint8).reshape(height, -1)
    above = np.vstack([np.zeros((1, rows.shape[1]), np.uint8), rows[:-1]])
    coded = np.hstack([np.full((height, 1), 2, np.uint8), rows - above]).tobytes()
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)), (b"IDAT", zlib.compress(coded, 6)),
        (b"IEND", b""),
    ]  # fmt: skip
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    path.write_bytes(_MAGIC + body)
