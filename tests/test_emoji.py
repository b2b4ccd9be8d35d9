"""The built-in sets emoji and digits: images, groups and names, from a font and from a folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables.DefaultTable import DefaultTable
from test_bitmaps import colour_font, png

from ganloom import data
from ganloom.core.errors import BadInput
from ganloom.data import emoji, emoji_groups

FACES = [0x1F600 + i for i in range(22)]
"""Code points of the first glyphs."""


def font(path: Path) -> Path:
    """A font with 22 faces, a digit, and ligatures: a flag, a person in two steps; written from right to left, as Noto's are."""
    singles = [*FACES, 0x31, 0x1F469, 0x1F692, 0x200D, 0x1F1E9, 0x1F1EA]
    names = {point: f"u{point:X}" for point in singles}
    glyphs = [".notdef", "a", "b", *names.values(), "flag", "half", "firewoman"]
    builder = FontBuilder(1024)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap(names)
    builder.setupGlyf({name: TTGlyphPen(None).glyph() for name in glyphs})
    builder.setupHorizontalMetrics({name: (1024, 0) for name in glyphs})
    builder.setupHorizontalHeader()
    builder.setupOS2()
    builder.setupPost(keepGlyphNames=False)
    addOpenTypeFeaturesFromString(
        builder.font,
        "feature ccmp { lookup first { sub u1F1E9 u1F1EA by flag; sub u1F692 u200D by half; } first;\n"
        "lookup second { sub half u1F469 by firewoman; } second; } ccmp;",
    )
    colour = TTFont(colour_font(path.with_suffix(".colour"), [png(i) for i in range(len(glyphs) - 3)]))
    for tag in ("CBLC", "CBDT"):
        table = DefaultTable(tag)
        table.data = colour.reader[tag]
        builder.font[tag] = table
    builder.save(path)
    return path


def test_a_font_gives_groups_and_names(tmp_path: Path) -> None:
    d = data.open(f"emoji:{font(tmp_path / 'f.ttf')}", shape=(3, 32, 32))
    named = dict(zip(d.facts.captions or [], (d.class_names[i] for i in d.labels), strict=True))
    assert d.shape == (3, 32, 32) and d.n_classes == len(set(named.values()))
    assert named["grinning face"] == "Smileys & Emotion"
    assert named["fire engine, woman"] == "People & Body", "a ligature of a ligature; a person comes first in any order"
    assert named["regional indicator symbol letter d, regional indicator symbol letter e"] == "Flags"
    assert named["fire engine"] == "Travel & Places"
    assert "digit one" not in named and "half" not in named, "a digit alone is no emoji, nor is a joiner"
    assert d.get([0])[0, :, 0, 0].tolist() == [1, 1, 1], "on white"
    again = data.reopen(d.source)
    assert again.fingerprint == d.fingerprint and again.class_names == d.class_names
    assert data.open(d.source["source"]).shape == (3, 64, 64)


def folder(path: Path, faces: int = 21) -> Path:
    """A folder as the npm package has it, with one skin tone, one component and one missing image."""
    images = path / "img" / "google" / "64"
    images.mkdir(parents=True)
    entries = [
        {"name": f"FACE {i}", "short_name": "x", "category": "Smileys & Emotion", "image": f"{i}.png"}
        for i in range(faces)
    ]
    tone = {"1F3FB": {"image": "wave-1f3fb.png"}}
    entries += [
        {
            "name": "WAVE",
            "short_name": "wave",
            "category": "People & Body",
            "image": "wave.png",
            "skin_variations": tone,
        },
        {"name": None, "short_name": "flag-de", "category": "Flags", "image": "missing.png"},
        {"name": "TONE", "short_name": "tone", "category": "Component", "image": "tone.png"},
    ]
    (path / "emoji.json").write_text(json.dumps(entries))
    for i, name in enumerate([*map(str, range(faces)), "wave", "wave-1f3fb", "tone"]):
        (images / f"{name}.png").write_bytes(png(i))
    return path


def test_a_folder_gives_categories_and_names(tmp_path: Path) -> None:
    d = data.open(f"emoji:{folder(tmp_path / 'package')}", shape=(3, 16, 16))
    assert len(d) == 23 and d.facts.captions is not None
    assert d.facts.captions[-2:] == ["wave", "wave"] and d.class_names == ["Smileys & Emotion", "People & Body"]
    damaged = tmp_path / "package" / "img" / "google" / "64" / "3.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    with pytest.raises(BadInput, match=r'the image of "face 3" cannot be read'):
        data.open(f"emoji:{tmp_path / 'package'}", shape=(3, 16, 16))


def test_names_are_those_of_emoji_without_skin_tones_and_flags(tmp_path: Path) -> None:
    named = data.open(f"emoji-names:{folder(tmp_path / 'package')}", shape=(3, 16, 16))
    assert len(named) == 22 and (named.facts.captions or [])[-1] == "wave" and named.facts.classes is not None
    assert len(set(named.facts.captions or [])) == len(named) and emoji.FLAGS not in named.facts.classes
    assert data.reopen(named.source).fingerprint == named.fingerprint
    of_font = data.open(f"emoji-names:{font(tmp_path / 'f.ttf')}", shape=(3, 16, 16))
    flag = "regional indicator symbol letter d, regional indicator symbol letter e"
    every = data.open(f"emoji:{tmp_path / 'f.ttf'}", shape=(3, 16, 16)).facts.captions or []
    gone = set(every) - set(of_font.facts.captions or [])
    assert flag in gone and all("regional indicator" in name for name in gone)
    assert emoji.listed(f"emoji:{tmp_path / 'package'}")[0][-1].toned


def test_what_is_no_source_of_emoji_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = folder(tmp_path / "few", 3)
    (tmp_path / "empty").mkdir()
    for source, said in (
        (tmp_path / "none.ttf", "apt install fonts-noto-color-emoji"),
        (tmp_path / "empty", "emoji-datasource-google"),
        (few, "holds 5 emoji"),
    ):
        with pytest.raises(BadInput, match=said):
            data.open(f"emoji:{source}")
    (few / "emoji.json").write_text('[{"name": 3}]')
    with pytest.raises(BadInput, match=r"emoji\.json"):
        data.open(f"emoji:{few}")
    with pytest.raises(BadInput, match="squares of 16 to 512"):
        data.open(f"emoji:{few}", shape=(3, 32, 48))
    monkeypatch.setenv("GANLOOM_EMOJI_FONT", str(tmp_path / "elsewhere.ttf"))
    with pytest.raises(BadInput, match=r"elsewhere\.ttf"):
        emoji.listed("emoji")


def test_groups() -> None:
    assert emoji_groups.group_of([0x1F34E]) == "Food & Drink" and emoji_groups.group_of([0x1F3FB]) is None
    assert emoji_groups.group_of([0x1F3F4, 0x200D, 0x2620]) == "Flags", "the pirate flag"
    assert emoji_groups.group_of([0x2764, 0x200D, 0x1F525]) == "Smileys & Emotion", "the heart on fire"
    assert len(emoji_groups.NAMES) == 9


def test_digits() -> None:
    d = data.open("digits")
    assert (len(d), d.shape, d.n_classes, d.class_names[7]) == (1797, (1, 28, 28), 10, "7")
    assert np.bincount(d.labels).min() == 174
    small = data.open("digits", shape=(1, 8, 8))
    assert small.shape == (1, 8, 8) and data.reopen(d.source).fingerprint == d.fingerprint
    assert (d.get(range(100)).mean((1, 2, 3)) - small.get(range(100)).mean((1, 2, 3))).abs().max() < 0.15, "enlarged"
    with pytest.raises(BadInput, match="takes no argument"):
        data.open("digits:5")
