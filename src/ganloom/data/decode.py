"""Decode one image file to an 8-bit Pillow image; any fault raises ``BadImage`` with a short reason.

The header is checked before any pixel is decoded, so a decompression bomb costs nothing. Only the formats listed here
are tried: other readers of Pillow (EPS, WMF, ...) may start external programs. 16-bit and float images are scaled to
8 bits (`_scale_to_8_bits`).
"""

import contextlib
import struct
import warnings
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ganloom.core.old_import_paths import renamed

VERSION = 1
"""Increase it when a change here changes decoded pixels; it is part of the keys of the cache."""

MAX_PIXELS = 64_000_000
"""An image with more pixels, according to its header, is not decoded."""

MAX_BYTES = 256 * 2**20
"""A larger file or archive member, in bytes, is not read."""

EXTENSIONS = frozenset(
    ".png .apng .jpg .jpeg .jpe .jfif .webp .bmp .dib .gif .tif .tiff .ppm .pgm .pbm .pnm .pfm .tga .ico"
    " .jp2 .j2k .jpx .avif".split()
)
"""Files with these endings are taken for images; all others are ignored."""

_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "ICO", "JPEG2000", "AVIF")
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


class BadImage(Exception):
    """This file is not a usable image; the message is the reason in a few words."""


class Header(NamedTuple):
    """The header of an image file.

    Args:
        size: (width, height) in pixels, after the EXIF orientation is applied.
        channels: 1 to 4, as `decode` returns them.
        mode: Pillow's mode.
        format: Pillow's name of the format.
        bits: bits per channel.
    """

    size: tuple[int, int]
    channels: int
    mode: str
    format: str
    bits: int


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress Pillow's warnings about odd metadata and large images: both are handled here.

    Python's warning filters are global to the process, so use it around a whole pool of threads, not inside a thread.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _as_bad_image() -> Iterator[None]:
    """Raise any error as `BadImage`."""
    try:
        yield
    except BadImage:
        raise
    except UnidentifiedImageError:
        raise BadImage("not an image") from None
    except Image.DecompressionBombError:
        raise BadImage(f"too many pixels, the limit is {MAX_PIXELS / 1e6:.0f} million") from None
    except PermissionError:
        raise BadImage("no permission to read it") from None
    except MemoryError:
        raise BadImage("too large for this machine's memory") from None
    # Decoders raise many types for damaged files: OSError, ValueError, SyntaxError, struct.error, zlib.error, IndexError,
    # EOFError ... One bad file must never stop a run, so all are caught.
    except Exception as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise BadImage(f"damaged: {reason}") from None


def _open(file: BinaryIO, name: str) -> Image.Image:
    """Read and check the header of an image; no pixel is decoded yet."""
    if not file.read(1):
        raise BadImage("empty file")
    file.seek(0)
    Image.init()
    formats = [f for f in _FORMATS if f in Image.OPEN]
    if name.lower().endswith(".tga"):  # TGA has no magic number, so any file would be tried as TGA
        formats.append("TGA")
    image = Image.open(file, formats=formats)
    width, height = image.size
    if width * height > MAX_PIXELS:
        millions = width * height / 1e6
        raise BadImage(
            f"too many pixels: {width} x {height} = {millions:.0f} million, the limit is {MAX_PIXELS / 1e6:.0f}"
        )
    if min(width, height) < 1:
        raise BadImage("has no pixels")
    return image


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1-8; 1 (upright) if the EXIF data cannot be read, because the image itself may be intact."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _is_deep(image: Image.Image) -> bool:
    """Whether a grey image has more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _channels(image: Image.Image) -> int:
    """Channels after decoding: grey or RGB, and alpha."""
    if _is_deep(image):
        return 1
    grey = image.mode in ("1", "L", "LA", "La")
    return (1 if grey else 3) + int(image.has_transparency_data)


def _bits(image: Image.Image) -> int:
    """Bits per channel."""
    if image.mode == "1":
        return 1
    file: BinaryIO | None = getattr(image, "fp", None)
    if image.format == "PNG" and file is not None:
        position = file.tell()
        file.seek(24)  # the depth byte of the IHDR chunk: Pillow does not report 16-bit RGB
        depth = file.read(1)
        file.seek(position)
        return int(struct.unpack("B", depth)[0]) if depth else 8
    return {"I": 32, "F": 32}.get(image.mode, 16 if _is_deep(image) else 8)


def header(file: BinaryIO, name: str) -> Header:
    """Read size, mode and depth of an image without decoding it.

    Args:
        file: the open file.
        name: its name; .tga files are recognised by it alone.

    Raises:
        BadImage: the file is not a usable image.
    """
    with _as_bad_image():
        image = _open(file, name)
        bits = _bits(image)
        # Pillow would decode a whole PNG only to look for an EXIF chunk after the pixels.
        has_exif = image.format != "PNG" or "exif" in image.info
        rotated = has_exif and _orientation(image) >= 5
        size = (image.height, image.width) if rotated else image.size
        return Header(size, _channels(image), image.mode, image.format or "", bits)


def _scale_to_8_bits(image: Image.Image) -> Image.Image:
    """Scale a grey image of 16 bits, 32-bit integers or floats to 8 bits: 65535 -> 255, 1.0 -> 255."""
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    top = 1.0 if image.mode == "F" else 65535.0
    if not (low >= 0 and high <= top):  # also true of NaN
        raise BadImage(f"values from {low:g} to {high:g}: expected 0 to {top:g}")
    return Image.fromarray(np.rint(values * (255.0 / top)).astype(np.uint8))


def convert(image: Image.Image, channels: int) -> Image.Image:
    """Convert an image to another number of channels.

    RGB becomes grey by luma (ITU-R 601), grey becomes RGB by repetition. Alpha is removed by compositing on white, and
    added as opaque.

    Args:
        image: mode L, LA, RGB or RGBA.
        channels: 1 to 4 for L, LA, RGB or RGBA.

    Returns:
        The image in the mode of ``channels``; ``image`` itself if it has that mode.
    """
    if image.mode == _MODES[channels]:
        return image
    if image.mode in ("LA", "RGBA") and channels in (1, 3):
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert(_MODES[channels])


def _to_plain_mode(image: Image.Image) -> Image.Image:
    """Convert any mode that Pillow reads to L, LA, RGB or RGBA."""
    channels = _channels(image)
    if _is_deep(image):
        return _scale_to_8_bits(image)
    if image.mode in (
        "La",
        "RGBa",
        "PA",
    ):  # Pillow converts these only to the mode without premultiplied alpha or palette
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    elif image.mode == "1" and channels == 1:
        image = image.convert("L")
    return image if image.mode == _MODES[channels] else image.convert(_MODES[channels])


def decode(file: BinaryIO, name: str, at_least: int | None = None) -> Image.Image:
    """Decode the first frame of an image file, upright, with 8 bits per channel. Call it within ``quiet()``.

    Args:
        file: the open file.
        name: its name; .tga files are recognised by it alone.
        at_least: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size if both sides keep at least this many pixels.
            None: at full size.

    Returns:
        An image of mode L, LA, RGB or RGBA.

    Raises:
        BadImage: the file is not a usable image.
    """
    with _as_bad_image():
        image = _open(file, name)
        if at_least is not None and image.format == "JPEG":
            image.draft(None, (at_least, at_least))
        image.load()
        transpose = _UPRIGHT.get(_orientation(image))
        plain = _to_plain_mode(image)
        return plain if transpose is None else plain.transpose(transpose)


def plain(image: Image.Image) -> Image.Image:
    """Bring an open Pillow image to the form that ``decode`` returns: upright, 8 bits, mode L, LA, RGB or RGBA.

    Raises:
        BadImage: the image cannot be used.
    """
    with _as_bad_image():
        if image.width * image.height > MAX_PIXELS or min(image.size) < 1:
            raise BadImage(f"{image.width} x {image.height} pixels, the limit is {MAX_PIXELS / 1e6:.0f} million")
        image.load()
        transpose = _UPRIGHT.get(_orientation(image))
        converted = _to_plain_mode(image)
        return converted if transpose is None else converted.transpose(transpose)


def to_array(image: Image.Image) -> NDArray[np.uint8]:
    """Convert an image of mode L, LA, RGB or RGBA to uint8 (H, W, C)."""
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def from_array(pixels: NDArray[np.uint8]) -> Image.Image:
    """Convert uint8 (H, W, C) with 1 to 4 channels to an image of mode L, LA, RGB or RGBA."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


__getattr__ = renamed(__name__)  # names of earlier versions
