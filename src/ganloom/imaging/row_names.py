"""Write names next to the rows of an image grid."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from ganloom.core.names import shown

LONGEST = 28
"""Letters of a name that are drawn."""
PAPER, INK = 250, 40


def beside(image: Image.Image, names: Sequence[str]) -> Image.Image:
    """Add a margin with a name for each row; a name that repeats is written once.

    Args:
        image: A grid of len(names) rows of equal height, of mode L, LA, RGB or RGBA.
        names: The name of each row, from the top.

    Returns:
        The wider image, of the same mode.
    """
    drawn = [shown(_drawable(name), LONGEST) for name in names]
    measure = ImageDraw.Draw(image)
    margin = 16 + max(int(measure.textlength(name)) for name in drawn)
    bands = len(image.getbands())
    paper, ink = ((PAPER,) * 3, (INK,) * 3) if bands >= 3 else ((PAPER,), (INK,))
    opaque = (255,) if bands in (2, 4) else ()
    sheet = Image.new(image.mode, (margin + image.width, image.height), (*paper, *opaque))
    sheet.paste(image, (margin, 0))
    draw, height = ImageDraw.Draw(sheet), image.height / len(drawn)
    for i, name in enumerate(drawn):
        if i == 0 or names[i] != names[i - 1]:
            draw.text((8, int((i + 0.5) * height) - 6), name, fill=(*ink, *opaque))
    return sheet


def _drawable(name: str) -> str:
    """The name in letters that the built-in font has; others are escapes."""
    return name.encode("latin-1", errors="backslashreplace").decode("latin-1")
