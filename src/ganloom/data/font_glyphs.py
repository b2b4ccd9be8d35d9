"""Read the images inside a colour font: the PNG files in OpenType's tables CBLC (locations) and CBDT (data).

Pillow draws single code points. Most glyphs of an emoji font are sequences (skin tones, flags, families), which need text
shaping. The font stores their images one per glyph, so they can be read without shaping. fontTools reads the tables.
"""

from typing import Any

from ganloom.core.errors import BadInput, need


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
    fonts = need("fontTools.ttLib", "fonts")
    try:
        with open(path, "rb") as file, fonts.TTFont(file, lazy=True) as font:
            return _largest_strike(font) if "CBLC" in font and "CBDT" in font else []
    except Exception as error:  # fontTools has no common error for damaged tables
        message = " ".join(str(error).split())[:120] or type(error).__name__
        raise BadInput(
            f"{path}: its colour images (CBLC, CBDT) cannot be read ({message}); give another font"
        ) from None


def _largest_strike(font: Any) -> list[bytes]:
    """Return the PNG files of the strike with the most pixels per em."""
    colour = need("fontTools.ttLib.tables.C_B_D_T_", "fonts").ColorBitmapGlyph
    font.setGlyphOrder([])  # glyphs are named by their numbers, whatever names the font has
    sizes = [strike.bitmapSizeTable.ppemX for strike in font["CBLC"].strikes]
    glyphs = font["CBDT"].strikeData[sizes.index(max(sizes))]
    images = [glyph.imageData for _, glyph in sorted(glyphs.items()) if isinstance(glyph, colour)]
    return [image for image in dict.fromkeys(images) if image]
