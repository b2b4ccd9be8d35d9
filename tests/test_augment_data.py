"""ganloom augment data and subset: which files are written, what the table says, and what is refused."""

import csv
import json
from pathlib import Path
from typing import Any

import commands
import numpy as np
import pytest
from PIL import Image

import ganloom
from ganloom import data as datasets
from ganloom.apps import augment_files as app
from ganloom.apps.augment_data import labelled_subset
from ganloom.core.errors import BadInput
from ganloom.training.callbacks import Callback

RNG = np.random.default_rng(0)
NAMES = ("cat", "dog", "eel")
QUICK = {"kimg_per_tick": 0.1, "kimg_per_checkpoint": 0.2, "judge": 0, "doctor": False, "console": Callback()}
Call = Any


def folder_of_classes(root: Path, counts: tuple[int, ...] = (6, 4, 2), side: int = 16, ending: str = "png") -> Path:
    for name, count in zip(NAMES, counts, strict=False):
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = RNG.integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.{ending}")
    return root


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_classes(tmp_path_factory.mktemp("photos") / "photos")


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the classes of the photos; hardly trained, which the files that are written do not depend on."""
    out = tmp_path_factory.mktemp("runs") / "classes"
    ganloom.train("default", photos, out, width=4, batch_size=8, total_kimg=0.1, **QUICK)
    return out


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without labels."""
    out = tmp_path_factory.mktemp("runs") / "plain"
    images = RNG.integers(0, 256, (12, 16, 16, 1), dtype=np.uint8)
    ganloom.train("default", images, out, width=4, batch_size=8, total_kimg=0.1, **QUICK)
    return out


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_real_and_generated_images_are_marked_and_can_be_drawn_again(
    photos: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "more"
    code, text, err = commands.call(
        capsys, "augment", "data", photos, "--with", run, "--per-class", 3, "--out", out, "--seed", 5
    )
    assert not code and "next: ganloom augment report" in text, err
    rows = table(out)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png")) == sorted(
        r["file_name"] for r in rows
    )
    real, made = ([r for r in rows if r["source"] == kind] for kind in ("real", "generated"))
    assert len(real) == 12 and len(made) == 9 and [r["seed"] for r in made] == [str(5 + i) for i in range(9)]
    for row in real:  # byte for byte
        assert (out / row["file_name"]).read_bytes() == Path(row["original"]).read_bytes()
        assert Path(row["original"]).parent.name == row["class"] and not row["seed"] + row["run"]
    gan = ganloom.load(run)
    for row in made:
        assert row["run"] == str(run)
        pixels = np.asarray(Image.open(out / row["file_name"])).astype(int)
        again = ((gan.generate(1, seed=int(row["seed"]), c=row["class"])[0, 0] + 1) * 127.5).numpy()
        assert np.abs(pixels - again).max() < 1.01
    opened = datasets.open(out)
    assert opened.class_names == list(NAMES) and np.bincount(opened.labels).tolist() == [9, 7, 5]


def test_balance_fills_up_short_classes(photos: Path, run: Path, tmp_path: Path) -> None:
    even = ganloom.augment_data(photos, run, tmp_path / "even", balance=True)
    assert even.generated == {"cat": 0, "dog": 2, "eel": 4} and even.real == {"cat": 6, "dog": 4, "eel": 2}
    five = ganloom.augment_data(photos, run, tmp_path / "five", balance=True, per_class=5)
    assert five.generated == {"cat": 0, "dog": 1, "eel": 3}
    with pytest.raises(BadInput, match="each class of photos has 2 images or more"):
        ganloom.augment_data(photos, run, tmp_path / "two", balance=True, per_class=2)


def test_links_point_to_the_files(photos: Path, run: Path, tmp_path: Path) -> None:
    out = ganloom.augment_data(photos, run, tmp_path / "links", per_class=1, links=True).folder
    links = [path for path in out.rglob("*") if path.is_symlink()]
    assert len(links) == 12 and all(photos in path.resolve().parents for path in links)
    assert len(datasets.open(out)) == 15
    with pytest.raises(BadInput, match="has no image files of 8 bits to link to"):
        ganloom.augment_data(datasets.open(photos), run, tmp_path / "array", per_class=1, links=True)


def test_files_of_another_shape_are_converted_and_it_is_said(tmp_path: Path, run: Path, photos: Path) -> None:
    mixed = folder_of_classes(tmp_path / "mixed", (3, 3, 3))
    Image.fromarray(RNG.integers(0, 256, (40, 32, 3), dtype=np.uint8)).save(mixed / "cat" / "large.png")
    written = ganloom.augment_data(mixed, run, tmp_path / "out", per_class=1, resize=True)
    assert any("1 real images were written as the model sees them: 1 x 16 x 16" in note for note in written.notes)
    for path in written.folder.rglob("*.png"):
        with Image.open(path) as image:
            assert (image.size, image.mode) == ((16, 16), "L")
    with pytest.raises(BadInput, match="large.png is not of the shape 1 x 16 x 16"):
        ganloom.augment_data(mixed, run, tmp_path / "links", per_class=1, resize=True, links=True)


def test_one_file_of_16_bits_changes_no_other(tmp_path: Path, run: Path) -> None:
    mixed = folder_of_classes(tmp_path / "mixed", (3, 3, 3))
    Image.fromarray(RNG.integers(0, 65536, (16, 16), dtype=np.uint16)).save(mixed / "dog" / "deep.png")
    written = ganloom.augment_data(mixed, run, tmp_path / "out", per_class=1)
    assert any("1 real images were written as the model sees them" in note for note in written.notes)
    for row in table(written.folder):
        if row["source"] == "real":
            same = (written.folder / row["file_name"]).read_bytes() == Path(row["original"]).read_bytes()
            assert same == (Path(row["original"]).name != "deep.png")


def test_nothing_is_dropped_or_taken_for_real_without_a_word(tmp_path: Path, run: Path, photos: Path) -> None:
    broken = folder_of_classes(tmp_path / "broken", (6, 4, 2))
    (broken / "dog" / "bad.png").write_bytes(b"no image")
    for written in (
        ganloom.augment_data(broken, run, tmp_path / "more", per_class=1),
        labelled_subset(broken, tmp_path / "few", per_class=2),
    ):
        assert any("bad.png: not an image" in note for note in written.notes)
        assert not any("held out" in note for note in written.notes)
    for again in (
        lambda: ganloom.augment_data(tmp_path / "more", run, tmp_path / "again", per_class=1),
        lambda: labelled_subset(tmp_path / "more", tmp_path / "again", per_class=1),
        lambda: ganloom.augmentation_report(tmp_path / "more", run, test=photos, seeds=1, steps=1),
    ):
        with pytest.raises(BadInput, match="was written by `ganloom augment data`, and 3 of its images are generated"):
            again()
    assert labelled_subset(tmp_path / "few", tmp_path / "fewer", per_class=1).real == {"cat": 1, "dog": 1, "eel": 1}
    (broken / "fox").mkdir()
    with pytest.raises(BadInput, match="1 class has no images: fox"):
        ganloom.augment_data(broken, run, tmp_path / "fox", per_class=1)


def test_a_stopped_call_is_continued(photos: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ganloom.augment_data(photos, run, tmp_path / "whole", per_class=4).folder
    out, png = tmp_path / "cut", app.Writer._png

    def stop(self: Any, name: str, image: Any) -> None:
        if "000000005" in name:
            raise KeyboardInterrupt
        png(self, name, image)

    monkeypatch.setattr(app.Writer, "_png", stop)
    with pytest.raises(KeyboardInterrupt):
        ganloom.augment_data(photos, run, out, per_class=4)
    assert not (out / "metadata.csv").exists() and not list(out.rglob(".tmp*"))
    monkeypatch.setattr(app.Writer, "_png", png)
    with pytest.raises(BadInput, match="was begun with another seed"):
        ganloom.augment_data(photos, run, out, per_class=4, seed=1)
    ganloom.augment_data(photos, run, out, per_class=4)
    files = sorted(path.relative_to(whole) for path in whole.rglob("*.*") if path.name != "augment.json")
    assert files == sorted(path.relative_to(out) for path in out.rglob("*.*") if path.name != "augment.json")
    assert all((whole / file).read_bytes() == (out / file).read_bytes() for file in files)
    with pytest.raises(BadInput, match="exists and is not empty"):
        ganloom.augment_data(photos, run, out, per_class=4)


def test_class_names_that_no_folder_can_have_survive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = labelled_subset("fashion-10k", tmp_path / "few", per_class=3, seed=1)
    again, whole = datasets.open(few.folder), datasets.open("fashion-10k")
    assert sorted(again.class_names) == sorted(whole.class_names) and "T-shirt/top" in again.class_names
    for row in table(few.folder)[:5]:
        i = int(row["original"].rpartition(":")[2])
        assert np.array_equal(np.asarray(Image.open(few.folder / row["file_name"])), whole.rows[i, :, :, 0])
        assert row["class"] == whole.class_names[whole.labels[i]]
    code, text, _ = commands.call(
        capsys, "augment", "subset", "fashion-10k", "--per-class", 2, "--out", tmp_path / "b", "--json"
    )
    assert not code and set(json.loads(text)["real"].values()) == {2}


def test_what_cannot_be_used_is_one_line(
    photos: Path, run: Path, plain_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = folder_of_classes(tmp_path / "other")
    (other / "eel").rename(other / "yak")
    wide = folder_of_classes(tmp_path / "wide", side=20)
    empty = folder_of_classes(tmp_path / "empty")
    (empty / "fox").mkdir()
    broken = folder_of_classes(tmp_path / "broken")
    (broken / "fox").mkdir()
    (broken / "fox" / "0.png").write_bytes(b"no image")
    flat = folder_of_classes(tmp_path / "flat", (4,))
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    out, n = ("--out", tmp_path / "out"), ("--per-class", 2)
    faults: tuple[tuple[tuple[object, ...], str], ...] = (
        ((photos, "--with", plain_run, *n, *out), "was trained without labels"),
        ((photos, "--with", tmp_path / "none", *n, *out), "no run at"),
        ((other, "--with", run, *n, *out), "cannot generate 1 of the 3 classes of other: yak; it has cat, dog, eel"),
        ((wide, "--with", run, *n, *out), "those of wide are 1 x 20 x 20"),
        ((broken, "--with", run, *n, *out), "1 class has no images: fox"),
        ((flat / "cat", "--with", run, *n, *out), "has no labels"),
        (("ring", "--with", run, *n, *out), "holds points"),
        ((photos, "--with", run, "--per-class", 0, *out), "--per-class must be at least 1, got 0"),
        ((photos, "--with", run, *out), "--per-class N, or --balance"),
        ((photos, "--with", run, *n, "--out", taken), "exists and is not empty"),
        ((photos, "--with", run, *n, "--out", photos / "more"), "is inside"),
        ((photos, "--with", run, *n, *out, "--links", "--copies"), "exclude each other"),
        ((photos, *n, *out), "--with is missing"),
        ((photos, "--with", run, *n, *out, "--truncation", "-1"), "--truncation must not be negative"),
    )
    for argv, said in faults:
        code, _, err = commands.call(capsys, "augment", "data", *argv)
        assert code == 2 and said in err and err.count("\n") == 1, (argv, err)
    assert not (tmp_path / "out").exists() and (taken / "mine.txt").read_text() == "mine"
    code, _, err = commands.call(capsys, "augment", "subset", photos, "--per-class", 0, *out)
    assert code == 2 and "--per-class must be at least 1" in err
