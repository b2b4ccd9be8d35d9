"""Labels of image files: one rule for folders and archives; nothing is dropped or made up without a word."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import ganloom
from ganloom import data
from ganloom.core.errors import BadInput
from ganloom.data import class_folders, label_files

CHUNKS = [f"{i // 3:05d}/{i:04d}.png" for i in range(6)]
PAIRS = [[name, i % 3] for i, name in enumerate(CHUNKS)]


def put(root: Path, names: list[str], files: dict[str, Any] | None = None) -> Path:
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (8, 8, 3), np.uint8)).save(root / name)
    for name, content in (files or {}).items():
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def packed(root: Path, form: str) -> Path:
    """The folder itself, or an archive of it."""
    if form == "folder":
        return root
    path = root.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(p for p in root.rglob("*") if p.is_file()):
            name = file.relative_to(root.parent if form != "zip" else root).as_posix()
            archive.writestr(name.replace("/", "\\") if form == "zip with backslashes" else name, file.read_bytes())
    return path


FORMS = ("folder", "zip", "zip with top folder", "zip with backslashes")
forms = pytest.mark.parametrize("form", FORMS)


def opened(root: Path, form: str = "folder", **options: Any) -> tuple[list[int] | None, list[str], list[str]]:
    """(labels, classes, notes)."""
    d = data.open(packed(root, form), cache=False, **options)
    assert all("\n" not in note and len(note) < 400 for note in d.notes)
    return None if d.labels is None else d.labels.tolist(), d.class_names, d.notes


def of_json(labels: Any) -> dict[str, str]:
    return {"dataset.json": json.dumps({"labels": labels})}


@forms
@pytest.mark.parametrize(
    "files",
    [
        of_json(PAIRS),
        of_json(dict(PAIRS)),
        of_json([[name.replace("/", "\\"), label] for name, label in PAIRS]),
        {"labels.csv": "filename,label\n" + "".join(f"{n},{c}\n" for n, c in PAIRS)},
        {"labels.csv": "\ufeffid;breed\r\n" + "".join(f"{n[6:10]};{c}\r\n" for n, c in PAIRS)},
        {"labels.csv": "".join(f"{n},{c}\n" for n, c in PAIRS)},
        {"labels.csv": "file,note,label\r\n" + "".join(f"{n},one\u2028line,{c}\r\n" for n, c in PAIRS)},
        {"metadata.csv": "text,file_name,label\n" + "".join(f"hello,{n},{c}\n" for n, c in PAIRS)},
        {"metadata.jsonl": "".join(json.dumps({"file_name": n, "label": c}) + "\n" for n, c in PAIRS)},
    ],
)
def test_files_of_labels_count_before_folders(tmp_path: Path, form: str, files: dict[str, str]) -> None:
    labels, classes, notes = opened(put(tmp_path / "set", CHUNKS, files), form)
    assert (labels, classes, notes) == ([0, 1, 2, 0, 1, 2], ["0", "1", "2"], [])


@forms
@pytest.mark.parametrize(
    "files",
    [
        {"dataset.json": '{"labels": [["00000/0000.png", 0],]}'},
        {"dataset.json": json.dumps({"labels": PAIRS})[:50]},
        {"dataset.json": ""},
        {"dataset.json": b"\xff\xfe\x00"},
        {"dataset.json": "[" * 10_000},
        of_json(PAIRS[:5]),
        of_json([*PAIRS[:5], [CHUNKS[5], None]]),
        of_json([*PAIRS, [CHUNKS[0], 2]]),
        of_json([["elsewhere.png", 0]]),
        of_json([[name, 0.5] for name in CHUNKS]),
        of_json(7),
        {"labels.csv": ""},
        {"labels.csv": "file,label\n" + CHUNKS[0] + "\n"},
        {"labels.csv": "file,label\n" + "".join(f"{n},{c}\n" for n, c in PAIRS[:4])},
        {"labels.csv": b"file,label\n\xe9.png,1\n"},
        {"metadata.jsonl": '{"file_name": \n'},
    ],
)
def test_a_damaged_or_incomplete_file_of_labels_is_refused(
    tmp_path: Path, form: str, files: dict[str, str | bytes]
) -> None:
    source = packed(put(tmp_path / "set", CHUNKS, files), form)
    for call in (data.open, data.check):
        with pytest.raises(BadInput, match=next(iter(files))) as fault:
            call(source)
        assert "--labels none" in str(fault.value) and "\n" not in str(fault.value) and len(str(fault.value)) < 400
    assert data.open(source, labels=False, cache=False).n_classes == 0
    assert data.check(source, labels=False).classes is None


def test_a_damaged_member_of_labels_is_refused(tmp_path: Path) -> None:
    path = packed(put(tmp_path / "set", CHUNKS, of_json(PAIRS)), "zip")
    content = bytearray(path.read_bytes())
    content[content.find(b'{"labels"') + 3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(BadInput, match=r"dataset\.json in .* damaged in the archive"):
        data.open(path, cache=False)


@forms
def test_files_that_are_not_used_are_named(tmp_path: Path, form: str) -> None:
    names = [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(2)]
    files = {
        "labels.txt": "a",
        "annotations.xml": "b",
        "notes.txt": "c",
        "metadata.csv": "file_name,width\ncat/0.png,12\n",
    }
    labels, classes, notes = opened(put(tmp_path / "set", names, files), form)
    assert labels == [0, 0, 1, 1] and classes == ["cat", "dog"] and len(notes) == 2
    assert "metadata.csv is not read: it has the columns file_name, width" in notes[0]
    assert "labels.txt" in notes[1] and "annotations.xml" in notes[1] and "notes.txt" not in notes[1]
    lines = data.check(packed(tmp_path / "set", form)).lines()
    assert sum(line.strip().startswith("note") for line in lines) == 2


def test_priority_and_a_word_about_the_others(tmp_path: Path) -> None:
    names = [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(2)]
    put(tmp_path, names, of_json([[n, i % 2] for i, n in enumerate(names)]) | {"labels.csv": "file,label\n"})
    labels, _, notes = opened(tmp_path)
    assert labels == [0, 1, 0, 1] and "labels.csv is not read: dataset.json says" in notes[0]
    assert "come from dataset.json, not from the folders cat, dog" in notes[1]
    put(tmp_path, [], of_json(None))
    labels, _, notes = opened(tmp_path)
    assert labels is None and any("says that there are no labels" in note for note in notes)
    put(tmp_path, [], {"dataset.json": '{"title": "mine"}', "labels.csv": "file,label\nelse.png,1\n"})
    labels, classes, notes = opened(tmp_path)
    assert classes == ["cat", "dog"] and ["dataset.json" in notes[0], "labels.csv" in notes[1]] == [True, True]


def test_labels_of_deeper_folders_are_named(tmp_path: Path) -> None:
    put(tmp_path, ["one/a.png", "two/b.png"])
    put(tmp_path / "one", [], of_json([["a.png", 3]]))
    _, classes, notes = opened(tmp_path)
    assert classes == ["one", "two"] and "one/dataset.json may hold labels, not read" in notes[0]


@forms
def test_a_few_images_beside_class_folders_are_left_out_and_named(tmp_path: Path, form: str) -> None:
    names = [f"{c}/{c}{i}.png" for c in ("cat", "dog") for i in range(10)]
    labels, classes, notes = opened(put(tmp_path / "set", [*names, "cover.png"]), form)
    assert labels == [0] * 10 + [1] * 10 and classes == ["cat", "dog"]
    assert "1 image beside the class folders cat, dog, such as cover.png, is left out" in notes[0]
    assert data.check(packed(tmp_path / "set", form)).count == 20
    labels, _, notes = opened(put(tmp_path / "set", ["1.png", "2.png"]), form)
    assert labels is None and "not used as classes" in notes[0]
    labels, _, notes = opened(tmp_path / "set", form, labels=False)
    assert labels is None and notes == []


def test_a_refusal_says_why_there_are_no_labels(tmp_path: Path) -> None:
    put(tmp_path / "d", ["cat/1.png", "dog/1.png", "2.png"])
    with pytest.raises(BadInput, match="at least 2 classes.*beside the class folders cat, dog"):
        ganloom.train("cgan", data=tmp_path / "d", out=tmp_path / "run", batch_size=2)
    assert not (tmp_path / "run").exists()
    put(tmp_path / "ab", ["A/1.png", "B/1.png"])
    with pytest.raises(BadInput, match="has no input images.*unpack the archive"):
        ganloom.train("pix2pix", data=packed(tmp_path / "ab", "zip"), out=tmp_path / "run")


@forms
def test_an_image_above_a_top_folder(tmp_path: Path, form: str) -> None:
    names = [f"set/{c}/{c}{i}.png" for c in ("cat", "dog") for i in range(6)]
    labels, classes, notes = opened(put(tmp_path / "d", [*names, "cover.png"]), form)
    assert labels == [0] * 6 + [1] * 6 and classes == ["cat", "dog"]
    assert "beside the folder set, such as cover.png, is left out" in notes[0]
    _, _, notes = opened(put(tmp_path / "flat", ["all/1.png", "all/2.png", *(f"{i}.png" for i in range(3))]), form)
    assert notes == [], "folders that mean nothing are searched as before"
    labels, _, notes = opened(put(tmp_path / "d", [f"{i}.png" for i in range(6)]), form)
    assert labels is None and "7 images beside the folder set: so the folders in it are not used" in notes[0]


def test_names_of_folders_are_printable(tmp_path: Path) -> None:
    _, _, notes = opened(put(tmp_path, ["a\nb/1.png", "val/2.png", "c/3.png"]))
    assert len(notes) == 1 and notes[0].isprintable()
    put(tmp_path / "x", [*(f"a\nb/{i}.png" for i in range(9)), "c/3.png", "new\nline.png"])
    assert "new\\nline.png" in opened(tmp_path / "x")[2][0]


def test_folders_that_hold_chunks_are_not_classes(tmp_path: Path) -> None:
    labels, _, notes = opened(put(tmp_path / "ffhq", CHUNKS[:5]))
    assert labels is None and "00000 ... 00001 hold consecutive parts" in notes[0]
    signs = [f"{c:05d}/{i:05d}.png" for c in range(3) for i in range(2)]  # numbers of classes, as in GTSRB
    assert opened(put(tmp_path / "signs", signs))[1] == ["00000", "00001", "00002"]
    years = [f"{year}/{year}-{i}.png" for year in (2021, 2022) for i in range(3)]
    assert opened(put(tmp_path / "years", years))[1] == ["2021", "2022"]
    assert opened(tmp_path / "years", labels=False) == (None, [], [])


SPLITS: dict[str, tuple[dict[str, int], int, list[str]]] = {
    "splits with classes": ({"train/cat": 3, "train/dog": 2, "val/cat": 2, "test/dog": 2}, 5, ["cat", "dog"]),
    "splits without": ({"Train": 3, "validation": 2}, 3, []),
    "coco": ({"images/train2017": 3, "images/val2017": 2}, 3, []),
    "intel": (
        {"seg_train/seg_train/sea": 3, "seg_train/seg_train/ice": 2, "seg_test/seg_test/sea": 2},
        5,
        ["ice", "sea"],
    ),
    "a test set beside classes": ({"cat": 3, "dog": 2, "test": 2}, 5, ["cat", "dog"]),
    "unlabelled images": ({"train/1": 3, "train/2": 2, "unlabeled": 2}, 5, ["1", "2"]),
    "inside classes": ({"cat/train": 3, "cat/test": 1, "dog/train": 2, "dog/test": 2}, 5, ["cat", "dog"]),
    "an image beside": ({"": 1, "train": 3, "test": 2}, 3, []),
}


@forms
@pytest.mark.parametrize("name", SPLITS)
def test_splits_are_not_classes(tmp_path: Path, form: str, name: str) -> None:
    folders, count, classes = SPLITS[name]
    root = put(tmp_path / "set", [f"{f}/{f.replace('/', '')}{i}.png" for f, n in folders.items() for i in range(n)])
    d = data.open(packed(root, form), cache=False)
    assert len(d) == count and d.class_names == classes and len(d.notes) == 1 and "split" in d.notes[0]
    assert data.check(packed(root, form)).count == count


@pytest.mark.parametrize(
    "folders", [("train", "car", "bus"), ("valid", "invalid"), ("steam-train", "drug test"), ("dev", "ops")]
)
def test_words_that_are_classes(tmp_path: Path, folders: tuple[str, ...]) -> None:
    _, classes, notes = opened(put(tmp_path, [f"{folder}/{i}.png" for folder in folders for i in range(2)]))
    assert classes == sorted(folders) and notes == []


def test_only_validation_and_test(tmp_path: Path) -> None:
    labels, classes, notes = opened(put(tmp_path, ["val/a/1.png", "val/b/1.png", "test/a/2.png"]))
    assert labels == [0, 0, 1] and classes == ["a", "b"] and "there is no folder train" in notes[0]


def test_labels_of_a_split(tmp_path: Path) -> None:
    put(tmp_path, ["train/1.png", "train/2.png", "test/1.png"])
    put(tmp_path / "train", [], {"metadata.csv": "file_name,label\n1.png,fox\n2.png,elk\n"})
    put(tmp_path / "test", [], {"metadata.csv": "file_name,label\n1.png,fox\n"})
    labels, classes, notes = opened(tmp_path)
    assert labels == [1, 0] and classes == ["elk", "fox"] and len(notes) == 1 and "test (1)" in notes[0]


def test_the_cache_keeps_labels_and_notes_apart(tmp_path: Path) -> None:
    root = put(tmp_path / "set", CHUNKS, of_json(PAIRS))
    first, second = data.open(root), data.open(root)
    assert first.fingerprint == second.fingerprint and second.n_classes == 3
    (root / "dataset.json").unlink()
    third = data.open(root)
    assert third.n_classes == 0 and "consecutive" in third.notes[0] and data.open(root).notes == third.notes
    assert data.open(root, labels=False).notes == []


@given(st.binary(max_size=200), st.sampled_from(label_files.READ))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_labels_or_one_line(content: bytes, name: str) -> None:
    try:
        pairs = label_files.parse(name, content, CHUNKS).pairs
        label_files.match(pairs or [], CHUNKS)
    except (BadInput, label_files.NotLabels) as error:
        assert "\n" not in str(error)


@given(
    st.lists(
        st.lists(
            st.sampled_from(["train", "test", "A", "B", "cat", "000", "001", "trainA", "trainB", "testA"]), max_size=3
        ),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=150, deadline=None)
def test_any_folders_keep_some_images(folders: list[list[str]]) -> None:
    names = sorted("/".join([*folder, f"{i}.png"]) for i, folder in enumerate(folders))
    files = class_folders.arrange(names, "set")
    labels, classes = class_folders.classes_of(files)
    assert files.keep and len(files.keep) == len(files.paths) and len(set(files.keep)) == len(files.keep)
    if labels is not None and classes is not None:
        assert len(labels) == len(files.keep) and set(labels.tolist()) == set(range(len(classes)))
    assert len(files.keep) == len(names) or files.notes, "what is left out is said"
