"""``data=`` takes what Python users hold: lists, (x, y), torch data sets, tables; docs/data.md lists it and is executed."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tables
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import ganloom
from ganloom import data
from ganloom.core.errors import BadInput

DOC = (Path(__file__).resolve().parent.parent / "docs" / "data.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| `(data\.open.+)` \| (.+?) \|$", DOC, re.M)
X = np.random.default_rng(0).integers(0, 255, (6, 12, 10, 3), np.uint8)
Y = [0, 1, 2, 0, 1, 2]
NAMES = [["ant", "bee", "cat"][y] for y in Y]
IMAGES = [Image.fromarray(x) for x in X]


class Items(Dataset[Any]):
    """A torch data set of any items."""

    def __init__(self, items: list[Any], **attributes: Any) -> None:
        self.items = items
        vars(self).update(attributes)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the images as files, relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for i, image in enumerate(IMAGES):
        image.save(f"photos/{i}.png")
    return [f"photos/{i}.png" for i in range(6)]


def hugging_face(**more: Any) -> tables.Dataset:
    columns = {"image": IMAGES, "label": Y, "family": NAMES} | more
    features = {name: tables.Value() for name in columns}
    return tables.Dataset(
        columns, features | {"image": tables.Image(), "label": tables.ClassLabel(["ant", "bee", "cat"])}
    )


def test_the_docs_list_the_sources() -> None:
    assert len(ROWS) >= 15


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_row_of_the_docs_runs(row: tuple[str, str, str], photos: list[str]) -> None:
    scope = {
        "data": data, "x": X, "y": Y, "paths": photos, "names": NAMES, "Path": Path, "Image": Image, "torch": torch,
        "TensorDataset": TensorDataset, "DataLoader": DataLoader, "dataset": Items(list(zip(IMAGES, Y, strict=True))),
        "datasets": SimpleNamespace(load_dataset=lambda name, split: hugging_face()), "pandas": tables,
    }  # fmt: skip
    opened = eval(row[1], scope)
    assert isinstance(opened, data.Images) and len(opened) == 6
    assert opened.n_classes == (0 if row[2] == "none" else 3)
    if row[2] != "none":
        assert opened.labels is not None and opened.labels.tolist() == Y
    if "of different sizes" not in row[0]:
        assert np.array_equal(opened.rows, X), "pixels are those of the source"
    report = data.check(opened)
    assert report.count == 6


TAKEN: dict[str, Any] = {
    "tuple of paths": lambda p: (tuple(p), None),
    "paths in an array": lambda p: (np.array(p), None),
    "column of paths": lambda p: (tables.Column(p), None),
    "columns of paths and names": lambda p: ((tables.Column(p), tables.Column(NAMES)), NAMES),
    "objects in an array": lambda p: (tables.Column(IMAGES), None),
    "list of tensors": lambda p: ([torch.from_numpy(x).permute(2, 0, 1) for x in X], None),
    "list of (path, name)": lambda p: (list(zip(p, NAMES, strict=True)), NAMES),
    "list of dictionaries": lambda p: ([{"image": i, "label": y} for i, y in zip(IMAGES, Y, strict=True)], Y),
    "tensors in [-1, 1]": lambda p: (
        TensorDataset(torch.from_numpy(X / 127.5 - 1).permute(0, 3, 1, 2).float(), torch.tensor(Y)), Y),
    "names of classes": lambda p: (Items(list(zip(IMAGES, Y, strict=True)), classes=["ant", "bee", "cat"]), NAMES),
    "one-hot labels": lambda p: (Items(list(zip(IMAGES, np.eye(3)[Y], strict=True))), Y),
    "images only": lambda p: (Items(IMAGES), None),
    "one tensor an item": lambda p: (TensorDataset(torch.from_numpy(X)), None),
    "any sequence": lambda p: (type("S", (), {"__len__": lambda s: 6, "__getitem__": lambda s, i: (IMAGES[i], Y[i])})(), Y),
    "encoded bytes": lambda p: (hugging_face(image=[{"bytes": Path(q).read_bytes(), "path": None} for q in p]), NAMES),
    "undecoded paths": lambda p: (hugging_face(image=[{"bytes": None, "path": q} for q in p]), NAMES),
    "nested lists": lambda p: (tables.Dataset({"pixel_values": X.tolist()}, {"pixel_values": tables.Value()}), None),
    "splits": lambda p: ({"train": hugging_face(), "test": hugging_face()}, NAMES),
    "frame of images": lambda p: (tables.DataFrame({"photo": IMAGES, "target": Y}), Y),
    "frame of other names": lambda p: (tables.DataFrame({"n": Y, "where": p, "category": NAMES}), NAMES),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken(name: str, photos: list[str]) -> None:
    source, labels = TAKEN[name](photos)
    opened = data.open(source)
    assert isinstance(opened, data.Images) and np.array_equal(opened.rows, X)
    found = None if opened.labels is None else opened.labels.tolist()
    assert found == (None if labels is None else Y)
    if labels is NAMES:
        assert opened.classes == ["ant", "bee", "cat"]
    assert data.open(source, labels=False).n_classes == 0
    given = data.open(source, labels=list("vwxvwx")) if not isinstance(source, tuple) or labels is None else None
    assert given is None or (given.class_names == ["v", "w", "x"] and given.labels.tolist() == Y)
    report = data.check(source)
    assert report.sizes is not None and report.sizes.common == [(10, 12, 6)]


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(IMAGES)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ((i for i in IMAGES), "generator.*list"), (Endless(), "Endless has no.*list"), (DataLoader(Endless()), "no length"),
        (IMAGES[0], "PIL.Image.Image.*list of images"), (None, "NoneType"), (7, "int"), ({1, 2}, "set"), (b"abc", "bytes"),
        ([], "no images"), ([object()], "list of object"), ([{"q": 1}], "keys q"), ({"q": 1}, "dictionary"),
        (["a.png", "b.png"], "none of the 2 files"), (Items([(IMAGES[0], {"boxes": 1})]), "dict.*labels=False"),
        (Items([(IMAGES[0], IMAGES[0])]), "Image.*pairs"), (Items([]), "holds no images"), ((IMAGES, [0]), "1 labels for 6"),
        (tables.DataFrame({"a": [1]}), "no column of images among a"), (tables.DataFrame({"path": []}), "no rows"),
        (tables.DataFrame({"a": ["1.png"], "b": ["1.png"]}), "several columns hold images: a, b"),
        ([IMAGES[0], X[0]], "image 1 is of another type"), ([X[0], X[1] / 255], "image 1 is of another type"),
        ((X, X), "inputs='pairs'"), (hugging_face(label=[-1] * 6), "-1.*labels=False"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named_with_the_way_out(source: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words) as fault:
        data.open(source)
    assert "\n" not in str(fault.value) and len(str(fault.value)) < 400


def test_columns_are_named(photos: list[str]) -> None:
    frame = tables.DataFrame({"path": photos, "breed": NAMES})
    opened = data.open(frame)
    assert opened.labels is None and 'labels="breed" uses that column' in opened.notes[0]
    with pytest.raises(BadInput, match='did you mean "breed"'):
        data.open(frame, labels="bred")
    with pytest.raises(BadInput, match="names a column"):
        data.open(photos, labels="breed")
    with pytest.raises(BadInput, match="entry 1 is nan"):
        data.open(tables.DataFrame({"path": photos, "label": ["a", float("nan")] * 3}))
    two = tables.Dataset(
        {"img": IMAGES, "coarse": Y, "fine": Y[::-1]},
        {
            "img": tables.Image(),
            "coarse": tables.ClassLabel(["a", "b", "c"]),
            "fine": tables.ClassLabel(["d", "e", "f"]),
        },
    )
    opened = data.open(two)
    assert opened.classes == ["a", "b", "c"] and 'labels="fine" changes that' in opened.notes[0]
    assert data.open(two, labels="fine").classes == ["d", "e", "f"]
    assert "train is used, not test" in data.open({"train": two, "test": two}).notes[0]


def test_what_cannot_be_decoded_takes_its_label_with_it(photos: list[str]) -> None:
    Path(photos[1]).write_bytes(b"no image")
    for source in ([*photos, "gone.png"], (np.array([*photos, "gone.png"]))):
        opened = data.open(source, labels=[*NAMES, "dog"])
        assert opened.labels is not None and [opened.class_names[i] for i in opened.labels] == [NAMES[0], *NAMES[2:]]
        assert [path for path, _ in opened.bad_files] == ["gone.png", photos[1]]
    encoded = [{"bytes": Path(path).read_bytes(), "path": None} for path in photos]
    encoded[2] = {"bytes": None, "path": "gone.png"}
    opened = data.open(hugging_face(image=encoded))
    assert opened.labels is not None and opened.labels.tolist() == [0, 0, 1, 2]
    assert [path for path, _ in opened.bad_files] == ["image 1", "image 2"]
    with pytest.raises(BadInput, match=r"photos in the list is not a file"):
        data.open([photos[0], "photos"])


def test_sizes_and_one_value_range() -> None:
    mixed = [np.full((8 + i, 8, 3), 0.1 * i) for i in range(4)]  # at most 0.3: the range of all of them is [0, 1]
    opened = data.open(mixed)
    assert opened.shape == (3, 64, 64) and isinstance(opened, data.Images)
    assert opened.rows[:, 0, 0, 0].tolist() == [0, 26, 51, 77]
    assert data.check(mixed).sizes.common == [(8, 8, 1), (8, 9, 1), (8, 10, 1), (8, 11, 1)]  # type: ignore[union-attr]
    images = [Image.new("L", (30, 20 + i)) for i in range(3)]
    assert data.open(images).shape == (1, 64, 64) and data.open(images, shape=(3, 8, 6)).shape == (3, 8, 6)


def test_items_are_read_again_if_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = data.open(IMAGES)
    monkeypatch.setattr("ganloom.data.cache.MEMORY_LIMIT", X[0].nbytes * 3)
    opened = data.open(Items(list(zip(IMAGES, Y, strict=True))), labels=False)
    assert (
        isinstance(opened, data.Images)
        and np.array_equal(opened.rows, X)
        and opened.fingerprint == expected.fingerprint
    )


def test_notes_about_what_is_not_used() -> None:
    items = Items([(*pair, "more") for pair in zip(IMAGES, Y, strict=True)], transform=len)
    notes = data.open(DataLoader(Subset(items, [0, 2]), batch_size=2)).notes
    assert [any(word in note for note in notes) for word in ("transform", "3 parts", "batch size")] == [True] * 3


def test_pairs_of_any_objects(photos: list[str]) -> None:
    for source in ((photos, IMAGES), (X, photos), Items(list(zip(IMAGES, IMAGES, strict=True))), (Items(IMAGES), X)):
        opened = data.open(source, inputs="pairs")
        assert isinstance(opened, data.Domains) and opened.paired
        assert np.array_equal(opened.rows, X) and np.array_equal(opened.inputs.rows, X)
    unpaired = data.open((photos[:4], IMAGES), inputs="domains", shape=(3, 8, 8))
    assert unpaired.shape == (3, 8, 8) and (len(unpaired.inputs), len(unpaired)) == (4, 6)  # type: ignore[arg-type]


def test_train_resume_and_evaluate(photos: list[str], tmp_path: Path) -> None:
    options: dict[str, Any] = {"batch_size": 4, "judge": 0, "grid": 4, "doctor": False}
    frame = tables.DataFrame({"path": photos * 2, "label": NAMES * 2})
    run = ganloom.train("cgan", data=frame, out=tmp_path / "run", total_kimg=0.008, **options)
    assert ganloom.load(run).cfg.n_classes == 3
    assert len(ganloom.resume(run, total_kimg=0.012).metrics) >= 1, "the run keeps a copy of the data"
    ganloom.resume(run, total_kimg=0.016, data=frame)
    with pytest.raises(BadInput, match="changed"):
        ganloom.resume(run, total_kimg=0.02, data=(photos * 2, NAMES[::-1] * 2))
    result = ganloom.evaluate(run, [*IMAGES, *IMAGES], n=6, features="random", k=1, intervals=False)
    assert "generated" in result["rows"]
