"""Folders and archives of image files: what is listed, left out, refused and cached."""

import io
import json
import os
import stat
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganloom import data
from ganloom.core.errors import BadInput
from ganloom.data import cache, file_index


def pixels(seed: int, size: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


def png(seed: int = 0, size: int = 12) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels(seed, size)).save(file, "PNG")
    return file.getvalue()


def put(root: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(i))
    return root


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def bomb() -> bytes:
    """A PNG whose header has a size of 40,000 x 40,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + png()[33:]


def one_line(fault: pytest.ExceptionInfo[BadInput]) -> str:
    text = str(fault.value)
    assert "\n" not in text and len(text) < 400
    return text


def test_a_folder_in_order_of_names(tmp_path: Path) -> None:
    put(tmp_path, "c.png", "a.png", "sub/b.PNG")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "._a.png").write_bytes(b"macOS")
    put(tmp_path / ".hidden", "d.png")
    dataset = data.open(tmp_path)
    assert isinstance(dataset, data.Images)
    assert (len(dataset), dataset.shape, dataset.name) == (3, (3, 12, 12), tmp_path.name)
    assert [np.array_equal(dataset.uint8(i)[0], pixels(s)) for i, s in enumerate((1, 0, 2))] == [True] * 3
    assert dataset.labels is None and dataset.n_classes == 0 and dataset.class_names == [] and not dataset.bad_files
    assert np.allclose(dataset.get(0)[0].numpy(), pixels(1).transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)


def test_class_folders(tmp_path: Path) -> None:
    put(tmp_path, "dog/1.png", "cat/1.png", "cat/2.png", "bee/deep/er/1.png")
    dataset = data.open(tmp_path)
    assert dataset.classes == ["bee", "cat", "dog"] and dataset.n_classes == 3
    assert dataset.labels is not None and dataset.labels.tolist() == [0, 1, 1, 2]
    assert data.open(tmp_path, labels=False).labels is None
    put(tmp_path, "loose.png")  # an image outside the folders: they are not classes any more
    assert data.open(tmp_path).labels is None


def test_a_bad_file_does_not_shift_the_labels(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "a/2.png", "b/1.png")
    (tmp_path / "a/1.png").write_bytes(b"oops")
    dataset = data.open(tmp_path)
    assert dataset.labels is not None and dataset.labels.tolist() == [0, 1]
    assert dataset.bad_files == [(str(tmp_path / "a/1.png"), "not an image")]


def test_sizes_and_default_size(tmp_path: Path) -> None:
    for i, size in enumerate(((30, 20), (20, 30))):
        Image.new("RGB", size).save(tmp_path / f"{i}.png")
    assert data.open(tmp_path).shape == (3, 64, 64)
    assert data.open(tmp_path, default_size=16).shape == (3, 16, 16)
    assert data.open(tmp_path, shape=(1, 8, 24), fit="pad").get(slice(None)).shape == (2, 1, 8, 24)


def test_zip_and_class_folders_in_it(tmp_path: Path) -> None:
    flat = data.open(archive(tmp_path / "a.zip", {"b.png": png(1), "a.png": png(0), "x.txt": b"no"}))
    assert isinstance(flat, data.Images) and np.array_equal(flat.rows, np.stack([pixels(0), pixels(1)]))
    members = {f"top/{c}/{i}.png": png(i) for c in ("y", "x") for i in range(2)}
    nested = data.open(archive(tmp_path / "b.zip", members | {"__MACOSX/top/x/._0.png": b"-", "top/x/._1.png": b"-"}))
    assert nested.classes == ["x", "y"] and nested.labels is not None and nested.labels.tolist() == [0, 0, 1, 1]
    assert nested.bad_files == []


@pytest.mark.parametrize("form", ["pairs", "mapping"])
@pytest.mark.parametrize("zipped", [True, False])
def test_nvlabs_dataset_json(tmp_path: Path, form: str, zipped: bool) -> None:
    pairs: Any = [["00000/b.png", 7], ["00000/a.png", 2]]
    notes = json.dumps({"labels": pairs if form == "pairs" else dict(pairs)}).encode()
    members = {"00000/a.png": png(0), "00000/b.png": png(1), "dataset.json": notes}
    source = tmp_path / ("d.zip" if zipped else "d")
    if zipped:
        archive(source, members)
    else:
        for name, content in members.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(content)
    dataset = data.open(source)
    assert dataset.labels is not None and dataset.labels.tolist() == [0, 1] and dataset.class_names == ["2", "7"]
    kept = data.open(source, keep_empty_classes=True)
    assert kept.labels is not None and kept.labels.tolist() == [2, 7] and kept.n_classes == 8


def test_nvlabs_without_labels_and_with_gaps(tmp_path: Path) -> None:
    members = {"a/0.png": png(0), "b/1.png": png(1)}
    nothing = archive(tmp_path / "n.zip", {**members, "dataset.json": b'{"labels": null}'})
    assert data.open(nothing).labels is None
    other = archive(tmp_path / "o.zip", {**members, "dataset.json": b'{"title": "mine"}'})
    assert data.open(other).classes == ["a", "b"]
    for i, labels in enumerate(
        ([["a/0.png", 1]], [1, 2], [["a/0.png", -1], ["b/1.png", 0]], [["a/0.png", [1]], ["b/1.png", 0]], [[["x"], 0]])
    ):
        broken = archive(tmp_path / f"x{i}.zip", {**members, "dataset.json": json.dumps({"labels": labels}).encode()})
        with pytest.raises(BadInput) as fault:
            data.open(broken)
        assert "dataset.json" in one_line(fault)


def test_five_hundred_files_a_tenth_of_them_bad(tmp_path: Path) -> None:
    good, bad = set(), set()
    faults = [png(0, 8)[:-60], b"", b"just some text\n", bomb(), png(0, 8)[:40]]
    for i in range(500):
        name = f"{i:03}.png"
        (tmp_path / name).write_bytes(faults[i // 10 % len(faults)] if i % 10 == 3 else png(i, 8))
        (bad if i % 10 == 3 else good).add(str(tmp_path / name))
    done: list[tuple[int, int]] = []
    dataset = data.open(tmp_path, progress=lambda a, b: done.append((a, b)))
    assert len(dataset) == 450 and done == [(i + 1, 500) for i in range(500)]
    assert {path for path, _ in dataset.bad_files} == bad
    reasons = dict(dataset.bad_files)
    assert reasons[str(tmp_path / "013.png")] == "empty file"
    assert reasons[str(tmp_path / "023.png")] == "not an image"
    assert reasons[str(tmp_path / "033.png")].startswith("too many pixels")
    assert all("\n" not in reason and len(reason) < 150 for reason in reasons.values())
    assert isinstance(dataset, data.Images) and np.array_equal(dataset.rows[3], pixels(4, 8))


def test_a_folder_without_readable_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(BadInput) as fault:
        data.open(tmp_path)
    assert "none of the 1 image files" in one_line(fault) and "a.png (not an image)" in str(fault.value)


@pytest.mark.parametrize("name", ["../a.png", "a/../../b.png", "/etc/a.png", "..\\a.png", "C:/a.png", "\\a.png"])
def test_a_member_that_points_outside_refuses_the_archive(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="points outside") as fault:
        data.open(archive(tmp_path / "a.zip", {"good.png": png(), name: png()}))
    one_line(fault)


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("good.png", png())
        file.writestr(link, "/etc/passwd")
    with pytest.raises(BadInput, match="is a link") as fault:
        data.open(tmp_path / "a.zip")
    one_line(fault)


def test_files_that_are_not_archives_and_damaged_archives(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no archive")
    with pytest.raises(BadInput, match="cannot read") as fault:
        data.open(tmp_path / "a.zip")
    one_line(fault)
    with pytest.raises(BadInput, match="no images in the archive"):
        data.open(archive(tmp_path / "b.zip", {"readme.txt": b""}))
    whole = archive(tmp_path / "c.zip", {"a.png": png(0, 40), "b.png": png(1, 40)})
    content = bytearray(whole.read_bytes())
    content[200:220] = b"\0" * 20
    whole.write_bytes(bytes(content))
    dataset = data.open(whole)
    assert len(dataset) == 1 and [Path(path).name for path, _ in dataset.bad_files] == ["a.png"]


def test_a_cycle_of_links_and_a_dead_link_in_a_folder(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dead.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.png")
    dataset = data.open(tmp_path)
    assert len(dataset) == 1
    assert [Path(path).name for path, _ in dataset.bad_files] == ["dead.png", "pipe.png"]


def test_sources_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no images in the folder"):
        data.open(tmp_path)
    for call in (data.open, data.check):
        with pytest.raises(BadInput, match='did you mean "shapes"') as fault:
            call("shaeps")
        one_line(fault)
        with pytest.raises(BadInput) as fault:
            call(tmp_path / "nowhere")
        assert "nowhere" in one_line(fault)
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(BadInput, match="is a table: use `ganloom table fit"):
        data.open(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "options",
    [
        {"fit": "corp"},
        {"shape": (5, 8, 8)},
        {"shape": (3, 0, 8)},
        {"shape": (3, 8)},
        {"shape": "3x8x8"},
        {"default_size": 0},
        {"labels": [0]},
    ],
)
def test_invalid_options_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as fault:
        data.open(put(tmp_path, "a.png"), **options)
    one_line(fault)


class Decoder:
    """Counts the calls of the real decoder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.real = file_index.decode
        monkeypatch.setattr(file_index, "decode", self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.real(*args, **kwargs)


def test_the_second_open_does_not_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = put(tmp_path / "set", "a/1.png", "b/2.png", "b/3.png")
    (source / "b/4.png").write_bytes(b"bad")
    decoder = Decoder(monkeypatch)
    first = data.open(source)
    assert decoder.calls == 4
    second = data.open(source)
    assert decoder.calls == 4
    assert second.fingerprint == first.fingerprint and second.bad_files == first.bad_files
    assert second.classes == first.classes and np.array_equal(second.labels, first.labels)
    data.open(source, flip=True)
    assert decoder.calls == 4, "images are flipped when they are drawn"
    data.open(source, fit="pad", shape=(3, 8, 8))
    assert decoder.calls == 8
    data.open(source, cache=False)
    assert decoder.calls == 12


def test_a_changed_file_is_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = put(tmp_path / "set", "1.png", "2.png")
    before = data.open(source)
    (source / "1.png").write_bytes(png(9))
    after = data.open(source)
    assert after.fingerprint != before.fingerprint
    (source / "2.png").rename(source / "3.png")
    decoder = Decoder(monkeypatch)
    data.open(source)
    assert decoder.calls == 2


@pytest.mark.parametrize(
    "damage",
    [
        "flip a byte",
        "cut",
        "no notes",
        "notes are no JSON",
        "rows are no array",
        "rows are a zip",
        "wrong count",
        "other notes",
        "deep",
        "infinite",
        "a list",
    ],
)
def test_a_damaged_cache_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path / "cache"))
    source = put(tmp_path / "set", "1.png", "2.png")
    expected = data.open(source).fingerprint
    (folder,) = (tmp_path / "cache" / "stores").iterdir()
    rows, notes = folder / "rows.npy", folder / "meta.json"
    content = rows.read_bytes()
    if damage == "flip a byte":
        rows.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "cut":
        rows.write_bytes(content[:-200])
    elif damage == "no notes":
        notes.unlink()
    elif damage == "notes are no JSON":
        notes.write_text("{")
    elif damage == "rows are no array":
        rows.write_bytes(b"")
    elif damage == "rows are a zip":
        rows.write_bytes(b"PK\x03\x04" + content)
    elif damage in ("deep", "infinite", "a list"):
        notes.write_text(
            {"deep": "[" * 10_000, "infinite": '{"count": 1e999, "sha256": "", "notes": {}}', "a list": "[]"}[damage]
        )
    elif damage == "other notes":
        notes.write_text(notes.read_text().replace('"labels": null', '"labels": 3'))
    else:
        notes.write_text(notes.read_text().replace('"count": 2', '"count": 3'))
    decoder = Decoder(monkeypatch)
    assert data.open(source).fingerprint == expected and decoder.calls == 2
    assert data.open(source).fingerprint == expected and decoder.calls == 2, "the cache was written again"
    assert [p.name for p in folder.parent.iterdir()] == [folder.name], "no temporary folder is left"


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path / "file"))
    assert len(data.open(put(tmp_path / "set", "1.png"))) == 1


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_store_larger_than_memory_allows_is_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use_cache: bool
) -> None:
    source = put(tmp_path / "set", *(f"{i}.png" for i in range(5)))
    (source / "2.png").write_bytes(b"")
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path / "cache"))
    expected = data.open(source, cache=False).fingerprint
    monkeypatch.setattr(cache, "MEMORY_LIMIT", 1000)
    dataset = data.open(source, cache=use_cache)
    assert isinstance(dataset, data.Images) and isinstance(dataset.rows, np.memmap)
    assert dataset.fingerprint == expected and len(dataset) == 4
    assert np.array_equal(dataset.uint8(2)[0], pixels(3))
    assert data.open(source, cache=use_cache).fingerprint == expected


def test_reopen_from_another_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "set", "a/1.png", "b/2.png", "b/3.png")
    archive(tmp_path / "set.zip", {"1.png": png(1), "2.png": png(2)})
    np.save(tmp_path / "set.npy", np.stack([pixels(i) for i in range(4)]))
    (tmp_path / "elsewhere").mkdir()
    for name in ("set", "set.zip", "set.npy"):
        monkeypatch.chdir(tmp_path)
        dataset = data.open(name, shape=(3, 9, 7), fit="pad", flip=True)
        notes = json.loads(json.dumps(dataset.source))
        monkeypatch.chdir(tmp_path / "elsewhere")
        again = data.reopen(notes)
        assert again.fingerprint == dataset.fingerprint and again.flip and again.fit == "pad"
        half = dataset.split(1, seed=3)[1]
        assert data.reopen(json.loads(json.dumps(half.source))).fingerprint == half.fingerprint


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.booleans(), st.integers(0, 60))
@settings(max_examples=50, deadline=None)
def test_arbitrary_bytes_never_raise(contents: list[bytes], disguised: bool, length: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "good.png").write_bytes(png())
        for i, content in enumerate(contents):
            Path(folder, f"bad{i}.png").write_bytes((png()[:length] if disguised else b"") + content)
        dataset = data.open(folder, cache=False)
        assert len(dataset) == 1
        assert [Path(path).name for path, _ in dataset.bad_files] == [f"bad{i}.png" for i in range(len(contents))]
        assert data.check(folder).unreadable == len(contents)


@given(st.integers(0, 400), st.integers(0, 255), st.sampled_from([".png", ".tga", ".jpg", ".gif", ".tif"]))
@settings(max_examples=50, deadline=None)
def test_a_damaged_byte_never_raises(place: int, value: int, end: str) -> None:
    content = bytearray(png())
    content[place % len(content)] = value
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "good.png").write_bytes(png())
        Path(folder, "odd" + end).write_bytes(bytes(content))
        dataset = data.open(folder, cache=False)
        assert len(dataset) + len(dataset.bad_files) == 2
