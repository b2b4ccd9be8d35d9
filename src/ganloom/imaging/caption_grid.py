"""Draw images in a grid with their captions under them."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw
from torch import Tensor

from ganloom.imaging import grid

PAPER, INK = 250, 40
LINE = 13
"""Height of a line of text in pixels."""
MOST_LINES = 4
CELL = 112
"""Least width of a cell in pixels, so that a few words fit on a line."""
LEAST_WIDTH = 512
GAP = 4


def captioned_grid(x: Tensor, captions: Sequence[str], columns: int | None = None) -> Image.Image:
    """Arrange images in a grid, each with its caption under it.

    Args:
        x: (N, C, H, W) float in [-1, 1], N at least 1.
        captions: A caption for each image; one that repeats the caption of the image before it in the row is written once.
        columns: Images per row. None: the grid is about square.

    Returns:
        An image of mode L, LA, RGB or RGBA, for 1 to 4 channels. Captions longer than four lines end with "...".
    """
    n, channels, height, width = x.shape
    columns = min(n, columns or max(1, round(math.sqrt(n * height / width))))
    scale = max(1, math.ceil(max(LEAST_WIDTH / columns, CELL) / width))
    cell_w, cell_h = width * scale, height * scale
    spans = _spans(captions, columns)
    texts = {first: _wrapped(captions[first], count * (cell_w + GAP) - GAP) for first, count in spans.items()}
    rows = math.ceil(n / columns)
    lines = [max(len(texts[i]) for i in texts if i // columns == row) for row in range(rows)]
    mode = grid.MODES[channels]
    paper, ink = _colour(mode, PAPER), _colour(mode, INK)
    sheet = Image.new(
        mode, (columns * (cell_w + GAP) + GAP, sum(cell_h + LINE * count + 2 * GAP for count in lines) + GAP), paper
    )
    draw, top = ImageDraw.Draw(sheet), GAP
    for row in range(rows):
        for i in range(row * columns, min(n, (row + 1) * columns)):
            left = GAP + (i - row * columns) * (cell_w + GAP)
            sheet.paste(grid.grid(x[i : i + 1], 1, pad=0, scale=scale), (left, top))
            for number, line in enumerate(texts.get(i, ())):
                draw.text((left, top + cell_h + 1 + number * LINE), line, fill=ink)
        top += cell_h + LINE * lines[row] + 2 * GAP
    return sheet


def _spans(captions: Sequence[str], columns: int) -> dict[int, int]:
    """First image of each run of equal captions in a row -> how many images it has."""
    spans: dict[int, int] = {}
    first = 0
    for i, caption in enumerate(captions):
        if i % columns == 0 or caption != captions[i - 1]:
            first = i
        spans[first] = spans.get(first, 0) + 1
    return spans


def _wrapped(caption: str, width: int) -> list[str]:
    """The caption in lines of at most ``width`` pixels, in letters that the built-in font has; others are escapes."""
    text = caption.encode("latin-1", errors="backslashreplace").decode("latin-1")
    draw = ImageDraw.Draw(Image.new("L", (1, 1)))
    lines: list[str] = []
    line = ""
    for word in text.split():
        while draw.textlength(word) > width and len(word) > 1:  # a word without spaces, such as of Chinese characters
            end = max(1, next((k for k in range(len(word), 0, -1) if draw.textlength(word[:k]) <= width), 1))
            lines += [line] * bool(line) + [word[:end]]
            word, line = word[end:], ""
        longer = f"{line} {word}".strip()
        if line and draw.textlength(longer) > width:
            lines.append(line)
            longer = word
        line = longer
    lines += [line] if line else []
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], lines[MOST_LINES - 1][:-3] + "..."]
    return lines or [""]


def _colour(mode: str, grey: int) -> tuple[int, ...]:
    return {"L": (grey,), "LA": (grey, 255), "RGB": (grey,) * 3, "RGBA": (grey, grey, grey, 255)}[mode]
