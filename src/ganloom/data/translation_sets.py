"""Built-in sets in which images are made from images: unpaired-fashion, edges-to-emoji, regular-to-bold.

The two of glyphs are drawn by Pillow from fonts on the machine. Each keeps pairs from training: ``Data.held``.
"""

import hashlib
import io
import os
import unicodedata
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ganloom.core.errors import BadInput
from ganloom.data import cache, store
from ganloom.data.dataset import Facts
from ganloom.data.font_glyphs import bitmaps
from ganloom.data.translation_dataset import Domains, chosen

Rows = NDArray[np.uint8]

EMOJI_FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
"""Where Debian's package fonts-noto-color-emoji puts it."""
FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "/Library/Fonts", "C:/Windows/Fonts")
HELD_GLYPHS = 150
HELD_FASHION = 1000
_BITMAP = 109  # the one size in which the emoji font has its images
_EDGE = 0.12
_LETTERS = (*range(0x21, 0x7F), *range(0xA1, 0x180), *range(0x370, 0x400), *range(0x400, 0x482))
LIGHT, DARK = (1.0, 0.93, 0.78), (0.10, 0.16, 0.42)
"""What black and what white of a Fashion-MNIST image become in the other domain: paper and ink."""


# ----------------------------------------------------------------------------------------------------------- clothes


def unpaired_fashion(asked: dict[str, Any]) -> Domains:
    """fashion-10k as it is (domain A) and inverted and coloured (B), of different images; 1,000 pairs are held back.

    28 x 28 RGB. An image's partner is known (``recoloured``) and never shown: what an unpaired model should find.
    """
    with files("ganloom.data").joinpath("fashion_10k.npz").open("rb") as file, np.load(file) as archive:
        grey = archive["images"]
    order = np.random.default_rng(0).permutation(len(grey))
    held, a, b = np.split(order, [HELD_FASHION, (len(grey) + HELD_FASHION) // 2])

    def hidden() -> Domains:
        return chosen(
            _rgb(grey[held]), recoloured(grey[held]), Facts("unpaired-fashion, held back"), asked, paired=True
        )

    return chosen(_rgb(grey[a]), recoloured(grey[b]), Facts("unpaired-fashion"), asked, paired=False, held=hidden)


def recoloured(grey: Rows) -> Rows:
    """(N, H, W) to (N, H, W, 3): white clothes on black as dark blue ones on cream."""
    share = grey[..., None].astype(np.float32) / 255
    mixed = np.array(LIGHT, np.float32) * (1 - share) + np.array(DARK, np.float32) * share
    return np.asarray(np.rint(mixed * 255), np.uint8)


def _rgb(grey: Rows) -> Rows:
    return np.repeat(grey[..., None], 3, axis=3)


# ------------------------------------------------------------------------------------------------------------- glyphs


class _Drawing(NamedTuple):
    """What is drawn and how: ``draw(item, size)`` gives (input, target), uint8 (size, size, C)."""

    items: Sequence[Any]
    held: Sequence[Any]
    draw: Callable[[Any, int], tuple[Rows, Rows]]
    channels: tuple[int, int]
    key: str


def edges_to_emoji(text: str, size: int, asked: dict[str, Any], progress: store.Progress) -> Domains:
    """The colour glyphs of the Noto emoji font (targets) and their edges, black on white, one channel (inputs).

    150 of about 3,900 glyphs are held back, drawn at random: of a person held back, other skins may be in training.
    """
    path = _emoji_font(text)
    glyphs = emoji_glyphs(path)
    if len(glyphs) <= 2 * HELD_GLYPHS:
        raise BadInput(
            f"{path} holds {len(glyphs)} colour glyphs: give Noto Color Emoji (apt install fonts-noto-color-emoji)"
        )

    def draw(glyph: bytes | int, size: int) -> tuple[Rows, Rows]:
        image = emoji(path, glyph, size)
        return edges(image), image

    kept, held = _parted(glyphs)
    stamp = os.stat(path)
    return _drawn(
        "edges-to-emoji", _Drawing(kept, held, draw, (1, 3), f"{path} {stamp.st_size}"), size, asked, progress
    )


def _emoji_font(text: str) -> str:
    told = text.partition(":")[2] or os.environ.get("GANLOOM_EMOJI_FONT", "")
    path = os.path.abspath(os.path.expanduser(told or EMOJI_FONT))
    if not os.path.isfile(path):
        raise BadInput(
            f"edges-to-emoji: no font {path}; apt install fonts-noto-color-emoji, or say edges-to-emoji:FILE.ttf or "
            "GANLOOM_EMOJI_FONT=FILE.ttf"
        )
    return path


def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise BadInput(f"{path} cannot be used as a font of {size} px ({error}); give another file") from None


def emoji_glyphs(path: str) -> Sequence[bytes | int]:
    """Every colour glyph of the font as a PNG file; of a font that keeps no images, code points that it draws in colour."""
    found = bitmaps(path)
    if found:
        return found
    font = _font(path, _BITMAP)
    points = (*range(0x203C, 0x3300), *range(0x1F000, 0x1FB00))
    symbols = (p for p in points if unicodedata.category(chr(p)) in ("So", "Sm", "Po", "Sk"))
    return [p for p in symbols if font.getmask(chr(p), "RGBA").getbbox()]


def emoji(path: str, glyph: bytes | int, size: int) -> Rows:
    """One glyph (a PNG file, or a code point of the font) on white, uint8 (size, size, 3), with a border of a sixteenth."""
    if isinstance(glyph, bytes):
        layer = Image.open(io.BytesIO(glyph)).convert("RGBA")
    else:
        font = _font(path, _BITMAP)
        box = font.getbbox(chr(glyph))
        layer = Image.new("RGBA", (int(box[2]), int(box[3])), (255, 255, 255, 0))
        ImageDraw.Draw(layer).text((0, 0), chr(glyph), font=font, embedded_color=True)
    page = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    drawn = Image.alpha_composite(page, layer).convert("RGB").crop(layer.getchannel("A").getbbox())
    inner = size - 2 * max(1, size // 16)
    scale = inner / max(drawn.size)
    w, h = max(1, round(drawn.width * scale)), max(1, round(drawn.height * scale))
    whole = Image.new("RGB", (size, size), (255, 255, 255))
    whole.paste(drawn.resize((w, h), Image.Resampling.LANCZOS), ((size - w) // 2, (size - h) // 2))
    return np.asarray(whole, np.uint8)


def edges(image: Rows) -> Rows:
    """Where colours change, black on white: (H, W, C) to (H, W, 1).

    Sobel's gradient of each channel, the largest of them, thinned to its ridges across the steeper direction.
    """
    x = np.pad(image.astype(np.float32) / 255, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = x[:-2] + 2 * x[1:-1] + x[2:]
    columns = x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]
    across, down = rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]
    best = np.hypot(across, down).argmax(2)[..., None]
    gx, gy = (np.take_along_axis(g, best, 2)[..., 0] / 4 for g in (across, down))
    strength = np.hypot(gx, gy)
    wide = np.pad(strength, 1)
    beside = np.where(np.abs(gx) >= np.abs(gy), np.maximum(wide[1:-1, :-2], wide[1:-1, 2:]),
                      np.maximum(wide[:-2, 1:-1], wide[2:, 1:-1]))  # fmt: skip
    line = (strength > _EDGE) & (strength >= beside)
    return np.where(line, 0, 255).astype(np.uint8)[..., None]


def regular_to_bold(size: int, asked: dict[str, Any], progress: store.Progress) -> Domains:
    """Letters of installed fonts, regular (inputs) and bold (targets) of one family, grey, black on white.

    Of each family the same tenth of the letters is held back.
    """
    families = bold_families()
    if not families:
        raise BadInput(
            "regular-to-bold: no font family here has a regular and a bold face; apt install fonts-dejavu-core"
        )
    items = [(pair, point) for pair in families for point in _LETTERS if _both_have(*pair, point)]
    points = sorted({point for _, point in items})
    out = set(np.random.default_rng(0).permutation(points)[: len(points) // 10].tolist())

    def draw(item: tuple[tuple[str, str], int], size: int) -> tuple[Rows, Rows]:
        return tuple(letter(path, item[1], size) for path in item[0])  # type: ignore[return-value]

    parted = [i for i in items if i[1] not in out], [i for i in items if i[1] in out]
    return _drawn("regular-to-bold", _Drawing(*parted, draw, (1, 1), repr(families)), size, asked, progress)


def bold_families() -> list[tuple[str, str]]:
    """(regular file, bold file) of each family of the system's fonts that has both."""
    found: dict[str, dict[str, str]] = {}
    for folder in FONTS:
        for path in sorted(Path(folder).expanduser().rglob("*.[to]tf")):
            try:
                family, style = ImageFont.truetype(str(path), 16).getname()
            except OSError:
                continue
            kind = "bold" if style == "Bold" else "regular" if style in ("Regular", "Book", "Roman") else ""
            if family and kind:
                found.setdefault(family, {}).setdefault(kind, str(path))
    return [(faces["regular"], faces["bold"]) for _, faces in sorted(found.items()) if len(faces) == 2]


def _both_have(regular: str, bold: str, point: int) -> bool:
    for path in (regular, bold):
        font = _font(path, 32)
        mask = font.getmask(chr(point))
        missing = font.getmask("\U0010fffe")
        if mask.getbbox() is None or (mask.size == missing.size and bytes(mask) == bytes(missing)):
            return False
    return True


def letter(path: str, point: int, size: int) -> Rows:
    """One letter, uint8 (size, size, 1), on the base line that all letters share, its advance in the middle."""
    font = _font(path, round(size * 0.62))
    page = Image.new("L", (size, size), 255)
    at = (size / 2, size * 0.72)
    ImageDraw.Draw(page).text(at, chr(point), font=font, fill=0, anchor="ms")
    return np.asarray(page, np.uint8)[..., None]


def _parted(items: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    order = np.random.default_rng(0).permutation(len(items))
    held = set(order[:HELD_GLYPHS].tolist())
    return [p for i, p in enumerate(items) if i not in held], [p for i, p in enumerate(items) if i in held]


def _drawn(name: str, drawing: _Drawing, size: int, asked: dict[str, Any], progress: store.Progress) -> Domains:
    first, second = drawing.channels

    def filled(items: Sequence[Any], part: str, told: store.Progress = None) -> tuple[Rows, Rows]:
        def work(index: int) -> Rows:
            return np.concatenate(drawing.draw(items[index], size), axis=2)

        text = repr((name, drawing.key, size, part, len(items), 1))
        key = hashlib.sha256(text.encode()).hexdigest()[:40]
        found = cache.load(key) or store.fill(work, len(items), (first + second, size, size), key, None, told).store
        return found.rows[..., :first], found.rows[..., first:]

    def held() -> Domains:
        return chosen(*filled(drawing.held, "held"), Facts(f"{name}, held back"), {**asked, "flip": False}, paired=True)

    return chosen(*filled(drawing.items, "train", progress), Facts(name), asked, paired=True, held=held)
