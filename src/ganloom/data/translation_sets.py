"""The built-in sets for image-to-image translation: unpaired-fashion, edges-to-emoji, regular-to-bold.

Pillow draws the glyphs of the last two from fonts on this machine. Each set has a hold-out set of pairs, ``Data.held``.
"""

import hashlib
import io
import os
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ganloom.core.errors import BadInput
from ganloom.data import cache, fashion_mnist, store
from ganloom.data.dataset import Facts
from ganloom.data.font_glyphs import bitmaps
from ganloom.data.open_options import Options
from ganloom.data.translation_dataset import Domains, make_domains

Rows = NDArray[np.uint8]

EMOJI_FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
"""Where Debian's package fonts-noto-color-emoji installs it."""
FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "/Library/Fonts", "C:/Windows/Fonts")
"""Folders that are searched for fonts."""
HELD_GLYPHS = 150
"""Emoji in the hold-out set."""
HELD_FASHION = 1000
"""Pairs of clothes in the hold-out set."""
_BITMAP_SIZE = 109  # the only size of the images in the emoji font, in pixels
_EDGE_STRENGTH = 0.12
_LETTERS = (*range(0x21, 0x7F), *range(0xA1, 0x180), *range(0x370, 0x400), *range(0x400, 0x482))
LIGHT, DARK = (1.0, 0.93, 0.78), (0.10, 0.16, 0.42)
"""The colours, in [0, 1], that black and white of a Fashion-MNIST image become in the other domain."""


def unpaired_fashion(options: Options) -> Domains:
    """Open unpaired-fashion, 28 x 28 RGB: images of fashion-10k (domain A), and others inverted and coloured (B).

    The partner of each image is known (``recoloured``) but never shown: an unpaired model should find it. The hold-out
    set has 1,000 pairs.

    Args:
        options: the options of ``open``.
    """
    grey, _ = fashion_mnist.fashion_10k()
    order = np.random.default_rng(0).permutation(len(grey))
    held, a, b = np.split(order, [HELD_FASHION, (len(grey) + HELD_FASHION) // 2])

    def hold_out() -> Domains:
        facts = Facts("unpaired-fashion, held back")
        return make_domains(_rgb(grey[held]), recoloured(grey[held]), facts, options, paired=True)

    facts = Facts("unpaired-fashion")
    return make_domains(_rgb(grey[a]), recoloured(grey[b]), facts, options, paired=False, held=hold_out)


def recoloured(grey: Rows) -> Rows:
    """Colour white clothes on black as dark blue clothes on cream: uint8 (N, H, W) to uint8 (N, H, W, 3)."""
    brightness = grey[..., None].astype(np.float32) / 255
    mixed = np.array(LIGHT, np.float32) * (1 - brightness) + np.array(DARK, np.float32) * brightness
    return np.asarray(np.rint(mixed * 255), np.uint8)


def _rgb(grey: Rows) -> Rows:
    return np.repeat(grey[..., None], 3, axis=3)


class _GlyphSet(NamedTuple):
    """A set of glyph pairs that are not drawn yet.

    ``draw(item, size)`` returns (input, target), uint8 (size, size, C), with ``channels`` of each. ``key`` identifies
    the fonts in the cache.
    """

    name: str
    items: Sequence[Any]
    held: Sequence[Any]
    draw: Callable[[Any, int], tuple[Rows, Rows]]
    channels: tuple[int, int]
    key: str


def edges_to_emoji(text: str, size: int, options: Options, progress: store.Progress) -> Domains:
    """Open edges-to-emoji: colour glyphs of the Noto emoji font (targets) and their edges, black on white (inputs).

    The hold-out set has 150 random glyphs of about 3,900. Other skin tones of a person in it may be in the training
    set.

    Args:
        text: ``edges-to-emoji`` or ``edges-to-emoji:FILE``.
        size: side of the images in pixels.
        options: the options of ``open``.
        progress: called with (done, total) while glyphs are drawn.

    Raises:
        BadInput: the font is missing, cannot be read, or has too few colour glyphs.
    """
    path = emoji_font(text)
    glyphs = emoji_glyphs(path)
    if len(glyphs) <= 2 * HELD_GLYPHS:
        raise BadInput(
            f"{path} holds {len(glyphs)} colour glyphs: give Noto Color Emoji (apt install fonts-noto-color-emoji)"
        )

    def draw(glyph: bytes | int, size: int) -> tuple[Rows, Rows]:
        image = emoji(path, glyph, size)
        return edges(image), image

    order = np.random.default_rng(0).permutation(len(glyphs))
    held = set(order[:HELD_GLYPHS].tolist())
    parts = [g for i, g in enumerate(glyphs) if i not in held], [g for i, g in enumerate(glyphs) if i in held]
    glyph_set = _GlyphSet("edges-to-emoji", *parts, draw, (1, 3), f"{path} {os.stat(path).st_size}")
    return _open_glyphs(glyph_set, size, options, progress)


def emoji_font(text: str) -> str:
    """Return the font file of ``NAME:FILE``: the argument, ``$GANLOOM_EMOJI_FONT``, or Debian's. Raises BadInput without one."""
    name, _, argument = text.partition(":")
    file = argument or os.environ.get("GANLOOM_EMOJI_FONT", "") or EMOJI_FONT
    path = os.path.abspath(os.path.expanduser(file))
    if not os.path.isfile(path):
        raise BadInput(
            f"{name}: no font {path}; apt install fonts-noto-color-emoji, or give {name}:FILE.ttf or "
            "GANLOOM_EMOJI_FONT=FILE.ttf"
        )
    return path


def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise BadInput(f"{path} cannot be used as a font of {size} px ({error}); give another file") from None


def emoji_glyphs(path: str) -> Sequence[bytes | int]:
    """List the colour glyphs of a font.

    Returns:
        Each glyph as a PNG file. For a font without PNG images, the code points that it draws.

    Raises:
        BadInput: the file is not a usable font.
    """
    images = bitmaps(path)
    if images:
        return images
    font = _font(path, _BITMAP_SIZE)
    points = (*range(0x203C, 0x3300), *range(0x1F000, 0x1FB00))
    symbols = (p for p in points if unicodedata.category(chr(p)) in ("So", "Sm", "Po", "Sk"))
    return [p for p in symbols if font.getmask(chr(p), "RGBA").getbbox()]


def emoji(path: str, glyph: bytes | int, size: int) -> Rows:
    """Draw one glyph on white, with a border of a sixteenth of the size.

    Args:
        path: the font.
        glyph: a PNG file, or a code point of the font.
        size: side in pixels.

    Returns:
        uint8 (size, size, 3).
    """
    if isinstance(glyph, bytes):
        layer = Image.open(io.BytesIO(glyph)).convert("RGBA")
    else:
        font = _font(path, _BITMAP_SIZE)
        box = font.getbbox(chr(glyph))
        layer = Image.new("RGBA", (int(box[2]), int(box[3])), (255, 255, 255, 0))
        ImageDraw.Draw(layer).text((0, 0), chr(glyph), font=font, embedded_color=True)
    page = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    cropped = Image.alpha_composite(page, layer).convert("RGB").crop(layer.getchannel("A").getbbox())
    inner = size - 2 * max(1, size // 16)
    scale = inner / max(cropped.size)
    w, h = max(1, round(cropped.width * scale)), max(1, round(cropped.height * scale))
    output = Image.new("RGB", (size, size), (255, 255, 255))
    output.paste(cropped.resize((w, h), Image.Resampling.LANCZOS), ((size - w) // 2, (size - h) // 2))
    return np.asarray(output, np.uint8)


def edges(image: Rows) -> Rows:
    """Draw the edges of an image, black on white: uint8 (H, W, C) to uint8 (H, W, 1).

    Take the Sobel gradient of each channel, keep the largest, and thin it to its ridges along the steeper axis.
    """
    x = np.pad(image.astype(np.float32) / 255, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = x[:-2] + 2 * x[1:-1] + x[2:]
    columns = x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]
    across, down = rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]
    best = np.hypot(across, down).argmax(2)[..., None]
    gx, gy = (np.take_along_axis(g, best, 2)[..., 0] / 4 for g in (across, down))
    strength = np.hypot(gx, gy)
    wide = np.pad(strength, 1)
    neighbours = np.where(np.abs(gx) >= np.abs(gy), np.maximum(wide[1:-1, :-2], wide[1:-1, 2:]),
                          np.maximum(wide[:-2, 1:-1], wide[2:, 1:-1]))  # fmt: skip
    line = (strength > _EDGE_STRENGTH) & (strength >= neighbours)
    return np.where(line, 0, 255).astype(np.uint8)[..., None]


def regular_to_bold(size: int, options: Options, progress: store.Progress) -> Domains:
    """Open regular-to-bold: letters of the installed fonts, regular (inputs) and bold (targets), grey, black on white.

    The hold-out set has a tenth of the letters, the same in each family.

    Args:
        size: side of the images in pixels.
        options: the options of ``open``.
        progress: called with (done, total) while letters are drawn.

    Raises:
        BadInput: no font family has a regular and a bold face.
    """
    families = bold_families()
    if not families:
        raise BadInput(
            "regular-to-bold: no installed font has a regular and a bold face; apt install fonts-dejavu-core"
        )
    items = [(pair, point) for pair in families for point in _LETTERS if _both_have(*pair, point)]
    points = sorted({point for _, point in items})
    held = set(np.random.default_rng(0).permutation(points)[: len(points) // 10].tolist())

    def draw(item: tuple[tuple[str, str], int], size: int) -> tuple[Rows, Rows]:
        return tuple(letter(path, item[1], size) for path in item[0])  # type: ignore[return-value]

    parts = [i for i in items if i[1] not in held], [i for i in items if i[1] in held]
    glyph_set = _GlyphSet("regular-to-bold", *parts, draw, (1, 1), repr(families))
    return _open_glyphs(glyph_set, size, options, progress)


def bold_families() -> list[tuple[str, str]]:
    """Return (regular file, bold file) of each installed font family that has both."""
    families: dict[str, dict[str, str]] = {}
    for folder in FONTS:
        for path in sorted(Path(folder).expanduser().rglob("*.[to]tf")):
            try:
                family, style = ImageFont.truetype(str(path), 16).getname()
            except OSError:
                continue
            kind = "bold" if style == "Bold" else "regular" if style in ("Regular", "Book", "Roman") else ""
            if family and kind:
                families.setdefault(family, {}).setdefault(kind, str(path))
    return [(faces["regular"], faces["bold"]) for _, faces in sorted(families.items()) if len(faces) == 2]


def _both_have(regular: str, bold: str, point: int) -> bool:
    """Whether both fonts have a glyph for a code point: not empty, and not the one for missing characters."""
    for path in (regular, bold):
        font = _font(path, 32)
        mask = font.getmask(chr(point))
        missing = font.getmask("\U0010fffe")
        if mask.getbbox() is None or (mask.size == missing.size and bytes(mask) == bytes(missing)):
            return False
    return True


def letter(path: str, point: int, size: int) -> Rows:
    """Draw one letter, black on white, centred horizontally, on a baseline that all letters share.

    Args:
        path: the font.
        point: the letter's code point.
        size: side in pixels.

    Returns:
        uint8 (size, size, 1).
    """
    font = _font(path, round(size * 0.62))
    page = Image.new("L", (size, size), 255)
    origin = (size / 2, size * 0.72)
    ImageDraw.Draw(page).text(origin, chr(point), font=font, fill=0, anchor="ms")
    return np.asarray(page, np.uint8)[..., None]


def _open_glyphs(glyphs: _GlyphSet, size: int, options: Options, progress: store.Progress) -> Domains:
    """Draw the glyphs, or take them from the cache."""
    first, second = glyphs.channels

    def load_or_draw(items: Sequence[Any], part: str, progress: store.Progress = None) -> tuple[Rows, Rows]:
        def draw_row(index: int) -> Rows:
            return np.concatenate(glyphs.draw(items[index], size), axis=2)

        text = repr((glyphs.name, glyphs.key, size, part, len(items), 1))
        key = hashlib.sha256(text.encode()).hexdigest()[:40]
        shape = (first + second, size, size)
        stored = cache.load(key) or store.fill(draw_row, len(items), shape, key, progress=progress).store
        return stored.rows[..., :first], stored.rows[..., first:]

    def hold_out() -> Domains:
        facts, unflipped = Facts(f"{glyphs.name}, held back"), {**options, "flip": False}
        return make_domains(*load_or_draw(glyphs.held, "held"), facts, unflipped, paired=True)

    inputs, targets = load_or_draw(glyphs.items, "train", progress)
    return make_domains(inputs, targets, Facts(glyphs.name), options, paired=True, held=hold_out)
