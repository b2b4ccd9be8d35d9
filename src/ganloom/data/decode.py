"""One image file in, one 8-bit Pillow image out; every fault is a ``BadImage`` with a short reason.

The header is judged before any pixel is decoded, so a decompression bomb costs nothing. Only the formats listed here
are ever tried: Pillow's other readers (EPS, WMF, ...) may start outside programs.
"""

import contextlib
import struct
import warnings
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

VERSION = 1
"""Raised whenever the same file would decode to other pixels; part of the key of cached stores."""

MAX_PIXELS = 64_000_000
"""An image whose header claims more pixels is not decoded."""

MAX_BYTES = 256 * 2**20
"""A file or archive member with more bytes is not read."""

EXTENSIONS = frozenset(
    ".png .apng .jpg .jpeg .jpe .jfif .webp .bmp .dib .gif .tif .tiff .ppm .pgm .pbm .pnm .pfm .tga .ico"
    " .jp2 .j2k .jpx .avif".split()
)
"""Names that end so are taken for images; all other files are ignored."""

_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "ICO", "JPEG2000", "AVIF")
_ORIENTATION = 0x0112
_TURNS = {
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
    """This file is no usable image; the message is the reason, a few words."""


class Header(NamedTuple):
    """What an image says of itself: ``size`` is (width, height) as shown, ``bits`` a channel's depth."""

    size: tuple[int, int]
    channels: int
    mode: str
    format: str
    bits: int


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Pillow warns of odd metadata and large images; both are judged here, so nothing of it reaches the user.

    Python's warning filters belong to the process, so this wraps a whole pool of threads, never one thread's work.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _faults() -> Iterator[None]:
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
    # Damaged files surface as whatever the decoder stumbled over: OSError, ValueError, SyntaxError, struct.error,
    # zlib.error, IndexError, EOFError ... The promise is that one bad file never ends a run, so all are caught.
    except Exception as error:
        words = " ".join(str(error).split())[:100] or type(error).__name__
        raise BadImage(f"damaged: {words}") from None


def _open(file: BinaryIO, name: str) -> Image.Image:
    """The image with its header read and judged; no pixel is decoded yet."""
    if not file.read(1):
        raise BadImage("empty file")
    file.seek(0)
    Image.init()
    formats = [f for f in _FORMATS if f in Image.OPEN]
    if name.lower().endswith(".tga"):  # TGA has no magic number: tried on other names it would take noise for an image
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
    """EXIF orientation 1-8; unreadable EXIF counts as upright, for the image itself may be sound."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _deep(image: Image.Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _channels(image: Image.Image) -> int:
    if _deep(image):
        return 1
    grey = image.mode in ("1", "L", "LA", "La")
    return (1 if grey else 3) + int(image.has_transparency_data)


def _bits(image: Image.Image) -> int:
    if image.mode == "1":
        return 1
    file: BinaryIO | None = getattr(image, "fp", None)
    if image.format == "PNG" and file is not None:
        position = file.tell()
        file.seek(24)  # IHDR's depth byte: Pillow hides it for 16-bit RGB
        depth = file.read(1)
        file.seek(position)
        return int(struct.unpack("B", depth)[0]) if depth else 8
    return {"I": 32, "F": 32}.get(image.mode, 16 if _deep(image) else 8)


def header(file: BinaryIO, name: str) -> Header:
    """Read size, mode and depth of an image without decoding it. Raises ``BadImage``."""
    with _faults():
        image = _open(file, name)
        bits = _bits(image)
        # A PNG without an EXIF chunk would be decoded whole just to look for one behind the pixels.
        known = image.format != "PNG" or "exif" in image.info
        turned = known and _orientation(image) >= 5
        size = (image.height, image.width) if turned else image.size
        return Header(size, _channels(image), image.mode, image.format or "", bits)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale a 16-bit, integer or float grey image to 8 bits: 65535 -> 255, 1.0 -> 255."""
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    top = 1.0 if image.mode == "F" else 65535.0
    if not (low >= 0 and high <= top):  # also true of NaN
        raise BadImage(f"values from {low:g} to {high:g}: expected 0 to {top:g}")
    return Image.fromarray(np.rint(values * (255.0 / top)).astype(np.uint8))


def convert(image: Image.Image, channels: int) -> Image.Image:
    """An image of mode L, LA, RGB or RGBA in ``channels`` 1-4.

    RGB to grey by luma (ITU-R 601), grey to RGB by repetition; alpha that the target lacks is dropped by compositing on
    white, alpha that the image lacks is added opaque.
    """
    if image.mode == _MODES[channels]:
        return image
    if image.mode in ("LA", "RGBA") and channels in (1, 3):
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert(_MODES[channels])


def _plain(image: Image.Image) -> Image.Image:
    """Any mode that Pillow reads, as one of L, LA, RGB, RGBA."""
    channels = _channels(image)
    if _deep(image):
        return _eight_bit(image)
    if image.mode in ("La", "RGBa", "PA"):  # these convert only to their straight twin
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    elif image.mode == "1" and channels == 1:
        image = image.convert("L")
    return image if image.mode == _MODES[channels] else image.convert(_MODES[channels])


def decode(file: BinaryIO, name: str, at_least: int | None = None) -> Image.Image:
    """The first frame of an image file, upright, 8 bits a channel, of mode L, LA, RGB or RGBA.

    ``at_least``: a JPEG may be decoded at 1/2, 1/4 or 1/8 as long as both sides keep this many pixels; None: whole.
    Raises ``BadImage``. Call it within ``quiet()``.
    """
    with _faults():
        image = _open(file, name)
        if at_least is not None and image.format == "JPEG":
            image.draft(None, (at_least, at_least))
        image.load()
        turn = _TURNS.get(_orientation(image))
        plain = _plain(image)
        return plain if turn is None else plain.transpose(turn)


def to_array(image: Image.Image) -> NDArray[np.uint8]:
    """An image of mode L, LA, RGB or RGBA as uint8 (H, W, C)."""
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def from_array(pixels: NDArray[np.uint8]) -> Image.Image:
    """uint8 (H, W, C) with 1-4 channels as an image of mode L, LA, RGB or RGBA."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
