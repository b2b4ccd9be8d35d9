"""Read and write PNG files of 16 bits per channel as (H, W, C) uint16. Pillow reads and writes them for grey only.

The codec is pypng. This module adds limits: a file may claim at most `MAX_PIXELS` pixels, and it inflates in small parts,
so that a small file cannot fill the memory.
"""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.core.output_files import written

MAX_PIXELS = 64_000_000
_PART = 4096
"""Bytes of compressed data given to zlib at once, which inflates them to at most 4 MiB."""


def read16(content: bytes) -> NDArray[np.uint16] | None:
    """Decode a PNG of 16 bits per channel.

    Args:
        content: The bytes of any file.

    Returns:
        (H, W, 1 to 4) uint16, or None where the file is not a PNG of 16 bits per channel.

    Raises:
        BadInput: The PNG is damaged, interlaced, or has more than `MAX_PIXELS` pixels.
    """
    if content[:8] != b"\x89PNG\r\n\x1a\n" or content[12:16] != b"IHDR" or content[24:25] != b"\x10":
        return None
    try:
        return _decode(content)
    except BadInput:
        raise
    except Exception as error:  # pypng, zlib and struct have errors of their own for damaged files
        message = " ".join(str(error).split())[:120]
        raise BadInput(f"a damaged PNG of 16 bits ({message})") from None


def _decode(content: bytes) -> NDArray[np.uint16]:
    reader: Any = _reader(content)
    reader.preamble()
    width, height = reader.width, reader.height
    if reader.interlace:
        raise BadInput("a PNG of 16 bits that is interlaced: save it without interlacing")
    if not 0 < width * height <= MAX_PIXELS:
        raise BadInput(f"a PNG of {width} x {height} pixels: the limit is {MAX_PIXELS // 10**6} million")
    rows = [np.asarray(row, np.uint16) for row in islice(reader.read()[2], height)]
    if len(rows) != height:
        raise BadInput("a damaged PNG of 16 bits: it ends before its last row")
    return np.stack(rows).reshape(height, width, reader.planes)


def _reader(content: bytes) -> Any:
    """Return pypng's reader, which gets the image data in parts of `_PART` bytes."""
    import png  # type: ignore[import-untyped]

    class Reader(png.Reader):  # type: ignore[misc]
        parts: list[tuple[bytes, bytes]] = []

        def chunk(self, lenient: bool = False) -> tuple[bytes, bytes]:
            if not self.parts:
                kind, data = super().chunk(lenient)
                starts = range(0, len(data), _PART) if kind == b"IDAT" else ()
                self.parts = [(kind, data[i : i + _PART]) for i in starts][::-1] or [(kind, data)]
            return self.parts.pop()

    return Reader(bytes=content)


def write16(pixels: NDArray[np.uint16], path: Path, *, overwrite: bool = False) -> None:
    """Write a PNG of 16 bits per channel, complete or not at all.

    Args:
        pixels: (H, W, 1 to 4) uint16: grey, grey and alpha, RGB, or RGBA.
        path: The file to write.
        overwrite: Replace an existing file.

    Raises:
        BadInput: The file exists with other content.
    """
    import png

    height, width, channels = pixels.shape
    writer = png.Writer(width, height, greyscale=channels < 3, alpha=channels in (2, 4), bitdepth=16, compression=6)
    with written(path, overwrite=overwrite) as temporary, open(temporary, "wb") as file:
        writer.write_packed(file, (row.tobytes() for row in pixels.astype(">u2")))
