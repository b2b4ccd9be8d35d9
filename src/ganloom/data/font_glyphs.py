"""The images inside a colour font: the PNG files of OpenType's tables CBLC (where) and CBDT (what).

Pillow draws single code points; most of an emoji font are sequences (skins, flags, families), which want a shaper. Their
images lie in the font as they are, one a glyph, and need none.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from ganloom.core.errors import BadInput

_HEADS = {17: 5, 18: 8, 19: 0}  # image format -> bytes of metrics before the length of its PNG


def bitmaps(path: str) -> list[bytes]:
    """The PNG of each glyph of a font's largest strike, in the order of the glyphs, equal ones once; [] without CBDT.

    Raises BadInput for a file that is no font, or whose tables point outside of it.
    """
    font = Path(path).read_bytes()
    try:
        tables = _tables(font)
        if "CBLC" not in tables or "CBDT" not in tables:
            return []
        places, images = tables["CBLC"], tables["CBDT"]
        found = dict.fromkeys(_png(images, *place) for _, *place in sorted(_places(places)))
    except (struct.error, IndexError, ValueError) as error:
        raise BadInput(f"{path}: its colour images (CBLC, CBDT) cannot be read ({error}); give another font") from None
    return [png for png in found if png]


def _tables(font: bytes) -> dict[str, bytes]:
    if font[:4] not in (b"\0\1\0\0", b"OTTO", b"true"):
        raise ValueError("no TrueType or OpenType file")
    found = {}
    for i in range(struct.unpack_from(">H", font, 4)[0]):
        tag, _, start, length = struct.unpack_from(">4sIII", font, 12 + 16 * i)
        found[tag.decode("latin1")] = font[start : start + length]
    return found


def _places(table: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(glyph, image format, start in CBDT, bytes) of the strike with the most pixels an em."""
    sizes = struct.unpack_from(">I", table, 4)[0]
    strike = max((8 + 48 * i for i in range(sizes)), key=lambda at: table[at + 44])
    start, _, count = struct.unpack_from(">III", table, strike)
    for i in range(count):
        first, last, apart = struct.unpack_from(">HHI", table, start + 8 * i)
        yield from _run(table, start + apart, first, last)


def _run(table: bytes, at: int, first: int, last: int) -> Iterator[tuple[int, int, int, int]]:
    """One index of glyphs; the five kinds differ in whether glyphs lie side by side and images have one size."""
    kind, image, base = struct.unpack_from(">HHI", table, at)
    body, n = at + 8, last - first + 1
    glyphs: list[int] = list(range(first, last + 1))
    if kind in (1, 3):
        offsets = list(struct.unpack_from(f">{n + 1}{'I' if kind == 1 else 'H'}", table, body))
    elif kind == 4:
        n = struct.unpack_from(">I", table, body)[0]
        flat = struct.unpack_from(f">{2 * n + 2}H", table, body + 4)
        glyphs, offsets = list(flat[: 2 * n : 2]), list(flat[1::2])
    elif kind in (2, 5):
        each = struct.unpack_from(">I", table, body)[0]
        if kind == 5:
            n = struct.unpack_from(">I", table, body + 12)[0]
            glyphs = list(struct.unpack_from(f">{n}H", table, body + 16))
        offsets = [each * i for i in range(n + 1)]
    else:
        raise ValueError(f"an index of kind {kind}")
    for glyph, low, high in zip(glyphs, offsets[:-1], offsets[1:], strict=True):
        if high > low:
            yield glyph, image, base + low, high - low


def _png(table: bytes, image: int, start: int, length: int) -> bytes:
    if image not in _HEADS:
        return b""  # bitmaps without colour
    head = _HEADS[image]
    size = struct.unpack_from(">I", table, start + head)[0]
    if head + 4 + size > length or start + length > len(table):
        raise ValueError("an image ends outside of its table")
    return table[start + head + 4 : start + head + 4 + size]
