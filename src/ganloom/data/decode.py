"""Decode one image file to an 8-bit Pillow image; any fault raises ``BadImage`` with a short reason.

The header is checked before any pixel is decoded, so a decompression bomb costs nothing. Only the formats listed here
are tried: other readers of Pillow (EPS, WMF, ...) may start external programs. Images of more than 8 bits are scaled to
8 bits by the scale of their whole set, see `pixel_scale`.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ganloom.core.errors import BadInput
from ganloom.core.old_import_paths import renamed
from ganloom.data import deep_images
from ganloom.data.deep_images import Range, kind_of_numbers
from ganloom.data.file_kinds import NEEDS_HEIF, SNIFFED, content_kind, ending_of, heif_is_installed, why_not_read
from ganloom.data.pixel_scale import Scale, UnclearScale, choose

VERSION = 2
"""Increase it when a change here changes decoded pixels; it is part of the keys of the cache."""

MAX_PIXELS = 64_000_000
"""An image with more pixels, according to its header, is not decoded."""

MAX_BYTES = 256 * 2**20
"""A larger file or archive member, in bytes, is not read."""

_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "ICO", "JPEG2000", "AVIF")
_WITH_FRAMES = ("GIF", "PNG", "WEBP", "TIFF", "AVIF")
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
        bits: bits per channel in the file.
    """

    size: tuple[int, int]
    channels: int
    mode: str
    format: str
    bits: int

    @property
    def numbers(self) -> str:
        """The type of the numbers: "uint8", "uint16", "int16", "int32" or "float"."""
        return kind_of_numbers(self.mode, self.format, self.bits)


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
    except (BadInput, UnclearScale) as error:
        raise BadImage(str(error)) from None
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
    reason = why_not_read(name)
    if reason is not None:
        raise BadImage(reason)
    start = file.read(SNIFFED)
    if not start:
        raise BadImage("empty file")
    file.seek(0)
    Image.init()
    formats = [f for f in _FORMATS if f in Image.OPEN]
    if content_kind(start) == "HEIF":  # also one that is named .jpg, as some phones do
        if not heif_is_installed():
            raise BadImage(NEEDS_HEIF)
        formats = ["HEIF"]
    elif ending_of(name) == ".tga":  # TGA has no magic number, so any file would be tried as TGA
        formats.append("TGA")
    try:
        image = Image.open(file, formats=formats)
    except UnidentifiedImageError:
        kind = content_kind(start)
        if kind is None:
            raise
        raise BadImage(f"a {kind} file that is damaged, or of a kind that is not read; save it as PNG") from None
    _check(image)
    return image


def _check(image: Image.Image) -> None:
    """Refuse an opened image by its header."""
    if deep_images.is_signed_8_bit(image):
        raise BadImage("a TIFF of signed 8-bit numbers; save it with unsigned numbers")
    width, height = image.size
    if width * height > MAX_PIXELS:
        millions = width * height / 1e6
        raise BadImage(
            f"too many pixels: {width} x {height} = {millions:.0f} million, the limit is {MAX_PIXELS / 1e6:.0f}"
        )
    if min(width, height) < 1:
        raise BadImage("has no pixels")


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


def header(file: BinaryIO, name: str) -> Header:
    """Read size, mode and depth of an image without decoding it.

    Args:
        file: the open file.
        name: its name; .tga files are recognised by it alone.

    Raises:
        BadImage: the file is not a usable image.
    """
    with _as_bad_image():
        return _header_of(_open(file, name))


def header_of(image: Image.Image) -> Header:
    """Read size, mode and depth of an open Pillow image without decoding it. Raises BadImage if it cannot be used."""
    with _as_bad_image():
        _check(image)
        return _header_of(image)


def _header_of(image: Image.Image) -> Header:
    bits = deep_images.bits_of(image)
    # Pillow would decode a whole PNG only to look for an EXIF chunk after the pixels.
    has_exif = image.format != "PNG" or "exif" in image.info
    rotated = has_exif and _orientation(image) >= 5
    size = (image.height, image.width) if rotated else image.size
    return Header(size, _channels(image), image.mode, image.format or "", bits)


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
    # Pillow converts these only to the mode without premultiplied alpha or palette.
    if image.mode in ("La", "RGBa", "PA"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    elif image.mode == "1" and channels == 1:
        image = image.convert("L")
    return image if image.mode == _MODES[channels] else image.convert(_MODES[channels])


def decode(
    file: BinaryIO,
    name: str,
    at_least: int | None = None,
    scale_of: Callable[[str], Scale] | None = None,
    several: list[str] | None = None,
) -> Image.Image:
    """Decode the first frame of an image file, upright, with 8 bits per channel. Call it within ``quiet()``.

    Args:
        file: the open file.
        name: its name; .tga files are recognised by it alone.
        at_least: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size if both sides keep at least this many pixels.
            None: at full size.
        scale_of: returns the scale of numbers of more than 8 bits, from their type; it may raise ``UnclearScale``. None:
            this image is a set of its own.
        several: the names of files with several frames or pages are added to it.

    Returns:
        An image of mode L, LA, RGB or RGBA.

    Raises:
        BadImage: the file is not a usable image.
    """
    with _as_bad_image():
        image = _open(file, name)
        if at_least is not None and image.format == "JPEG":
            image.draft(None, (at_least, at_least))
        numbers = _header_of(image).numbers
        image.load()
        transpose = _UPRIGHT.get(_orientation(image))
        if numbers != "uint8":
            if scale_of is None:
                low, high = deep_images.value_range(image, file)
                scale = choose(numbers, low, high)
            else:
                scale = scale_of(numbers)
            image = deep_images.scaled(image, scale, file)
        plain = _to_plain_mode(image)
        plain = plain if transpose is None else plain.transpose(transpose)
        if several is not None and image.format in _WITH_FRAMES:
            if plain is image and image.format in ("GIF", "TIFF"):  # to look for the next frame changes these
                plain = plain.copy()
            if _has_more_frames(image):
                several.append(name)
        return plain


def value_range(file: BinaryIO, name: str) -> Range:
    """Decode an image of more than 8 bits and return the range of its values. Call it within ``quiet()``.

    Args:
        file: the open file.
        name: its name.

    Raises:
        BadImage: the file is not a usable image.
    """
    with _as_bad_image():
        image = _open(file, name)
        image.load()
        return deep_images.value_range(image, file)


def value_range_of(image: Image.Image) -> Range:
    """Return the range of the values of an open grey Pillow image of more than 8 bits. Raises BadImage if it is damaged."""
    with _as_bad_image():
        _check(image)
        image.load()
        return deep_images.value_range(image, None)


def _has_more_frames(image: Image.Image) -> bool:
    """Whether there is a second frame or page; False if it is damaged, because only the first is used."""
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:
        return False


def plain(image: Image.Image, scale_of: Callable[[str], Scale]) -> Image.Image:
    """Bring an open Pillow image to the form that ``decode`` returns: upright, 8 bits, mode L, LA, RGB or RGBA.

    Args:
        image: the image. Of colours with 16 bits, Pillow keeps only the high bytes.
        scale_of: see ``decode``.

    Raises:
        BadImage: the image cannot be used.
    """
    with _as_bad_image():
        _check(image)
        numbers = _header_of(image).numbers
        image.load()
        transpose = _UPRIGHT.get(_orientation(image))
        if _is_deep(image):
            image = deep_images.scaled(image, scale_of(numbers), None)
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
