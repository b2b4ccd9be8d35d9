"""The built-in sets ``emoji`` and ``emoji-names``: colour emoji on white. Labels are their groups, captions are their names.

The images come from an emoji font, or from the folder of the npm package ``emoji-datasource-google``. In ``emoji`` each skin
tone and each flag is an image. ``emoji-names`` leaves them out, so that a name says what the image shows, and no held-out image
is a training image in another skin tone.
"""

import hashlib
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.data import cache, store
from ganloom.data.dataset import Facts
from ganloom.data.emoji_groups import NAMES, group_of
from ganloom.data.font_glyphs import sequences
from ganloom.data.translation_sets import emoji as draw
from ganloom.data.translation_sets import emoji_font

SIZE = 64
"""Side by default, in pixels."""
PLAIN = "emoji-names"
"""The set without skin tones and flags, in which each name is there once."""
FLAGS = "Flags"
TONES = range(0x1F3FB, 0x1F400)
"""The code points of the skin tones."""
_LEAST = 20  # a font or folder with fewer emoji is another one
_VERSION = 1


class Emoji(NamedTuple):
    """One emoji: its image file, its name, its group, and whether it is one of several skin tones."""

    png: bytes
    name: str
    group: str
    toned: bool = False


def images(source: str, size: int, progress: store.Progress) -> tuple[NDArray[np.uint8], Facts]:
    """Draw ``emoji``, ``emoji:FONT`` or ``emoji:FOLDER``, or the same of ``emoji-names``.

    Args:
        source: the name of the set, with a font file or the folder of the npm package after the colon. Without one:
            ``$GANLOOM_EMOJI_FONT``, or the font of Debian's package fonts-noto-color-emoji.
        size: side of the images in pixels.
        progress: called with (done, total) while they are drawn.

    Returns:
        uint8 (N, size, size, 3), and facts with labels and captions.

    Raises:
        BadInput: the font or folder is missing, cannot be read, or has no emoji.
        MissingExtra: a font is given, and fontTools is not installed.
    """
    found, where = listed(source)
    digest = hashlib.sha256(b"".join(one.png for one in found)).hexdigest()
    key = hashlib.sha256(repr(("emoji", digest, size, _VERSION)).encode()).hexdigest()[:40]
    stored = cache.load(key)
    if stored is None:

        def draw_row(index: int) -> NDArray[np.uint8]:
            try:
                return draw(where, found[index].png, size)
            except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for a damaged PNG
                raise BadInput(f'{where}: the image of "{found[index].name}" cannot be read ({error})') from None

        stored = store.fill(draw_row, len(found), (3, size, size), key, progress=progress).store
    name = source.partition(":")[0]
    groups = [group for group in NAMES if name != PLAIN or group != FLAGS]
    labels = np.array([groups.index(one.group) for one in found], np.int64)
    return stored.rows, Facts(name, labels=labels, classes=groups, captions=[one.name for one in found])


def listed(source: str) -> tuple[list[Emoji], str]:
    """List the emoji of a source; see ``images``. Equal images are listed once.

    Returns:
        (emoji, the font or folder).
    """
    name, _, argument = source.partition(":")
    argument = argument or os.environ.get("GANLOOM_EMOJI_FONT", "")
    folder = Path(argument).expanduser() if argument else None
    if folder is not None and folder.is_dir():
        where, found = str(folder), _of_folder(folder)
    else:
        where = emoji_font(source)
        found = _of_font(where)
    found = list({one.png: one for one in reversed(found)}.values())[::-1]
    if name == PLAIN:
        plain = [one for one in found if not one.toned and one.group != FLAGS]
        found = list({one.name: one for one in reversed(plain)}.values())[::-1]
    if len(found) < _LEAST:
        raise BadInput(
            f"{where} holds {len(found)} emoji: give Noto Color Emoji (apt install fonts-noto-color-emoji), or the folder of "
            "the npm package emoji-datasource-google"
        )
    return found, where


def _of_font(path: str) -> list[Emoji]:
    found = []
    for png, points in sequences(path):
        group = group_of(points)
        if group is not None and not all(point < 0x80 for point in points):  # a digit alone is no emoji
            found.append(Emoji(png, _name(points), group, any(point in TONES for point in points)))
    return found


def _name(points: Sequence[int]) -> str:
    """The names of the characters, without joiners and variation selectors: "woman, fire engine"."""
    names = [unicodedata.name(chr(point), f"U+{point:X}").lower() for point in points if point not in (0x200D, 0xFE0F)]
    return ", ".join(names)


def _of_folder(folder: Path) -> list[Emoji]:
    """The emoji of the npm package: emoji.json and img/SET/64/*.png."""
    listing = folder / "emoji.json"
    images_in = sorted(folder.glob("img/*/64"))
    if not listing.is_file() or not images_in:
        raise BadInput(
            f"emoji: {folder} has no emoji.json and img/*/64; `npm pack emoji-datasource-google` and unpack it, then give "
            "its folder package"
        )
    found = []
    for entry in json_files.read_list(listing, dict[str, Any], "Unpack the npm package again"):
        with json_files.blaming(listing, "entries that cannot be read", "Unpack the npm package again"):
            name, group = str(entry["name"] or entry["short_name"]).lower(), str(entry["category"])
            variations = entry.get("skin_variations") or {}
            files = [str(entry["image"]), *(str(one["image"]) for one in variations.values())]
        paths = [images_in[0] / os.path.basename(file) for file in files]
        if group in NAMES:
            found += [Emoji(p.read_bytes(), name, group, i > 0) for i, p in enumerate(paths) if p.is_file()]
    return found
