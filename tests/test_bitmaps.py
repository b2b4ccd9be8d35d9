"""The images inside a colour font, read from fonts made here in each of the five ways to index them."""

import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganloom import data
from ganloom.core.errors import BadInput, MissingExtra
from ganloom.data import translation_sets
from ganloom.data.font_glyphs import bitmaps


def png(i: int) -> bytes:
    page = Image.new("RGBA", (12, 10), (0, 0, 0, 0))
    page.paste((i % 256, 40 * (i // 256) + 10, 200, 255), (2, 2, 10, 9))
    out = io.BytesIO()
    page.save(out, "PNG", compress_level=0)  # all of one length, as an index with one size asks
    return out.getvalue()


def colour_font(path: Path, images: list[bytes], kind: int = 1, image: int = 17) -> Path:
    """A file with a CBLC of one strike and one run of glyphs 3.., and a CBDT; a smaller strike before it is empty."""
    head = {17: b"\1" * 5, 18: b"\1" * 8, 19: b""}[image]
    parts = [head + struct.pack(">I", len(p)) + p for p in images]
    n, ends = len(parts), np.cumsum([0, *map(len, parts)]).tolist()
    glyphs = list(range(3, 3 + n))
    index = struct.pack(">HHI", kind, image, 4)
    if kind in (1, 3):
        index += struct.pack(f">{n + 1}{'I' if kind == 1 else 'H'}", *ends)
    elif kind == 4:
        flat = [v for pair in zip([*glyphs, 0], ends, strict=True) for v in pair]
        index += struct.pack(f">I{2 * n + 2}H", n, *flat)
    else:
        index += struct.pack(">I", ends[1]) + b"\1" * 8
        index += struct.pack(f">I{n}H", n, *glyphs) if kind == 5 else b""

    def strike(start: int, count: int, ppem: int) -> bytes:
        return (
            struct.pack(">IIII", start, 0, count, 0) + b"\0" * 24 + struct.pack(">HHBBBb", 3, 2 + n, ppem, ppem, 32, 1)
        )

    run = struct.pack(">HHI", 3, 2 + n, 8) + index
    where = struct.pack(">HHI", 3, 0, 2) + strike(0, 0, 20) + strike(104, 1, 109) + run
    what = struct.pack(">HH", 3, 0) + b"".join(parts)
    tables = {b"CBDT": what, b"CBLC": where}
    at, directory, body = 12 + 16 * len(tables), b"", b""
    for tag, table in tables.items():
        directory += struct.pack(">4sIII", tag, 0, at + len(body), len(table))
        body += table
    path.write_bytes(b"\0\1\0\0" + struct.pack(">HHHH", len(tables), 0, 0, 0) + directory + body)
    return path


@pytest.mark.parametrize("image", [17, 18, 19])
@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
def test_every_index_gives_the_images_back(tmp_path: Path, kind: int, image: int) -> None:
    images = [png(i) for i in (7, 250, 31, 31)]
    assert bitmaps(str(colour_font(tmp_path / "f.ttf", images, kind, image))) == images[:3]


def test_what_is_no_such_font_is_said(tmp_path: Path) -> None:
    whole = colour_font(tmp_path / "f.ttf", [png(1), png(2)]).read_bytes()
    for name, content in {"cut.ttf": whole[:-30], "text.ttf": b"not a font at all", "empty.ttf": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match=rf"{name}: its colour images"):
            bitmaps(str(tmp_path / name))
    plain = b"\0\1\0\0" + struct.pack(">HHHH", 0, 0, 0, 0)
    (tmp_path / "plain.ttf").write_bytes(plain)
    assert bitmaps(str(tmp_path / "plain.ttf")) == []


def test_without_the_extra_the_message_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    font = str(colour_font(tmp_path / "f.ttf", [png(1)]))
    for name in [name for name in sys.modules if name.split(".")[0] == "fontTools"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fontTools", None)
    with pytest.raises(MissingExtra, match=r'^fontTools is not installed: pip install "ganloom\[fonts\]"$'):
        bitmaps(font)


def test_damaged_tables_are_refused_in_one_line(tmp_path: Path) -> None:
    whole = colour_font(tmp_path / "f.ttf", [png(i) for i in range(4)], kind=3).read_bytes()
    random, refused = np.random.default_rng(0), 0
    for _ in range(200):
        content = bytearray(whole)
        content[random.integers(len(whole) if random.random() < 0.2 else 260)] = random.integers(256)
        (tmp_path / "x.ttf").write_bytes(content)
        try:
            assert all(isinstance(image, bytes) for image in bitmaps(str(tmp_path / "x.ttf")))
        except BadInput as error:
            refused += 1
            assert "\n" not in str(error) and "x.ttf" in str(error)
    assert refused > 10


def test_edges_to_emoji_keeps_150_glyphs_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path))
    font = colour_font(tmp_path / "f.ttf", [png(i) for i in range(400)])
    d = data.open(f"edges-to-emoji:{font}", shape=(3, 32, 32))
    assert (len(d), d.shape, d.inputs.shape, d.paired) == (250, (3, 32, 32), (1, 32, 32), True)
    assert d.held is not None and len(d.held) == 150
    shown = {row.tobytes() for row in d.rows}
    assert len(shown) == 250 and not shown & {row.tobytes() for row in d.held.rows}
    assert np.array_equal(translation_sets.edges(d.rows[0]), d.inputs.rows[0])
    few = colour_font(tmp_path / "few.ttf", [png(i) for i in range(20)])
    with pytest.raises(BadInput, match="holds 20 colour glyphs"):
        data.open(f"edges-to-emoji:{few}")
