"""Read the images inside a colour font: the PNG files in OpenType's tables CBLC (locations) and CBDT (data).

Pillow draws single code points. Most glyphs of an emoji font are sequences (skin tones, flags, families), which need text
shaping. The font stores their images one per glyph, so they can be read without shaping. fontTools reads the tables.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from ganloom.core.errors import BadInput, need

T = TypeVar("T")
_LIGATURE, _EXTENSION = 4, 7  # types of lookups in the table GSUB


def bitmaps(path: str) -> list[bytes]:
    """Return the images of a font's largest strike.

    Args:
        path: A TrueType or OpenType file.

    Returns:
        The PNG of each glyph, in the order of the glyphs, equal images once. [] for a font without the table CBDT.

    Raises:
        BadInput: The file is not a font, or its tables are damaged.
        MissingExtra: fontTools is not installed.
    """
    images = _read(path, lambda font: list(_largest_strike(font).values())) or []
    return [image for image in dict.fromkeys(images) if image]


def sequences(path: str) -> list[tuple[bytes, tuple[int, ...]]]:
    """Return the images of a font's largest strike with the text that each one shows.

    Args:
        path: A TrueType or OpenType file.

    Returns:
        (PNG, code points) of each glyph that text can show, in the order of the glyphs. The code points of a sequence are in
        the order of the font's ligature, which may be from right to left. [] for a font without the table CBDT.

    Raises:
        BadInput: The file is not a font, or its tables are damaged.
        MissingExtra: fontTools is not installed.
    """
    return _read(path, _sequences) or []


def _read(path: str, reader: Callable[[Any], list[T]]) -> list[T] | None:
    """Call ``reader`` with a font that has colour images; None for a font without them."""
    fonts = need("fontTools.ttLib", "fonts")
    try:
        with open(path, "rb") as file, fonts.TTFont(file, lazy=True) as font:
            if "CBLC" not in font or "CBDT" not in font:
                return None
            font.setGlyphOrder([])  # glyphs are named by their numbers, whatever names the font has
            return reader(font)
    except Exception as error:  # fontTools has no common error for damaged tables
        message = " ".join(str(error).split())[:120] or type(error).__name__
        raise BadInput(
            f"{path}: its colour images (CBLC, CBDT) cannot be read ({message}); give another font"
        ) from None


def _largest_strike(font: Any) -> dict[str, bytes]:
    """Return the PNG file of each glyph in the strike with the most pixels per em."""
    colour = need("fontTools.ttLib.tables.C_B_D_T_", "fonts").ColorBitmapGlyph
    sizes = [strike.bitmapSizeTable.ppemX for strike in font["CBLC"].strikes]
    glyphs = font["CBDT"].strikeData[sizes.index(max(sizes))]
    return {name: glyph.imageData for name, glyph in sorted(glyphs.items()) if isinstance(glyph, colour)}


def _sequences(font: Any) -> list[tuple[bytes, tuple[int, ...]]]:
    texts = {name: (point,) for point, name in reversed(font.getBestCmap().items())}  # the first of equals stays
    ligatures = _ligatures(font) if "GSUB" in font else []
    known: dict[str, tuple[int, ...]] = dict(texts)
    while ligatures:  # ligatures of ligatures need further passes
        ready = [(name, parts) for name, parts in ligatures if all(part in known for part in parts)]
        if not ready:
            break
        for name, parts in ready:
            known.setdefault(name, tuple(point for part in parts for point in known[part]))
        ligatures = [pair for pair in ligatures if pair not in ready]
    return [(image, known[name]) for name, image in _largest_strike(font).items() if image and name in known]


def _ligatures(font: Any) -> list[tuple[str, tuple[str, ...]]]:
    """The glyph of each ligature, and the glyphs that it replaces."""
    found = []
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for table in lookup.SubTable:
            table = table.ExtSubTable if table.LookupType == _EXTENSION else table
            if table.LookupType == _LIGATURE:
                for first, ligatures in table.ligatures.items():
                    found += [(one.LigGlyph, (first, *one.Component)) for one in ligatures]
    return list(dict.fromkeys(found))
