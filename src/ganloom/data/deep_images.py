"""Images of more than 8 bits per channel: the type of their numbers, their range, and how they are scaled to 8 bits.

Pillow keeps the values of grey images. Of colour images with 16 bits it keeps only the high byte, which is right for
numbers that use all 16 bits; others are read again from the PNG file.
"""

from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganloom.core.errors import BadInput
from ganloom.data.pixel_scale import FULL_RANGE, Scale, UnclearScale, to_8_bits
from ganloom.imaging.png16 import read16

_BITS_PER_SAMPLE, _SAMPLE_FORMAT, _SIGNED = 258, 339, 2  # tags and a value of TIFF


class Range(NamedTuple):
    """The smallest and largest value of an image, without its alpha channel."""

    low: float
    high: float


def bits_of(image: Image.Image) -> int:
    """Return the bits per channel in the file of an opened image."""
    if image.mode == "1":
        return 1
    file: BinaryIO | None = getattr(image, "fp", None)
    file = None if file is None or file.closed else file
    if image.format == "PNG" and file is not None:
        depth = _bytes_at(file, 24, 1)  # of the IHDR chunk: Pillow does not report 16-bit RGB
        return depth[0] if depth else 8
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())
        return max((int(b) for b in bits), default=1) if isinstance(bits, tuple) else int(bits)
    if (
        image.format == "PPM"
        and image.mode != "F"
        and file is not None
        and _largest_in_ppm(_bytes_at(file, 0, 200)) > 255
    ):
        return 16
    return {"I": 32, "F": 32}.get(image.mode, 16 if image.mode.startswith("I;16") else 8)


def is_signed_8_bit(image: Image.Image) -> bool:
    """Whether an opened image has signed 8-bit numbers, which Pillow takes for unsigned ones."""
    if image.format != "TIFF" or image.mode.startswith("I"):
        return False
    formats = getattr(image, "tag_v2", {}).get(_SAMPLE_FORMAT, ())
    return _SIGNED in (formats if isinstance(formats, tuple) else (formats,))


def kind_of_numbers(mode: str, file_format: str, bits: int) -> str:
    """Return the type of an image's numbers: "uint8", "uint16", "int16", "int32" or "float".

    Args:
        mode: Pillow's mode.
        file_format: Pillow's name of the format.
        bits: see `bits_of`.
    """
    if mode == "F":
        return "float"
    if mode == "I":
        if bits == 32:
            return "int32"
        return "int16" if file_format == "TIFF" else "uint16"  # Pillow reads unsigned TIFF as "I;16"
    return "uint16" if mode.startswith("I;16") or bits > 8 else "uint8"


def value_range(image: Image.Image, file: BinaryIO | None) -> Range:
    """Return the range of the values of a loaded image of more than 8 bits.

    Args:
        image: the image, loaded.
        file: its file, for colour images with 16 bits; None for a grey image.

    Raises:
        UnclearScale: the values cannot be read exactly.
        BadInput: the PNG cannot be read.
    """
    values = np.asarray(image)
    if values.ndim == 2:
        return Range(float(values.min()), float(values.max()))
    high = _colours(values).max(initial=0)
    if high >= FULL_RANGE >> 8:  # the high byte alone says that all bits are in use
        return Range(0.0, float(high) * 257)
    return Range(0.0, float(_colours(_read_exactly(image, file)).max(initial=0)))


def scaled(image: Image.Image, scale: Scale, file: BinaryIO | None) -> Image.Image:
    """Scale a loaded image of more than 8 bits.

    Args:
        image: the image, loaded: grey of 16 or 32 bits, or the high bytes of a colour image of 16 bits.
        scale: the values that are black and white.
        file: its file, for colour images with 16 bits; None for a grey image.

    Returns:
        An image of mode L, LA, RGB or RGBA.

    Raises:
        UnclearScale: a value is outside the scale, or the values cannot be read exactly.
        BadInput: the PNG cannot be read.
    """
    values = np.asarray(image)
    if values.ndim == 2:
        low, high = float(values.min()), float(values.max())
        slack = 1e-4 * (scale.white - scale.black)
        if not (scale.black - slack <= low and high <= scale.white + slack):  # also true of NaN
            raise UnclearScale(f"values from {low:g} to {high:g}: expected {scale.black:g} to {scale.white:g}")
        return Image.fromarray(to_8_bits(values, scale))
    if scale.white >= (1 << 16) - 1:
        return image
    exact = _read_exactly(image, file)
    pixels = to_8_bits(exact, scale)
    if (
        exact.shape[2] in (2, 4) and exact[..., -1].max() > scale.white
    ):  # alpha uses all bits although the colours do not
        pixels[..., -1] = exact[..., -1] >> 8
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _read_exactly(image: Image.Image, file: BinaryIO | None) -> NDArray[np.uint16]:
    """The pixels of a colour image with 16 bits per channel, (H, W, C)."""
    if image.format != "PNG" or file is None:
        raise UnclearScale(
            f"16-bit colours of a {image.format} file that do not use all 16 bits: save it with 8 bits, or as a PNG"
        )
    file.seek(0)
    pixels = read16(file.read())
    if pixels is None:
        raise BadInput("a PNG of 16 bits that cannot be read")
    return pixels


def _colours(values: NDArray[Any]) -> NDArray[Any]:
    """The channels (H, W, 1 or 3) without alpha."""
    return values[..., :-1] if values.shape[-1] in (2, 4) else values


def _bytes_at(file: BinaryIO, position: int, count: int) -> bytes:
    """Some bytes of a file, whose position stays."""
    before = file.tell()
    file.seek(position)
    content = file.read(count)
    file.seek(before)
    return content


def _largest_in_ppm(start: bytes) -> int:
    """The largest value that the header of a .ppm, .pgm or .pbm file allows."""
    words: list[bytes] = []
    for line in start.split(b"\n"):
        words += line.split(b"#")[0].split()
        if len(words) >= 4:
            return int(words[3]) if words[0] in (b"P2", b"P3", b"P5", b"P6") and words[3].isdigit() else 255
    return 255
