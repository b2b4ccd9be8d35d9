"""Which files of a source are images: HEIC, camera raw, other endings, animations, and the folders that ganloom wrote."""

import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganloom import data
from ganloom.core.errors import BadInput
from ganloom.data import file_kinds, own_folders

RANDOM = np.random.default_rng(0)


def picture(kind: str = "PNG", size: tuple[int, int] = (16, 12)) -> bytes:
    file = io.BytesIO()
    Image.fromarray(RANDOM.integers(0, 256, (size[1], size[0], 3), np.uint8)).save(file, kind)
    return file.getvalue()


def put(root: Path, *names: str, content: bytes = b"") -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content or picture())
    return root


@pytest.fixture
def no_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without the extra ``heif``."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(file_kinds, "heif_is_installed", lambda: False)
    monkeypatch.setattr("ganloom.data.decode.heif_is_installed", lambda: False)


@pytest.fixture
def heic() -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    ramp = np.zeros((48, 64, 3), np.uint8)
    ramp[:, :32], ramp[:, 32:] = (200, 40, 40), (30, 60, 220)
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(ramp)).save(file, quality=95)
    return file.getvalue()


@pytest.mark.parametrize("name", ["IMG_0001.HEIC", "a.heif", "b.hif", "renamed.jpg", "IMG_2"])
def test_heic_files_are_read(tmp_path: Path, heic: bytes, name: str) -> None:
    put(tmp_path, name, content=heic)
    dataset = data.open(tmp_path)
    assert isinstance(dataset, data.Images) and dataset.shape == (3, 48, 64) and not dataset.bad_files
    assert np.abs(dataset.rows[0, 20, 8].astype(int) - (200, 40, 40)).max() < 12
    assert np.abs(dataset.rows[0, 20, 56].astype(int) - (30, 60, 220)).max() < 12
    assert data.check(tmp_path).formats == {"HEIF": 1}


@pytest.mark.parametrize("zipped", [False, True])
def test_heic_files_without_the_extra_are_named_with_the_command(
    tmp_path: Path, heic: bytes, no_heif: None, zipped: bool
) -> None:
    root = put(tmp_path / "x", "1.HEIC", "2.heic", "hidden.jpg", content=heic)
    put(root, "a.png")
    if zipped:
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for path in sorted(root.iterdir()):
                archive.write(path, path.name)
    dataset = data.open(tmp_path / "x.zip" if zipped else root)
    assert len(dataset) == 1 and [Path(path).name for path, _ in dataset.bad_files] == [
        "1.HEIC",
        "2.heic",
        "hidden.jpg",
    ]
    assert all('pip install "ganloom[heif]"' in reason for _, reason in dataset.bad_files)
    assert dataset.facts.notes[0].startswith("left out 2 files such as 1.HEIC: a HEIC file: pip install")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.NEF", "camera raw"), ("a.cr2", "camera raw"), ("a.CR3", "camera raw"), ("a.dng", "camera raw"),
        ("a.arw", "camera raw"), ("a.raf", "camera raw"), ("a.orf", "camera raw"), ("a.rw2", "camera raw"),
        ("a.psd", "export it as PNG"), ("a.svg", "export it as PNG"), ("a.pdf", "export it as PNG"), ("a.mp4", "ffmpeg"),
        ("a.MOV", "ffmpeg"), ("a.jxl", "convert it to PNG"), ("a.exr", "convert it to PNG"), ("a.dcm", "convert it to PNG"),
    ],
)  # fmt: skip
def test_files_that_look_like_images_are_counted_and_named(tmp_path: Path, name: str, advice: str) -> None:
    put(put(tmp_path, "ok.png"), name, "b" + name, content=b"content")
    report = data.check(tmp_path)
    assert report.count == 1 and report.unreadable == 2
    assert any(f"left out 2 files such as {name}" in note and advice in note for note in report.notes)
    (tmp_path / "ok.png").unlink()
    with pytest.raises(BadInput, match="none of the 2") as fault:
        data.open(tmp_path)
    assert advice in str(fault.value) and "\n" not in str(fault.value)


def test_images_by_content(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "IMG_1", "b.JPG_large", "c.png?v=2", "d.jpg:orig")
    put(tmp_path, "old.bak", "x.tmp", content=picture("JPEG"))
    put(tmp_path, "README", "Makefile", content=b"text")
    put(tmp_path, "t.txt", "l.csv", content=picture())
    dataset = data.open(tmp_path)
    assert len(dataset) == 5 and not dataset.bad_files
    assert dataset.facts.notes == [
        "4 files such as IMG_1 have no ending of an image, but the content of one: used",
        "2 files such as old.bak have the content of an image, but another ending: not used; rename to use it",
    ]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000"])
def test_content_kind(kind: str) -> None:
    assert file_kinds.content_kind(picture(kind)[: file_kinds.SNIFFED]) == kind
    assert file_kinds.content_kind(b"BMW cars are no bitmaps, at all") is None
    assert file_kinds.content_kind(b"") is None


def test_animations_and_pages_are_said(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "b.tif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "c.webp", save_all=True, append_images=frames[1:], lossless=True)
    frames[0].save(tmp_path / "d.png")
    dataset = data.open(tmp_path)
    assert isinstance(dataset, data.Images) and np.abs(dataset.rows.astype(int) - (255, 0, 0)).max() <= 3
    assert "3 files such as a.gif hold several frames or pages: only the first is used" in dataset.facts.notes
    assert data.open(tmp_path).facts.notes == dataset.facts.notes, "also from the cache"


def a_run(root: Path) -> Path:
    """A run as `ganloom train` and `ganloom sample` leave it."""
    put(root, "samples/reals.png", "samples/000001.png", "generated/kimg1/seed000000.png", "generated/kimg1/grid.png")
    (root / "config.json").write_text(json.dumps({"format": 1, "recipe": "dcgan", "config": {}}))
    (root / "run.json").write_text("{}")
    return root


@pytest.mark.parametrize("zipped", [False, True])
def test_folders_that_ganloom_wrote_are_no_data(tmp_path: Path, zipped: bool) -> None:
    root = put(tmp_path / "d", *(f"{name}/{i}.png" for name in ("cat", "dog") for i in range(4)))
    before = data.open(root).fingerprint
    a_run(root / "runs" / "a")
    put(root, "generated/seed000000.png", "generated/seed000001.png", "generated/grid.png")
    put(root, "by-class/grid.png", "by-class/cat/seed000000.png", "by-class/dog/seed000000.png")
    put(root, "translated/1.png", "translated/deep/2.png")
    own_folders.mark_output(root / "translated", "translate")
    (root / "translated" / "metadata.csv").write_text("file_name,label\n1.png,a\n")
    put(root, "photo/target.png", "photo/projected.png", "photo/both.png", "photo/ws.safetensors")
    put(root, "photo-z/target.png", "photo-z/projected.png", "photo-z/both.png", "photo-z/z.safetensors")
    source = root
    if zipped:
        source = tmp_path / "d.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in sorted(root.rglob("*")):
                archive.write(path, path.relative_to(root))
    dataset = data.open(source)
    assert dataset.fingerprint == before and dataset.classes == ["cat", "dog"]
    assert len(dataset.notes) == 1
    assert dataset.facts.notes[0].startswith("left out 6 folders such as by-class, which ganloom wrote")
    assert data.open(source).fingerprint == before


def test_folders_like_ours_are_data(tmp_path: Path) -> None:
    put(tmp_path, "generated/mine.png", "generated/grid.png", "runs/1.png", "runs/2.png")
    put(tmp_path, "generated/config.json", content=b'{"recipe": 3}')
    put(tmp_path, "runs/run.json", content=b"{}")
    assert len(data.open(tmp_path)) == 4 and data.open(tmp_path).facts.notes == []


def test_an_output_that_is_given_itself_is_data_and_a_run_is_not(tmp_path: Path) -> None:
    run = a_run(tmp_path / "a")
    assert len(data.open(run / "generated" / "kimg1")) == 2
    with pytest.raises(BadInput, match="is a run folder, not data"):
        data.open(run)
    own_folders.mark_output(run / "generated" / "kimg1", "translate")
    assert len(data.open(run / "generated" / "kimg1")) == 2
    with pytest.raises(BadInput, match=r"no images in the folder .*left out kimg1, which ganloom wrote"):
        data.open(run / "generated")


@pytest.mark.parametrize("inputs", ["pairs", "domains"])
def test_runs_beside_two_domains(tmp_path: Path, inputs: str) -> None:
    put(tmp_path, *(f"{name}/{i}.png" for name in ("cats", "dogs") for i in range(3)))
    a_run(tmp_path / "runs" / "a")
    assert len(data.open(tmp_path, inputs=inputs)) == 3


def test_crop_note(tmp_path: Path) -> None:
    put(tmp_path / "wide", "a.png", "b.png", content=picture(size=(192, 96)))
    (note,) = data.open(tmp_path / "wide").facts.notes
    assert (
        note == "fit crop cuts away 50% of the pixels on average: use --fit pad, or --shape 3 64 128 to keep the format"
    )
    assert data.open(tmp_path / "wide", shape=(3, 64, 128)).facts.notes == []
    for fit in ("pad", "squash"):
        assert data.open(tmp_path / "wide", fit=fit).facts.notes == []
    put(tmp_path / "both", "a.png", content=picture(size=(192, 96)))
    put(tmp_path / "both", "b.png", content=picture(size=(96, 192)))
    (note,) = data.open(tmp_path / "both").facts.notes
    assert note.endswith("use --fit pad"), "no single format keeps both"
    put(tmp_path / "tall", "a.png", content=picture(size=(100, 160)))
    assert "--shape 3 104 64" in data.open(tmp_path / "tall").facts.notes[0]
    rows = RANDOM.integers(0, 256, (3, 20, 60, 3), np.uint8)
    assert "--shape 3 20 60" in data.open(rows, shape=(3, 20, 20)).facts.notes[0]
    put(tmp_path / "pairs", "a.png", content=picture(size=(384, 96)))
    notes = data.open(tmp_path / "pairs", inputs="pairs").facts.notes
    assert "192 x 96 each" in notes[0] and "--shape 3 64 128" in notes[1]


@pytest.mark.parametrize("size", [(128, 96), (128, 128), (96, 128), (8, 40)])
def test_portrait_pairs_are_accepted(tmp_path: Path, size: tuple[int, int]) -> None:
    whole = np.zeros((size[1], size[0], 3), np.uint8)
    whole[:, size[0] // 2 :] = 200
    Image.fromarray(whole).save(tmp_path / "0.png")
    d = data.open(tmp_path, inputs="pairs")
    assert d.paired and d.inputs is not None and int(d.inputs.rows.max()) == 0 and int(d.rows.min()) == 200
    assert d.shape == (3, size[1], size[0] // 2)
    assert f"A is the left half, B the right half, mostly {size[0] // 2} x {size[1]} each" in d.facts.notes[0]


def test_pairs_name_files_that_are_not_read(tmp_path: Path, heic: bytes, no_heif: None) -> None:
    put(tmp_path, "A/1.png", "A/2.png", "B/1.png", "B/2.png")
    put(tmp_path, "A/x.nef", content=b"raw")
    d = data.open(tmp_path, inputs="pairs")
    assert len(d) == 2 and [Path(path).name for path, _ in d.bad_files] == ["x.nef"]
    assert "left out x.nef: a camera raw file" in d.facts.notes[0]
    (tmp_path / "B/2.png").unlink()
    put(tmp_path, "B/2.heic", content=heic)
    with pytest.raises(BadInput, match=r"such as 2 \(2.heic: a HEIC file: pip install"):
        data.open(tmp_path, inputs="pairs")


def test_a_run_inside_its_data_can_be_resumed(tmp_path: Path) -> None:
    import ganloom

    root = put(tmp_path / "d", *(f"{i}.png" for i in range(8)))
    options = {"width": 4, "batch_size": 4, "judge": 0, "grid": 4, "doctor": False, "total_kimg": 0.004}
    run = ganloom.train("cnn-gan", root, root / "runs" / "a", **options)
    assert ganloom.resume(run, total_kimg=0.008).reason == "finished"
    assert len(data.open(root)) == 8 and "left out runs/a, which ganloom wrote" in data.open(root).facts.notes[0]


def test_empty_folders_are_named(tmp_path: Path) -> None:
    root = put(tmp_path / "d", "a/1.png", "a/2.png", "b/1.png")
    (root / "gone").mkdir()
    (root / "lost").mkdir()
    (root / "lost" / ".keep").write_text("")
    opened = data.open(root)
    assert len(opened.class_names) == 2 and "gone, lost are empty and no classes" in opened.facts.notes


def test_a_folder_with_the_name_of_a_built_in_set_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "digits", "a/1.png", "a/2.png", "b/1.png")
    monkeypatch.chdir(tmp_path)
    opened = data.open("digits")
    assert len(opened) == 1797 and any(note.endswith("write ./digits") for note in opened.facts.notes)
    own = data.open("./digits")
    assert len(own) == 3 and not any("built-in" in note for note in own.facts.notes)
