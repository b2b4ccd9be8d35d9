"""One picture file in, one 8-bit Pillow picture out; every fault is a ``BadPicture`` with a short reason.

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
"""A picture whose header claims more pixels is not decoded."""

MAX_BYTES = 256 * 2**20
"""A file or archive member with more bytes is not read."""

EXTENSIONS = frozenset(
    ".png .apng .jpg .jpeg .jpe .jfif .webp .bmp .dib .gif .tif .tiff .ppm .pgm .pbm .pnm .pfm .tga .ico"
    " .jp2 .j2k .jpx .avif".split()
)
"""Names that end so are taken for pictures; all other files are ignored."""

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


class BadPicture(Exception):
    """This file is no usable picture; the message is the reason, a few words."""


class Header(NamedTuple):
    """What a picture says of itself: ``size`` is (width, height) as shown, ``bits`` a channel's depth."""

    size: tuple[int, int]
    channels: int
    mode: str
    format: str
    bits: int


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Pillow warns of odd metadata and large pictures; both are judged here, so nothing of it reaches the user.

    Python's warning filters belong to the process, so this wraps a whole pool of threads, never one thread's work.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except BadPicture:
        raise
    except UnidentifiedImageError:
        raise BadPicture("not a picture") from None
    except Image.DecompressionBombError:
        raise BadPicture(f"too many pixels, the limit is {MAX_PIXELS / 1e6:.0f} million") from None
    except PermissionError:
        raise BadPicture("no permission to read it") from None
    except MemoryError:
        raise BadPicture("too large for this machine's memory") from None
    # Damaged files surface as whatever the decoder stumbled over: OSError, ValueError, SyntaxError, struct.error,
    # zlib.error, IndexError, EOFError ... The promise is that one bad file never ends a run, so all are caught.
    except Exception as error:
        words = " ".join(str(error).split())[:100] or type(error).__name__
        raise BadPicture(f"damaged: {words}") from None


def _open(file: BinaryIO, name: str) -> Image.Image:
    """The picture with its header read and judged; no pixel is decoded yet."""
    if not file.read(1):
        raise BadPicture("empty file")
    file.seek(0)
    Image.init()
    formats = [f for f in _FORMATS if f in Image.OPEN]
    if name.lower().endswith(".tga"):  # TGA has no magic number: tried on other names it would take noise for a picture
        formats.append("TGA")
    picture = Image.open(file, formats=formats)
    width, height = picture.size
    if width * height > MAX_PIXELS:
        millions = width * height / 1e6
        raise BadPicture(
            f"too many pixels: {width} x {height} = {millions:.0f} million, the limit is {MAX_PIXELS / 1e6:.0f}"
        )
    if min(width, height) < 1:
        raise BadPicture("has no pixels")
    return picture


def _orientation(picture: Image.Image) -> int:
    """EXIF orientation 1-8; unreadable EXIF counts as upright, for the picture itself may be sound."""
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _deep(picture: Image.Image) -> bool:
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def _channels(picture: Image.Image) -> int:
    if _deep(picture):
        return 1
    grey = picture.mode in ("1", "L", "LA", "La")
    return (1 if grey else 3) + int(picture.has_transparency_data)


def _bits(picture: Image.Image) -> int:
    if picture.mode == "1":
        return 1
    file: BinaryIO | None = getattr(picture, "fp", None)
    if picture.format == "PNG" and file is not None:
        position = file.tell()
        file.seek(24)  # IHDR's depth byte: Pillow hides it for 16-bit RGB
        depth = file.read(1)
        file.seek(position)
        return int(struct.unpack("B", depth)[0]) if depth else 8
    return {"I": 32, "F": 32}.get(picture.mode, 16 if _deep(picture) else 8)


def header(file: BinaryIO, name: str) -> Header:
    """Read size, mode and depth of a picture without decoding it. Raises ``BadPicture``."""
    with _faults():
        picture = _open(file, name)
        bits = _bits(picture)
        # A PNG without an EXIF chunk would be decoded whole just to look for one behind the pixels.
        known = picture.format != "PNG" or "exif" in picture.info
        turned = known and _orientation(picture) >= 5
        size = (picture.height, picture.width) if turned else picture.size
        return Header(size, _channels(picture), picture.mode, picture.format or "", bits)


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Scale a 16-bit, integer or float grey picture to 8 bits: 65535 -> 255, 1.0 -> 255."""
    values = np.asarray(picture)
    low, high = float(values.min()), float(values.max())
    top = 1.0 if picture.mode == "F" else 65535.0
    if not (low >= 0 and high <= top):  # also true of NaN
        raise BadPicture(f"values from {low:g} to {high:g}: expected 0 to {top:g}")
    return Image.fromarray(np.rint(values * (255.0 / top)).astype(np.uint8))


def convert(picture: Image.Image, channels: int) -> Image.Image:
    """A picture of mode L, LA, RGB or RGBA in ``channels`` 1-4.

    RGB to grey by luma (ITU-R 601), grey to RGB by repetition; alpha that the target lacks is dropped by compositing on
    white, alpha that the picture lacks is added opaque.
    """
    if picture.mode == _MODES[channels]:
        return picture
    if picture.mode in ("LA", "RGBA") and channels in (1, 3):
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert(_MODES[channels])


def _plain(picture: Image.Image) -> Image.Image:
    """Any mode that Pillow reads, as one of L, LA, RGB, RGBA."""
    channels = _channels(picture)
    if _deep(picture):
        return _eight_bit(picture)
    if picture.mode in ("La", "RGBa", "PA"):  # these convert only to their straight twin
        picture = picture.convert("LA" if picture.mode == "La" else "RGBA")
    elif picture.mode == "1" and channels == 1:
        picture = picture.convert("L")
    return picture if picture.mode == _MODES[channels] else picture.convert(_MODES[channels])


def decode(file: BinaryIO, name: str, at_least: int | None = None) -> Image.Image:
    """The first frame of a picture file, upright, 8 bits a channel, of mode L, LA, RGB or RGBA.

    ``at_least``: a JPEG may be decoded at 1/2, 1/4 or 1/8 as long as both sides keep this many pixels; None: whole.
    Raises ``BadPicture``. Call it within ``quiet()``.
    """
    with _faults():
        picture = _open(file, name)
        if at_least is not None and picture.format == "JPEG":
            picture.draft(None, (at_least, at_least))
        picture.load()
        turn = _TURNS.get(_orientation(picture))
        plain = _plain(picture)
        return plain if turn is None else plain.transpose(turn)


def to_array(picture: Image.Image) -> NDArray[np.uint8]:
    """A picture of mode L, LA, RGB or RGBA as uint8 (H, W, C)."""
    pixels = np.asarray(picture, dtype=np.uint8)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def from_array(pixels: NDArray[np.uint8]) -> Image.Image:
    """uint8 (H, W, C) with 1-4 channels as a picture of mode L, LA, RGB or RGBA."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
